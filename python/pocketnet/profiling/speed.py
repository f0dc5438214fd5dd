"""Predict the time of a training step or a forward pass from the work in a network's graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from .graph import CONVOLUTION, INPUT, WEIGHTED, Node

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Work:
    """The work of one step.

    Attributes:
        convolutions: 10⁹ floating-point operations of convolutions with kernels larger than 1.
        products: 10⁹ floating-point operations of pointwise and transposed convolutions and dense layers.
        passed: 10⁹ bytes of memory traffic, summed over tensors.
        weights: 10⁹ bytes of weights that the optimiser updates.
        layers: Number of layers.
    """

    convolutions: float
    products: float
    passed: float
    weights: float
    layers: float

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations that multiply by weights."""
        return self.convolutions + self.products


@dataclass(frozen=True)
class Rates:
    """Seconds per unit of `Work`."""

    convolutions: float
    products: float
    passed: float
    weights: float
    layers: float

    def seconds(self, work: Work) -> float:
        """Return the time of a step in seconds."""
        return sum(getattr(self, f.name) * getattr(work, f.name) for f in fields(self))


@dataclass(frozen=True)
class Timed:
    """The work of a configuration, and its measured time in seconds."""

    name: str
    work: Work
    seconds: float


@dataclass(frozen=True)
class Calibration:
    """The result of a calibration: rates, `Factors.workspace`, and the measured steps behind both."""

    rates: Rates
    workspace: float
    timed: list[Timed]


def training_work(nodes: Sequence[Node], batch: int, rematerialise: bool = False) -> Work:
    """Return the work of a training step: forward, and the gradients of each layer's input and weights.

    The first layer computes no gradient of its input.

    Args:
        nodes: The network's graph.
        batch: Patches per step.
        rematerialise: Compute the forward pass twice.
    """
    first = {node.name for node in nodes if node.kind == INPUT}

    def operations(node: Node) -> int:
        return node.operations * ((2 if first.intersection(node.sources) else 3) + rematerialise)

    return _work(nodes, batch, operations, 4 / 3 if rematerialise else 1, sum(node.weights for node in nodes))


def inference_work(nodes: Sequence[Node], batch: int) -> Work:
    """Return the work of a forward pass; its memory traffic is about a third of a training step's."""
    return _work(nodes, batch, lambda node: node.operations, 1 / 3, 0)


def _work(nodes: Sequence[Node], batch: int, operations: Callable[[Node], float], share: float, weights: float) -> Work:
    kernels = sum(operations(node) for node in nodes if node.kind == CONVOLUTION)
    products = sum(operations(node) for node in nodes if node.kind in WEIGHTED) - kernels
    passed = sum(node.rule.passes * node.bytes for node in nodes)
    return Work(kernels * batch / 1e9, products * batch / 1e9, share * passed * batch / 1e9,
                weights * FLOAT_BYTES / 1e9, len(nodes))
