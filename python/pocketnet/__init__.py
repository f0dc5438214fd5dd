"""PocketNet Suite: train, compare, profile and ship small segmentation networks for medical images."""

__version__ = "0.1.0"
