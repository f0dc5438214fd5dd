"""The fused form of a network trains like the network itself, with fewer operations."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from pocketnet import backend
from pocketnet.models import fused as module
from pocketnet.models.build import build
from pocketnet.models.fused import Unit, by_slices, compose, few_classes, fused
from pocketnet.models.network import Network
from pocketnet.profiling import graph
from pocketnet.profiling.fused import trained as fused_nodes
from pocketnet.training.compile import alike, compile_for_training, stepping
from pocketnet.training.supervision import supervised

SIDE, CLASSES = 8, 3
DEPTH = 2
NETWORKS = {
    "unet": Network(depth=DEPTH, feature_maps=4, classes=CLASSES),
    "unet, instance": Network(depth=1, feature_maps=4, classes=CLASSES, norm="instance", activation="leaky_relu"),
    "unet, anisotropic": Network(depth=2, feature_maps=4, classes=CLASSES, norm="none", pooling=((2, 2, 1), (2, 2, 1)),
                                 kernel=(3, 3, 1)),
    "unet, 2D": Network(depth=1, feature_maps=4, classes=CLASSES, dimensions=2),
    "resnet": Network(arch="resnet", depth=1, feature_maps=4, classes=CLASSES),
}


def trained(network, form, steps=2, slices=SIDE):
    """Losses and the network after a few steps from biases that are not zero, and the model that took the steps."""
    keras.utils.set_random_seed(3)
    model = build(network)
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if getattr(layer, "use_bias", False):
            layer.bias.assign(rng.normal(size=layer.bias.shape))
    compile_for_training(model, "l2_dice", 1e-3, 1.0)
    stepper = form(model)
    losses = []
    for seed in range(steps):
        rng = np.random.default_rng(seed)
        shape = (2, SIDE, SIDE, slices)[:network.dimensions + 1]
        losses.append(float(stepper.train_on_batch(rng.standard_normal((*shape, 1), dtype=np.float32),
                                                   rng.integers(0, CLASSES, shape, dtype=np.uint8))))
    return losses, model, stepper


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_fused_training_is_the_same(network):
    losses, model, _ = trained(network, lambda model: model)
    again, other, stepper = trained(network, lambda model: alike(fused(model, sliced=True), model))
    assert again == pytest.approx(losses, abs=1e-4)
    assert any(isinstance(layer, Unit) and layer.up is not None for layer in stepper.layers)
    assert {id(v) for v in stepper.trainable_variables} == {id(v) for v in other.trainable_variables}
    moving = [v for v in model.non_trainable_variables if "moving" in v.path]
    assert bool(moving) == (network.norm == "batch")
    for value in moving:  # with the bias that the convolution left out
        found = next(v for v in other.variables if v.path == value.path)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(value), atol=2e-3)
    image = np.random.default_rng(9).standard_normal((1, *(SIDE,) * network.dimensions, 1), dtype=np.float32)
    np.testing.assert_allclose(stepper.predict_on_batch(image), other.predict_on_batch(image), atol=1e-5)


@pytest.mark.parametrize("most", [module.MOST_WEIGHTS, 0], ids=["composed", "not composed"])
def test_slices_of_volumes_are_convolved_as_images(most, monkeypatch):
    """oneDNN takes 3.5 times as long for the same operations on volumes of one slice."""
    monkeypatch.setattr(module, "MOST_WEIGHTS", most)
    network = replace(NETWORKS["unet, anisotropic"], norm="instance")
    losses, *_ = trained(network, lambda model: model, slices=1)
    again, model, stepper = trained(network, lambda model: alike(fused(model), model), slices=1)
    assert again == pytest.approx(losses, abs=1e-4)
    image = tf.zeros((2, SIDE, SIDE, 1, 1))
    made = tf.function(lambda: stepper(image, training=True)).get_concrete_function().graph.get_operations()
    kinds = {operation.type for operation in made}
    assert "Conv2D" in kinds and not any(kind.startswith("Conv3D") for kind in kinds)
    volume = np.random.default_rng(9).standard_normal((1, SIDE, SIDE, SIDE, 1), dtype=np.float32)
    np.testing.assert_allclose(stepper.predict_on_batch(volume), model.predict_on_batch(volume), atol=1e-5)


def test_gradients_are_the_same_and_that_of_a_removed_bias_is_zero():
    model = build(NETWORKS["unet"])
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, SIDE, SIDE, SIDE, 1), dtype=np.float32)
    weight = rng.standard_normal((2, SIDE, SIDE, SIDE, CLASSES), dtype=np.float32)

    @tf.function
    def gradients():
        found = []
        for form in (model, fused(model, sliced=True)):
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(weight * form(image, training=True))
            found.append(tape.gradient(value, [v.value for v in model.trainable_variables]))
        return found

    for variable, plain, other in zip(model.trainable_variables, *gradients(), strict=True):
        removed = variable.path.endswith("bias") and "conv" in variable.path
        np.testing.assert_allclose(other, 0 if removed else plain, atol=2e-4 * max(1, np.abs(plain).max()))
        if removed:
            assert np.abs(other).max() == 0


def test_deep_supervision_is_fused_too():
    both = supervised(build(NETWORKS["unet"]))
    again = fused(both)
    image = np.random.default_rng(0).standard_normal((1, SIDE, SIDE, SIDE, 1), dtype=np.float32)
    np.testing.assert_allclose(again.predict_on_batch(image), both.predict_on_batch(image), atol=1e-5)
    assert sum(isinstance(layer, Unit) and layer.up is not None for layer in again.layers) == DEPTH


@pytest.mark.parametrize("sides, kernel", [((2, 2), (3, 3)), ((2, 1, 2), (3, 5, 1)), ((3, 2), (1, 3))])
def test_the_composed_kernel_is_upsampling_and_convolution(sides, kernel):
    rng = np.random.default_rng(1)
    x = tf.constant(rng.standard_normal((2, *(4,) * len(sides), 3), dtype=np.float32))
    up = tf.constant(rng.standard_normal((*sides, 5, 3), dtype=np.float32))
    above = tf.constant(rng.standard_normal((*kernel, 5, 2), dtype=np.float32))
    size = [2, *(4 * side for side in sides)]
    expected = tf.nn.convolution(tf.nn.conv_transpose(x, up, [*size, 5], sides, "SAME"), above, padding="SAME")
    found = tf.nn.conv_transpose(x, compose(up, above), [*size, 2], sides, "SAME")
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (5, 1, 3)])
def test_gradients_by_slices(kernel):
    rng = np.random.default_rng(2)
    x = tf.constant(rng.standard_normal((2, 6, 5, 4, 3), dtype=np.float32))
    weights = tf.constant(rng.standard_normal((*kernel, 3, 2), dtype=np.float32))
    dy = tf.constant(rng.standard_normal((2, 6, 5, 4, 2), dtype=np.float32))

    @tf.function
    def results(convolve):
        with tf.GradientTape() as tape:
            tape.watch([x, weights])
            y = convolve(x, weights)
        return [y, *tape.gradient(y, [x, weights], dy)]

    for found, expected in zip(results(by_slices), results(lambda x, k: tf.nn.convolution(x, k, padding="SAME")),
                               strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_softmax_of_few_classes():
    logits = tf.constant([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]])
    dy = tf.constant([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]])
    found = []
    for softmax in (few_classes, tf.nn.softmax):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            y = softmax(logits)
        found.append((y, tape.gradient(y, logits, dy)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_wide_upsampling_stays(monkeypatch):
    """Only kernels up to a size are composed, in the network and in the prediction of its memory."""
    def composed():
        model = build(network, (SIDE,) * 3)
        nodes = fused_nodes(graph.nodes(model))
        kept = sum(node.kind == graph.TRANSPOSED for node in nodes)
        units = [layer for layer in fused(model).layers if isinstance(layer, Unit) and layer.up is not None]
        assert kept == network.depth - len(units)
        return len(units)

    network = Network(depth=1, feature_maps=4)
    assert composed() == 1
    monkeypatch.setattr(module, "MOST_WEIGHTS", 100)
    assert composed() == 0


def test_one_device_takes_the_fused_steps():
    model = build(Network(depth=1, feature_maps=4))
    compile_for_training(model, "l2_dice", 1e-3, None)
    assert backend.fuses_training() == (not backend.on_gpu())
    assert (stepping(model, False) is not model) == backend.fuses_training()
    assert stepping(model, False, devices=2) is model


@pytest.mark.parametrize("most, found", [("AVX2", False), ("SSE41", False), ("AVX", False), ("AVX512_CORE", True),
                                         ("DEFAULT", True), ("", True)])
def test_onednn_may_be_kept_from_avx512(monkeypatch, most, found):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    monkeypatch.setattr(backend, "_flags", lambda: ["fpu", "avx2", "avx512bw"])
    assert backend.has_avx512() is found
    monkeypatch.setattr(backend, "_flags", lambda: ["fpu", "avx2"])
    assert not backend.has_avx512()
