"""The page that segments in a browser: its scripts, the libraries it needs, and how they become one file."""
