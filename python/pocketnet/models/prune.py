"""Structured pruning by magnitude: cut a trained network's weights down to a narrower network of the same kind.

Each convolution keeps the feature maps whose filters have the largest L1 norm (Li et al., "Pruning filters for
efficient ConvNets", 2017). When a feature map is removed, its part of every following layer is removed too:
normalisations, activations, transposed convolutions, and its place in a concatenation. Layers whose outputs are added
keep the same feature maps, chosen by the sum of their norms.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from ..errors import UsageError

CONVOLUTIONS = (layers.Conv2D, layers.Conv3D, layers.Dense)
TRANSPOSED = (layers.Conv2DTranspose, layers.Conv3DTranspose)
PER_FEATURE_MAP = (layers.BatchNormalization, layers.GroupNormalization, layers.PReLU)
"""Layers whose weights have the feature maps on their last axis."""
UNWEIGHTED = (layers.ReLU, layers.LeakyReLU, layers.MaxPooling2D, layers.MaxPooling3D, layers.UpSampling2D,
              layers.UpSampling3D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D, layers.Softmax,
              layers.Activation)


@dataclass(eq=False)
class _Maps:
    """A set of feature maps for which pruning decides once which maps to keep.

    Attributes:
        full: Number of maps in the wide network.
        kept: Number of maps in the narrow network.
        scores: L1 norm of each map's filter, summed over the convolutions that produce it.
        same: The set to which an addition has tied this one, if any.
    """

    full: int
    kept: int
    scores: np.ndarray
    same: _Maps | None = None

    def root(self) -> _Maps:
        """Return the set that decides for all sets tied to it."""
        return self if self.same is None else self.same.root()

    def indices(self) -> np.ndarray:
        """Return the indices of the kept maps, in the wide network's order."""
        decides = self.root()
        if decides.kept == decides.full:
            return np.arange(decides.full)
        best = np.argsort(-decides.scores, kind="stable")[:decides.kept]
        return np.sort(best)


def prune(wide: keras.Model, narrow: keras.Model) -> None:
    """Copy the weights of the kept feature maps from `wide` to `narrow`.

    Args:
        wide: The trained network.
        narrow: A network with the same layers (by name) and at most as many feature maps in each. The function sets
            its weights. With equal numbers everywhere it computes the same function as `wide`.

    Raises:
        UsageError: Pruning does not support a layer, or the networks differ in structure.
    """
    outputs: dict[str, list[_Maps]] = {}
    sources = {layer.name: _sources(layer) for layer in wide.layers}
    for layer in wide.layers:
        outputs[layer.name] = _output(layer, _counterpart(narrow, layer), [outputs[name]
                                                                            for name in sources[layer.name]])
    for layer in wide.layers:
        weights = layer.get_weights()
        if weights:
            before = [maps for name in sources[layer.name] for maps in outputs[name]]
            cut = _cut(layer, weights, _joined(before), _joined(outputs[layer.name]))
            target = narrow.get_layer(layer.name)
            if [weight.shape for weight in cut] != [weight.shape for weight in target.get_weights()]:
                raise UsageError(f"Layer {layer.name} differs between the two networks.")
            target.set_weights(cut)


def _sources(layer: layers.Layer) -> list[str]:
    """Return the names of the layers that a layer reads, in order."""
    if isinstance(layer, layers.InputLayer):
        return []
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in tensors]


def _counterpart(narrow: keras.Model, layer: layers.Layer) -> layers.Layer:
    try:
        found = narrow.get_layer(layer.name)
    except ValueError:
        found = None
    if type(found) is not type(layer) or found.output.shape[-1] > layer.output.shape[-1]:
        raise UsageError(f"The network cannot be pruned to this one: layer {layer.name} has no narrower counterpart.",
                         todo="Prune to the same architecture, depth and first feature maps, and a smaller width.")
    return found


def _output(layer: layers.Layer, target: layers.Layer, inputs: list[list[_Maps]]) -> list[_Maps]:
    """Return the sets of feature maps that form a layer's output, in order."""
    full, kept = layer.output.shape[-1], target.output.shape[-1]
    if isinstance(layer, layers.InputLayer):
        return [_Maps(full, kept, np.zeros(full))]
    if isinstance(layer, CONVOLUTIONS + TRANSPOSED):
        kernel = np.abs(layer.get_weights()[0])
        out_axis = -2 if isinstance(layer, TRANSPOSED) else -1
        norms = np.moveaxis(kernel, out_axis, -1).reshape(-1, full).sum(axis=0, dtype=np.float64)
        return [_Maps(full, kept, norms)]
    if isinstance(layer, PER_FEATURE_MAP + UNWEIGHTED):
        return inputs[0]
    if isinstance(layer, layers.Concatenate):
        return [maps for parts in inputs for maps in parts]
    if isinstance(layer, layers.Add):
        return _added(layer, inputs)
    raise UsageError(f"Pruning does not support {type(layer).__name__} layers ({layer.name}).",
                     todo="Prune a network with standard convolutions.")


def _added(layer: layers.Layer, inputs: list[list[_Maps]]) -> list[_Maps]:
    """Tie the sets that an addition combines, so that they keep the same maps."""
    first = inputs[0]
    for other in inputs[1:]:
        if [maps.full for maps in first] != [maps.full for maps in other]:
            raise UsageError(f"Layer {layer.name} adds concatenations of different parts, which cannot be pruned.")
        for a, b in zip(first, other, strict=True):
            a, b = a.root(), b.root()
            if a is not b:
                a.scores = a.scores + b.scores
                b.same = a
    return first


def _joined(parts: list[_Maps]) -> np.ndarray:
    """Return the kept indices of several concatenated sets."""
    offsets = np.cumsum([0] + [maps.full for maps in parts])[:-1]
    return np.concatenate([maps.indices() + offset for maps, offset in zip(parts, offsets, strict=True)])


def _cut(layer: layers.Layer, weights: list[np.ndarray], inputs: np.ndarray, outputs: np.ndarray) -> list[np.ndarray]:
    """Return a layer's weights for the kept feature maps."""
    if isinstance(layer, TRANSPOSED):
        return [weights[0][..., outputs, :][..., inputs], *(bias[outputs] for bias in weights[1:])]
    if isinstance(layer, CONVOLUTIONS):
        return [weights[0][..., inputs, :][..., outputs], *(bias[outputs] for bias in weights[1:])]
    return [weight[..., outputs] for weight in weights]
