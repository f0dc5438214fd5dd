"""The sizes of window (px) in which pages are looked at."""

WIDTHS = {"phone": (390, 844), "tablet": (820, 1180), "wide": (1440, 900)}
SIZES = WIDTHS | {"picture": (1100, 900)}
