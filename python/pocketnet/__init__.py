"""PocketNet Suite: train, compare, profile and ship small segmentation networks for medical images."""

__version__ = "0.1.0"
__all__ = ["Predictor"]


def __getattr__(name: str):
    # Late, so that `--help` of every command answers at once.
    if name == "Predictor":
        from .inference.predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
