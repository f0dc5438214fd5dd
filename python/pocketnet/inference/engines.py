"""Engines: what runs a trained network on a patch. Each gives the same probabilities to float tolerance."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import UsageError

ENGINES = ("auto", "openvino", "tensorflow")


class Engine(Protocol):
    """Runs a network on one batch of patches."""

    name: str

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """From (batch, *patch, channel) float32 to probabilities (batch, *patch, classes) float32."""


class OpenVinoEngine:
    """The network by OpenVINO on the CPU, in float32; starts without TensorFlow."""

    name = "openvino"

    def __init__(self, folder: Path, patch: tuple[int, ...], channels: int, threads: int | None):
        import openvino

        core = openvino.Core()
        graph = core.read_model(folder / "model.xml")
        graph.reshape([1, *patch, channels])
        # Without the hint it computes in bfloat16 where the processor has it, which is not the reference's result.
        settings = {"INFERENCE_PRECISION_HINT": "f32"} | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
        self._request = core.compile_model(graph, "CPU", settings).create_infer_request()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        outputs = [self._request.infer([np.ascontiguousarray(one[None])])[0].copy() for one in image]
        return np.concatenate(outputs)


class KerasEngine:
    """The network by Keras on its backend (TensorFlow, or JAX): the reference."""

    name = "tensorflow"

    def __init__(self, folder: Path, threads: int | None):
        from .. import backend

        backend.configure(threads)
        from ..models.build import load

        self.name = backend.name()
        self._model = load(folder / "model.keras")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.predict_on_batch(image))


def choose(name: str, folder: Path) -> str:
    """The engine for `auto`: OpenVINO on a machine without an NVIDIA driver, where the folder carries it.

    Raises:
        UsageError: Unknown name, or the folder has no OpenVINO files.
    """
    has_openvino = (folder / "model.xml").is_file()
    if name == "auto":
        gpu = Path("/proc/driver/nvidia/version").exists()
        return "openvino" if has_openvino and not gpu else "tensorflow"
    if name not in ENGINES:
        raise UsageError(f"Unknown engine '{name}'.", todo=f"Use one of: {', '.join(ENGINES)}.")
    if name == "openvino" and not has_openvino:
        raise UsageError("The model folder has no model.xml for OpenVINO.", where=str(folder),
                         todo="Use --engine tensorflow.")
    return name


def make(name: str, folder: Path, patch: tuple[int, ...], channels: int, threads: int | None = None) -> Engine:
    """Make an engine by name (see `choose`) for a model folder."""
    if choose(name, folder) == "openvino":
        return OpenVinoEngine(folder, patch, channels, threads)
    return KerasEngine(folder, threads)
