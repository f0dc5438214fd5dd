"""What a network's graph says of memory and work, layer by layer, without running it.

Read from the Keras model: sizes of outputs, who reads whom, weights, operations; and per kind of layer what its
backward pass needs (`RULES`). Sizes are of one sample; the batch comes in where they are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers


@dataclass(frozen=True)
class Rule:
    """What a kind of layer holds, in tensors of its output's size.

    Attributes:
        reads_input: Its backward pass reads its input.
        reads_output: Its backward pass reads its output.
        inner: Tensors of its own that it keeps for the backward pass.
        forward: Tensors alive in its forward pass beside input, output and what is kept.
        backward: Tensors alive in its backward pass beside the gradients of its input and output.
        passes: How often its forward and backward passes together go through a tensor of the output's size.
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
    # One operation forward and one backward; sample by sample what comes out is put together.
    "BatchNormalization": Rule(reads_input=True, passes=7),
    "InstanceNormalization": Rule(reads_input=True, forward=1, backward=1, passes=11),
    "ReLU": Rule(reads_output=True, passes=5),
    "LeakyReLU": Rule(reads_input=True, passes=5),
    # relu(x) - slope * relu(-x): both parts are kept.
    "PReLU": Rule(inner=2, forward=1, backward=2, passes=18),
    "MaxPooling2D": Rule(reads_input=True, reads_output=True, passes=8),
    "MaxPooling3D": Rule(reads_input=True, reads_output=True, passes=8),
    "GlobalMaxPooling2D": Rule(reads_input=True, reads_output=True),
    "UpSampling2D": Rule(forward=1, backward=1, passes=4),
    "UpSampling3D": Rule(forward=1, backward=1, passes=4),
    CONCATENATE: Rule(passes=4),
    ADD: Rule(passes=4),
    # With it what the loss keeps: the one-hot truth, squares and differences.
    "Softmax": Rule(reads_output=True, inner=3, forward=2, backward=4, passes=20),
}
"""By what TensorFlow's graph of a training step has; a kind that isn't here keeps its input and its output."""
IN_PLACE = ("ReLU", ADD)
"""Their output takes its input's place, and so does the gradient."""
FUSED = (*IN_PLACE, "LeakyReLU", "PReLU", "BatchNormalization")
"""What an inference engine makes part of the convolution before it."""
UNKNOWN = Rule(reads_input=True, reads_output=True, forward=1, backward=1, passes=6)


@dataclass(frozen=True)
class Node:
    """A layer.

    Attributes:
        name: The layer's.
        kind: A key of `RULES`, or the layer's class.
        sources: Names of the layers that it reads.
        size: Elements of its output a sample.
        item: Bytes of an element of its output.
        weights: Trainable weights.
        frozen: Weights that aren't trained.
        operations: Floating-point operations of its forward pass a sample; a multiplication and an addition are two.
        maps: Feature maps of its output.
        kernel: Voxels of its kernel per axis; empty for a layer without.
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
        """What a layer of this kind holds."""
        return RULES.get(self.kind, UNKNOWN)

    @property
    def bytes(self) -> int:
        """Of its output, a sample."""
        return self.size * self.item


def nodes(model: keras.Model) -> list[Node]:
    """The layers of a functional model, each after those that it reads.

    Args:
        model: Built for a fixed size.
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


def _operations(layer: layers.Layer, size: int, given: list) -> int:
    kind = _kind(layer)
    if kind in (CONVOLUTION, POINTWISE):
        return 2 * size * math.prod(layer.kernel_size) * given[0].shape[-1]
    if kind == TRANSPOSED:  # each input voxel goes to one patch of outputs
        return 2 * math.prod(given[0].shape[1:]) * math.prod(layer.kernel_size) * layer.filters
    if kind == DENSE:
        return 2 * size * given[0].shape[-1]
    if kind == "DepthwiseConv3D":
        return 2 * size * layer.kernel_size**3
    return size * RULES.get(kind, UNKNOWN).passes // 3


def parameters(nodes: Sequence[Node]) -> int:
    """Weights of a network, those that aren't trained included (Keras' `count_params`)."""
    return sum(node.weights + node.frozen for node in nodes)
