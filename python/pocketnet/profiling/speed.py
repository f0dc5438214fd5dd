"""Time of a training step or a forward pass from the work that a network's graph holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from .graph import CONVOLUTION, INPUT, WEIGHTED, Node

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Work:
    """What a step does.

    Attributes:
        convolutions: 10⁹ floating-point operations of convolutions of kernels over 1.
        products: 10⁹ of pointwise and transposed convolutions and dense layers.
        passed: 10⁹ bytes that go through memory, tensor by tensor.
        weights: 10⁹ bytes of weights, which the optimiser goes through.
        layers: How many.
    """

    convolutions: float
    products: float
    passed: float
    weights: float
    layers: float

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations of everything that multiplies weights."""
        return self.convolutions + self.products


@dataclass(frozen=True)
class Rates:
    """Seconds for each unit of `Work`."""

    convolutions: float
    products: float
    passed: float
    weights: float
    layers: float

    def seconds(self, work: Work) -> float:
        """Of a step."""
        return sum(getattr(self, f.name) * getattr(work, f.name) for f in fields(self))


def training_work(nodes: Sequence[Node], batch: int, rematerialise: bool = False) -> Work:
    """The work of a training step: forward, the gradient of each layer's input, and that of its weights.

    The first layer makes no gradient of its input.

    Args:
        rematerialise: Forward twice.
    """
    first = {node.name for node in nodes if node.kind == INPUT}

    def operations(node: Node) -> int:
        return node.operations * ((2 if first.intersection(node.sources) else 3) + rematerialise)

    return _work(nodes, batch, operations, 4 / 3 if rematerialise else 1, sum(node.weights for node in nodes))


def inference_work(nodes: Sequence[Node], batch: int) -> Work:
    """The work of a forward pass; about a third of what goes through memory in a training step."""
    return _work(nodes, batch, lambda node: node.operations, 1 / 3, 0)


def _work(nodes, batch, operations, share, weights) -> Work:
    kernels = sum(operations(node) for node in nodes if node.kind == CONVOLUTION)
    products = sum(operations(node) for node in nodes if node.kind in WEIGHTED) - kernels
    passed = sum(node.rule.passes * node.bytes for node in nodes)
    return Work(kernels * batch / 1e9, products * batch / 1e9, share * passed * batch / 1e9,
                weights * FLOAT_BYTES / 1e9, len(nodes))
