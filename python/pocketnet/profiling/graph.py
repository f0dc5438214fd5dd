"""The graph of a network as a list of layers with their memory and work, without running it.

The Keras model gives output sizes, connections, weights and operations. `RULES` states for each kind of layer what its
backward pass needs. Sizes are for one sample; callers multiply by the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers


@dataclass(frozen=True)
class Rule:
    """The memory behaviour of a kind of layer, in units of its output's size.

    Attributes:
        reads_input: Its backward pass reads its input.
        reads_output: Its backward pass reads its output.
        inner: Number of inner tensors that it keeps for the backward pass.
        forward: Number of tensors alive in its forward pass besides input, output and kept tensors.
        backward: Number of tensors alive in its backward pass besides the gradients of input and output.
        passes: How often its forward and backward passes together traverse a tensor of the output's size.
    """

    reads_input: bool = False
    reads_output: bool = False
    inner: int = 0
    forward: int = 0
    backward: int = 0
    passes: int = 2


CONVOLUTION, POINTWISE, TRANSPOSED, DENSE = "convolution", "pointwise", "transposed", "dense"
INPUT, ADD, CONCATENATE = "InputLayer", "Add", "Concatenate"
WEIGHTED = (CONVOLUTION, POINTWISE, TRANSPOSED, DENSE)
RULES = {
    INPUT: Rule(passes=0),
    **dict.fromkeys(WEIGHTED, Rule(reads_input=True, passes=4)),
    "DepthwiseConv3D": Rule(inner=27, forward=2, backward=2, passes=160),
    # One operation forward and one backward; instance normalisation also concatenates the samples.
    "BatchNormalization": Rule(reads_input=True, passes=7),
    "InstanceNormalization": Rule(reads_input=True, forward=1, backward=1, passes=11),
    "ReLU": Rule(reads_output=True, passes=5),
    "LeakyReLU": Rule(reads_input=True, passes=5),
    # relu(x) - slope * relu(-x): both terms are kept.
    "PReLU": Rule(inner=2, forward=1, backward=2, passes=18),
    "MaxPooling2D": Rule(reads_input=True, reads_output=True, passes=8),
    "MaxPooling3D": Rule(reads_input=True, reads_output=True, passes=8),
    "GlobalMaxPooling2D": Rule(reads_input=True, reads_output=True),
    "UpSampling2D": Rule(forward=1, backward=1, passes=4),
    "UpSampling3D": Rule(forward=1, backward=1, passes=4),
    CONCATENATE: Rule(passes=4),
    ADD: Rule(passes=4),
    # Includes what the loss keeps: the one-hot reference, squares and differences.
    "Softmax": Rule(reads_output=True, inner=3, forward=2, backward=4, passes=20),
    "Activation": Rule(reads_output=True, inner=3, forward=2, backward=4, passes=20),  # the sigmoid of regions
}
"""Rules by kind of layer, from TensorFlow's graph of a training step. Other kinds keep their input and output."""
IN_PLACE = ("ReLU", ADD)
"""Layers whose output overwrites their input, and likewise the gradient."""
FUSED = (*IN_PLACE, "LeakyReLU", "PReLU", "BatchNormalization")
"""Layers that an inference engine fuses into the preceding convolution."""
UNKNOWN = Rule(reads_input=True, reads_output=True, forward=1, backward=1, passes=6)


@dataclass(frozen=True)
class Node:
    """A layer of a network.

    Attributes:
        name: Name of the layer.
        kind: A key of `RULES`, or the name of the layer's class.
        sources: Names of the layers that it reads.
        size: Elements of its output per sample.
        item: Bytes per element of its output.
        weights: Number of trainable weights.
        frozen: Number of non-trainable weights.
        operations: Floating-point operations of its forward pass per sample; a multiply-add counts as two.
        maps: Number of feature maps of its output.
        kernel: Kernel size per axis in voxels; empty for layers without a kernel.
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    size: int
    item: int
    weights: int
    frozen: int
    operations: int
    maps: int = 0
    kernel: tuple[int, ...] = ()

    @property
    def rule(self) -> Rule:
        """The memory behaviour of this kind of layer."""
        return RULES.get(self.kind, UNKNOWN)

    @property
    def bytes(self) -> int:
        """Size of its output in bytes per sample."""
        return self.size * self.item


def nodes(model: keras.Model) -> list[Node]:
    """List the layers of a functional model, each after the layers that it reads.

    Args:
        model: A model built for a fixed input size.
    """
    return [_node(layer) for layer in model.layers]


def _node(layer: layers.Layer) -> Node:
    given = [] if isinstance(layer, layers.InputLayer) else \
        layer.input if isinstance(layer.input, list) else [layer.input]
    size = math.prod(layer.output.shape[1:])
    return Node(layer.name, _kind(layer), tuple(tensor._keras_history.operation.name for tensor in given), size,
                2 if layer.output.dtype.endswith("16") else 4,
                sum(math.prod(weight.shape) for weight in layer.trainable_weights),
                sum(math.prod(weight.shape) for weight in layer.non_trainable_weights),
                _operations(layer, size, given), int(layer.output.shape[-1]),
                tuple(layer.kernel_size) if _kind(layer) in (CONVOLUTION, POINTWISE, TRANSPOSED) else ())


def _kind(layer: layers.Layer) -> str:
    if isinstance(layer, layers.Conv2DTranspose | layers.Conv3DTranspose):
        return TRANSPOSED
    if isinstance(layer, layers.Conv2D | layers.Conv3D):
        return POINTWISE if set(layer.kernel_size) == {1} else CONVOLUTION
    return DENSE if isinstance(layer, layers.Dense) else type(layer).__name__


def _operations(layer: layers.Layer, size: int, given: list[Any]) -> int:
    kind = _kind(layer)
    if kind in (CONVOLUTION, POINTWISE):
        return 2 * size * math.prod(layer.kernel_size) * given[0].shape[-1]
    if kind == TRANSPOSED:  # each input voxel contributes to one patch of outputs
        return 2 * math.prod(given[0].shape[1:]) * math.prod(layer.kernel_size) * layer.filters
    if kind == DENSE:
        return 2 * size * given[0].shape[-1]
    if kind == "DepthwiseConv3D":
        return 2 * size * math.prod(layer.kernel_size)
    return size * RULES.get(kind, UNKNOWN).passes // 3


def parameters(nodes: Sequence[Node]) -> int:
    """Count the weights of a network, including non-trainable ones (Keras' `count_params`)."""
    return sum(node.weights + node.frozen for node in nodes)
