"""Engines run a trained network on patches. All return the same probabilities within floating-point tolerance.

`auto` selects TensorFlow if there is an NVIDIA driver, and OpenVINO otherwise. On CPUs, OpenVINO is the fastest engine
measured (docs/results/inference.md), and it starts without TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from ..errors import DataError, UsageError, first_line
from . import openvino_graph

if TYPE_CHECKING:
    import openvino

ENGINES = ("auto", "openvino", "tensorflow")
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's name of each precision. Probabilities may differ from the reference by 0.001 in float32 and by 0.05 in
bfloat16."""


class Engine(Protocol):
    """A network that runs on batches of patches."""

    name: str

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return probabilities (batch, *patch, classes) float32 for a batch (batch, *patch, channel) float32.

        The result is valid until the next call. Classes may be the slowest axis in memory.
        """

    def release(self) -> None:
        """Free memory that the next call allocates again."""


class OpenVinoEngine:
    """Run the network with OpenVINO on the CPU; starts without TensorFlow.

    Attributes:
        activation_mib: Memory of the network's activations in MiB, computed from its graph.
    """

    name = "openvino"

    def __init__(self, folder: Path, patch: tuple[int, ...], channels: int, threads: int | None,
                 precision: str = "float32"):
        import openvino

        core = openvino.Core()
        try:
            graph = core.read_model(folder / "model.xml")
            openvino_graph.free_sizes(graph)
            graph.reshape([1, *patch, channels])
            given = list(graph.output(0).get_shape())[:-1]
            if given not in ([1, *patch], [1]):  # [1]: a classifier returns one vector per image
                raise RuntimeError(f"it gives {given[1:]}")
            self._classes_first = openvino_graph.classes_first(graph)
            graph = openvino_graph.in_plane(graph)
            openvino_graph.fuse_skips(graph)
        except RuntimeError as error:
            raise DataError(f"OpenVINO cannot take this network for windows of {'×'.join(map(str, patch))} voxels: "
                            f"{first_line(error)}.", where=str(folder / "model.xml"),
                            todo="Use --windows plan, or --engine tensorflow.") from None
        self._weights_mib = (folder / "model.bin").stat().st_size / 2**20
        self.activation_mib = openvino_graph.activation_bytes(graph) / 2**20
        # Without this hint, OpenVINO computes in bfloat16 if the CPU supports it, which differs from the reference.
        settings = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
        self._core, self._graph = core, graph
        self._settings = settings | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
        self._compiled: openvino.CompiledModel | None = None
        self._request: openvino.InferRequest | None = None

    @property
    def held_mib(self) -> float:
        """Memory in MiB that it holds between calls: nothing until the network is compiled."""
        return 0.0 if self._compiled is None else self.activation_mib + self._weights_mib

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch, computed image by image; see `Engine`."""
        if self._request is None:
            self._compiled = self._core.compile_model(self._graph, "CPU", self._settings)
            self._request = self._compiled.create_infer_request()
        if len(image) == 1:
            return self._one(image)
        return np.concatenate([self._one(one[None]).copy() for one in image])

    def _one(self, image: np.ndarray) -> np.ndarray:
        """Run the network on one image without copying input or output."""
        request = cast("openvino.InferRequest", self._request)
        out = request.infer([np.ascontiguousarray(image)], share_inputs=True, share_outputs=True)[0]
        return np.moveaxis(out, 1, -1) if self._classes_first else out

    def release(self) -> None:
        """Drop the compiled network; the next call compiles it again."""
        self._compiled = self._request = None


class KerasEngine:
    """Run the network with Keras on its backend (TensorFlow or JAX): the reference engine.

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
        """Return the probabilities of a batch; see `Engine`."""
        return np.asarray(self.network.predict_on_batch(image))

    def release(self) -> None:
        """Do nothing: the backend keeps its memory."""


def choose(name: str, folder: Path) -> str:
    """Return the engine to use.

    `auto` means OpenVINO if the folder has its files and the machine has no NVIDIA driver, otherwise TensorFlow.

    Raises:
        UsageError: The name is unknown, or the folder has no OpenVINO files.
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
    """Create an engine for a model folder.

    Args:
        name: One of `ENGINES`, see `choose`.
        folder: The model folder.
        patch: Window size in voxels per axis.
        channels: Number of input channels of the network.
        threads: CPU threads; None for all cores.
        precision: A key of `PRECISIONS`.

    Raises:
        UsageError: The engine or precision is unknown, or the engine does not support the precision.
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
