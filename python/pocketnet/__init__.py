"""PocketNet Suite: train, compare, profile and ship small segmentation networks for medical images."""

from importlib import import_module
from typing import Any

from . import telemetry

telemetry.turn_off()

__version__ = "0.1.0"
__all__ = ["Predictor"]


def __getattr__(name: str) -> Any:
    # Import on first use, so that `--help` of every command is fast. Import by name, so that the predictor's code does
    # not count as code of every step (`code.py`).
    if name == "Predictor":
        return import_module("pocketnet.inference.predictor").Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
