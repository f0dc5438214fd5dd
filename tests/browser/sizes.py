"""The sizes of window (px) in which pages are looked at."""

WIDTHS = {"phone": (390, 844), "tablet": (820, 1180), "wide": (1440, 900)}
SIZES = WIDTHS | {"picture": (1100, 900)}
PAGE_WIDTHS = (390, 768, 1280)
"""Widths in which the page that segments is looked at."""
