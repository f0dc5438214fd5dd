"""The sizes of window (px) in which pages are looked at."""

WIDTHS = {"phone": (390, 844), "tablet": (768, 1024), "wide": (1280, 900), "large": (1920, 1080)}
SIZES = WIDTHS | {"picture": (1100, 900)}
PAGE_WIDTHS = (390, 768, 1280)
"""Widths in which the page that segments is looked at."""
