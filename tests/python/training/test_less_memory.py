"""Rematerialisation and accumulation: the same network and the same training, with less memory."""

import keras
import numpy as np
import pytest
from pocketnet.models.build import build
from pocketnet.models.network import Network
from pocketnet.models.rematerialise import Segment, rematerialised, segment_of
from pocketnet.profiling import graph, memory
from pocketnet.training.compile import compile_for_training, stepping


def batch(seed, size=1, side=8):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((size, side, side, side, 1), dtype=np.float32)
    return image, rng.integers(0, 2, (size, side, side, side), dtype=np.uint8)


def trained(arch, steps=2, rematerialise=False, accumulate=1, norm="batch", clip=0.5):
    """Losses, and variables by path, of a small network after a few steps."""
    keras.utils.set_random_seed(3)
    model = build(Network(arch=arch, depth=1, feature_maps=4, norm=norm), (8, 8, 8))
    compile_for_training(model, "l2_dice", 0.01, clip, accumulate=accumulate)
    stepper = stepping(model, rematerialise)
    losses = []
    for step in range(steps):
        stepper.reset_metrics()
        losses.append(float(stepper.train_on_batch(*batch(step))))
    return losses, {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.variables}


@pytest.mark.parametrize("arch", ["unet", "hrnet"])
def test_a_rematerialised_training_is_the_same(arch):
    losses, variables = trained(arch)
    again, others = trained(arch, rematerialise=True)
    assert again == pytest.approx(losses, rel=1e-5)
    for value, other in zip(variables.values(), others.values(), strict=True):  # moving averages included
        np.testing.assert_allclose(other, value, atol=2e-4)


def test_every_block_is_a_segment_of_the_same_layers():
    model = build(Network(depth=2, feature_maps=4), (16, 16, 16))
    again = rematerialised(model)
    assert {layer.network.name for layer in again.layers if isinstance(layer, Segment)} == {
        "encoder0", "encoder1", "bottleneck", "decoder1", "decoder0"}
    assert {id(v) for v in again.trainable_variables} == {id(v) for v in model.trainable_variables}
    assert segment_of("column3_row1_conv2") == "column3_row1" and segment_of("logits") == "logits"


@pytest.mark.parametrize("arch", ["unet", "resnet", "densenet", "hrnet"])
def test_less_is_kept(arch):
    nodes = graph.nodes(build(Network(arch=arch, depth=2, feature_maps=4), (16, 16, 16)))
    plain, again = (max(moment.kept + moment.transient for moment in memory.training_moments(nodes, rematerialise))
                    for rematerialise in (False, True))
    assert again < 0.8 * plain


def test_accumulated_gradients_step_like_one_larger_batch():
    """Without batch statistics the mean of two batches' gradients is that of both together."""
    def weights(accumulate, batches):
        keras.utils.set_random_seed(3)
        model = build(Network(depth=1, feature_maps=4, norm="instance"), (8, 8, 8))
        compile_for_training(model, "l2_dice", 0.01, None, accumulate=accumulate)
        before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
        changes = []
        for one in batches:
            model.train_on_batch(*one)
            now = [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
            changes.append(max(np.abs(a - b).max() for a, b in zip(before, now, strict=True)))
        return changes, now

    first, second = batch(0), batch(1)
    together = tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))
    changes, accumulated = weights(2, [first, second])
    _, large = weights(1, [together])
    assert changes[0] == 0 and changes[1] > 0  # the first of the two only adds
    for value, other in zip(large, accumulated, strict=True):
        np.testing.assert_allclose(other, value, atol=1e-4)
