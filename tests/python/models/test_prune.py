"""Pruning: to the same width nothing changes, to a narrower one the largest filters stay and the shapes fit."""

import keras
import numpy as np
import pytest
from pocketnet.errors import UsageError
from pocketnet.models.build import build
from pocketnet.models.network import Network
from pocketnet.models.prune import prune

ARCHITECTURES = [("unet", 3), ("resnet", 3), ("densenet", 3), ("hrnet", 3), ("unet", 2), ("classifier", 2)]


def network(arch, width, dimensions=3, **options):
    return build(Network(arch=arch, width=width, dimensions=dimensions, channels=2, classes=3, depth=2, feature_maps=4,
                         **options))


def shuffled(model, seed=0):
    """Random values in every variable: also in what starts as zeros or ones."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 1, w.shape) * rng.choice([-1, 1] if w.ndim > 1 else [1], w.shape)
                       for w in model.get_weights()])
    return model


def image(dimensions):
    return np.random.default_rng(1).standard_normal((2, *(8,) * dimensions, 2)).astype(np.float32)


@pytest.mark.parametrize("arch, dimensions", ARCHITECTURES)
def test_pruning_to_the_same_width_is_the_same_function(arch, dimensions):
    wide, same = shuffled(network(arch, "full", dimensions)), network(arch, "full", dimensions)
    prune(wide, same)
    np.testing.assert_array_equal(same(image(dimensions)), wide(image(dimensions)))


@pytest.mark.parametrize("arch, dimensions", ARCHITECTURES)
def test_maps_that_carry_nothing_can_go_without_a_change(arch, dimensions):
    """A pocket network hidden in a full one, all other filters nearly zero, comes out as it went in."""
    pocket = shuffled(network(arch, "pocket", dimensions))
    wide = network(arch, "full", dimensions)
    for layer in wide.layers:
        values = []
        for own, small in zip(layer.get_weights(), pocket.get_layer(layer.name).get_weights(), strict=True):
            grown = np.zeros_like(own)
            if isinstance(layer, keras.layers.BatchNormalization):
                grown += 1
            grown[places(layer, own.shape, small.shape)] = small
            values.append(grown)
        layer.set_weights(values)
    narrow = network(arch, "pocket", dimensions)
    prune(wide, narrow)
    assert narrow.count_params() == pocket.count_params()
    np.testing.assert_allclose(narrow(image(dimensions)), pocket(image(dimensions)), rtol=1e-4, atol=1e-6)


def places(layer, shape, small):
    """Where the pocket network's values lie in the full one's: first maps first, and behind a concatenation the
    first maps of each part."""
    axes = [list(range(n)) for n in small]
    if hasattr(layer, "kernel") and len(small) > 1:
        axes[-1 if "Transpose" in type(layer).__name__ else -2] = first_maps(layer.input)
    return np.ix_(*axes)


def first_maps(tensor):
    source = tensor._keras_history.operation
    if isinstance(source, keras.layers.Concatenate):
        offsets = np.cumsum([0] + [part.shape[-1] for part in source.input])
        return [index + offset for part, offset in zip(source.input, offsets, strict=False)
                for index in first_maps(part)]
    if hasattr(source, "kernel") or isinstance(source, keras.layers.InputLayer):
        return list(range(min(tensor.shape[-1], 4)))
    return first_maps(source.input[0] if isinstance(source.input, list) else source.input)


def test_the_largest_filters_stay():
    wide, narrow = shuffled(network("unet", "full")), network("unet", "pocket")
    kernel, bias = wide.get_layer("bottleneck_conv2").get_weights()
    kernel[..., [3, 7, 9, 14]] *= 10
    wide.get_layer("bottleneck_conv2").set_weights([kernel, bias])
    prune(wide, narrow)
    np.testing.assert_array_equal(narrow.get_layer("bottleneck_conv2").get_weights()[1], bias[[3, 7, 9, 14]])
    mean = wide.get_layer("bottleneck_norm2").get_weights()[2]
    np.testing.assert_array_equal(narrow.get_layer("bottleneck_norm2").get_weights()[2], mean[[3, 7, 9, 14]])


def test_what_cannot_be_pruned_is_refused():
    with pytest.raises(UsageError, match="DepthwiseConv3D"):
        prune(network("unet", "full", convolution="separable"), network("unet", "pocket", convolution="separable"))
    with pytest.raises(UsageError, match="no narrower counterpart"):
        prune(network("unet", "pocket"), network("unet", "full"))
    with pytest.raises(UsageError, match="no narrower counterpart"):
        prune(network("unet", "full"), network("densenet", "pocket"))
