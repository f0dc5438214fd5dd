"""Engines: what runs a trained network on a patch. Each gives the same probabilities to float tolerance.

`auto` is TensorFlow where there is an NVIDIA driver and OpenVINO on a processor, where it was the fastest that was
measured (docs/results/inference.md) and starts without TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from ..errors import DataError, UsageError
from . import fusion

if TYPE_CHECKING:
    import openvino

ENGINES = ("auto", "openvino", "tensorflow")
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
"""By name, OpenVINO's. Probabilities in bfloat16 may differ by 0.05 from the reference's, in float32 by 0.001."""


class Engine(Protocol):
    """Runs a network on one batch of patches."""

    name: str

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """From (batch, *patch, channel) float32 to probabilities (batch, *patch, classes) float32.

        What it gives is good until the next call, and may lie in memory class by class.
        """

    def release(self) -> None:
        """Give back memory that the next call takes again."""


class OpenVinoEngine:
    """The network by OpenVINO on the CPU; starts without TensorFlow.

    Attributes:
        activation_mib: Memory in MiB that the network's activations take, by its graph.
    """

    name = "openvino"

    def __init__(self, folder: Path, patch: tuple[int, ...], channels: int, threads: int | None,
                 precision: str = "float32"):
        import openvino

        core = openvino.Core()
        try:
            graph = core.read_model(folder / "model.xml")
            fusion.free_sizes(graph)
            graph.reshape([1, *patch, channels])
            given = list(graph.output(0).get_shape())[:-1]
            if given not in ([1, *patch], [1]):  # a classifier gives one vector for an image
                raise RuntimeError(f"it gives {given[1:]}")
            fusion.fuse_skips(graph)
            self._classes_first = fusion.classes_first(graph)
        except RuntimeError as error:
            raise DataError(f"OpenVINO cannot take this network for windows of {'×'.join(map(str, patch))} voxels: "
                            f"{str(error).splitlines()[0][:160]}.", where=str(folder / "model.xml"),
                            todo="Use --windows plan, or --engine tensorflow.") from None
        self.activation_mib = fusion.activation_bytes(graph) / 2**20
        # Without the hint it computes in bfloat16 where the processor has it, which is not the reference's result.
        settings = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
        self._core, self._graph = core, graph
        self._settings = settings | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
        self._compiled: openvino.CompiledModel | None = None
        self._request: openvino.InferRequest | None = None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Probabilities of a batch, computed image by image; see `Engine`."""
        if self._request is None:
            self._compiled = self._core.compile_model(self._graph, "CPU", self._settings)
            self._request = self._compiled.create_infer_request()
        if len(image) == 1:
            return self._one(image)
        return np.concatenate([self._one(one[None]).copy() for one in image])

    def _one(self, image: np.ndarray) -> np.ndarray:
        """Without copies of what goes in and what comes out."""
        request = cast("openvino.InferRequest", self._request)
        out = request.infer([np.ascontiguousarray(image)], share_inputs=True, share_outputs=True)[0]
        return np.moveaxis(out, 1, -1) if self._classes_first else out

    def release(self) -> None:
        """Drop the compiled network; the next call compiles it again."""
        self._compiled = self._request = None


class KerasEngine:
    """The network by Keras on its backend (TensorFlow, or JAX): the reference.

    Attributes:
        network: The Keras model.
    """

    name = "tensorflow"

    def __init__(self, folder: Path, threads: int | None):
        from .. import backend

        backend.configure(threads)
        from ..models.build import load

        self.name = backend.name()
        self.network = load(folder / "model.keras")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Probabilities of a batch; see `Engine`."""
        return np.asarray(self.network.predict_on_batch(image))

    def release(self) -> None:
        """The backend keeps its memory."""


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


def make(name: str, folder: Path, patch: tuple[int, ...], channels: int, threads: int | None = None,
         precision: str = "float32") -> Engine:
    """Make an engine by name (see `choose`) for a model folder.

    Args:
        name: `auto`, or one of `ENGINES`.
        folder: The model folder.
        patch: Voxels of a window per axis.
        channels: Channels of the network's input.
        threads: CPU threads; None for all cores.
        precision: One of `PRECISIONS`.

    Raises:
        UsageError: No such engine, or one that cannot compute in this precision.
        DataError: The network cannot be loaded.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"Unknown precision '{precision}'.", todo=f"Use one of: {', '.join(PRECISIONS)}.")
    if choose(name, folder) == "openvino":
        return OpenVinoEngine(folder, patch, channels, threads, precision)
    if precision != "float32":
        raise UsageError(f"The engine tensorflow computes in float32, not in {precision}.",
                         todo="Use --engine openvino.")
    return KerasEngine(folder, threads)
