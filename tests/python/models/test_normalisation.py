"""Normalisations: the fast way of a training step is the plain one, and both are Keras'."""

import numpy as np
import pytest
from keras import layers
from pocketnet import backend
from pocketnet.models.depthwise import DepthwiseConv3D
from pocketnet.models.normalisation import BatchNormalization, InstanceNormalization

SHAPES = [(2, 6, 5, 4, 3), (3, 8, 7, 5), (1, 4, 4, 4, 2)]


def made(kind, shape, **options):
    """A layer with weights that are not ones and zeros."""
    rng = np.random.default_rng(1)
    layer = kind(**options)
    layer.build(shape)
    layer.set_weights([rng.normal(1, 0.3, shape[-1:]), rng.normal(0, 0.3, shape[-1:]), *layer.get_weights()[2:]])
    return layer


@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_are_keras_group_normalisation(shape):
    x = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    expected = np.array(made(layers.GroupNormalization, shape, groups=-1)(x))
    layer = made(InstanceNormalization, shape)
    for training in (False, True):
        np.testing.assert_allclose(np.array(layer(x, training=training)), expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_batch_normalisation_is_keras_and_learns_the_same_moving_statistics(shape, precision):
    x = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    layer, expected = (made(kind, shape, dtype=precision) for kind in (BatchNormalization, layers.BatchNormalization))
    tolerance = 1e-5 if precision == "float32" else 0.03
    for training in (True, True, False):
        out, keras_out = (np.array(one(x, training=training).numpy(), np.float32) for one in (layer, expected))
        np.testing.assert_allclose(out, keras_out, atol=tolerance * max(1, np.abs(keras_out).max()))
    for mine, theirs in zip(layer.weights, expected.weights, strict=True):
        np.testing.assert_allclose(np.array(mine), np.array(theirs), rtol=tolerance)
    layer.trainable = False
    kept = np.array(layer.moving_mean)
    np.testing.assert_allclose(np.array(layer(x, training=True).numpy(), np.float32),
                               np.array(layer(x, training=False).numpy(), np.float32), atol=1e-6)
    np.testing.assert_array_equal(np.array(layer.moving_mean), kept)


@pytest.mark.parametrize("options", [{"axis": 1}, {"center": False}, {"scale": False}])
def test_batch_normalisation_with_other_options_is_keras(options):
    x = np.random.default_rng(0).normal(3, 2, (2, 4, 5, 3)).astype(np.float32)
    ours, theirs = BatchNormalization(**options), layers.BatchNormalization(**options)
    for _ in range(2):
        np.testing.assert_allclose(np.array(ours(x, training=True)), np.array(theirs(x, training=True)), atol=1e-5)


@pytest.mark.parametrize("options", [{"groups": 2}, {"groups": 0}, {"groups": 1}, {"axis": 1}, {"center": False},
                                     {"scale": False}])
def test_instance_normalisation_refuses_what_it_does_not_compute(options):
    (name, value), = options.items()
    with pytest.raises(ValueError, match=f"(?s)`{name}`.*Received: {name}={value}"):
        InstanceNormalization(**options)


def test_a_built_instance_normalisation_is_made_again_from_its_configuration():
    layer = made(InstanceNormalization, (2, 4, 4, 4, 4), epsilon=0.01)
    again = InstanceNormalization.from_config(layer.get_config())
    x = np.random.default_rng(0).normal(3, 2, (2, 4, 4, 4, 4)).astype(np.float32)
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.array(again(x)), np.array(layer(x)))


@pytest.mark.parametrize("size", [2, 4, 0, -1, 3.0, True, "3", (3, 3), (3, 2, 3), (3, 3, 0), None])
def test_depthwise_convolution_refuses_a_kernel_without_a_middle(size):
    with pytest.raises(ValueError, match="(?s)`kernel_size`.*odd.*Received: kernel_size="):
        DepthwiseConv3D(size)


def test_depthwise_convolution_is_keras_plane_by_plane_and_refuses_images_of_two_dimensions():
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 4, 3)).astype(np.float32)
    layer, plane = DepthwiseConv3D(5), layers.DepthwiseConv2D(5, padding="same", use_bias=False)
    layer.build(x.shape)
    plane.build(x[..., 0, :].shape)
    kernel = np.zeros((5, 5, 5, 3), np.float32)
    kernel[:, :, 2] = np.random.default_rng(1).normal(size=(5, 5, 3))
    layer.set_weights([kernel])
    plane.set_weights([kernel[:, :, 2, :, None]])
    expected = np.stack([np.array(plane(x[:, :, :, z])) for z in range(4)], axis=3)
    np.testing.assert_allclose(np.array(layer(x)), expected, atol=1e-5)
    with pytest.raises(ValueError, match="ndim=5"):
        layer(x[..., 0, :])


@pytest.mark.skipif(backend.name() != "tensorflow", reason="another backend has one way only")
@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_have_the_same_gradients(shape):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, towards = (tf.constant(rng.normal(1, 2, shape), tf.float32) for _ in range(2))
    layer = made(InstanceNormalization, shape)
    found = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=training) * towards)
        found.append(tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_variables)]))
    for plain, fused in zip(*found, strict=True):
        np.testing.assert_allclose(fused.numpy(), plain.numpy(), atol=1e-4 * max(1, float(tf.reduce_max(abs(plain)))))


def test_bfloat16_has_statistics_in_float32():
    x = np.random.default_rng(0).normal(100, 1, (2, 8, 8, 8, 4)).astype(np.float32)
    layer = InstanceNormalization(dtype="mixed_bfloat16")
    for training in (False, True):
        out = np.array(layer(x, training=training).numpy(), np.float32)
        assert abs(out.mean()) < 0.02 and out.std() == pytest.approx(1, abs=0.05)


def test_openvino_has_one_operation_for_it_and_the_same_result(tmp_path):
    import openvino
    from pocketnet.models.build import build, load
    from pocketnet.models.export import export_openvino
    from pocketnet.models.network import Network

    model = build(Network(depth=1, feature_maps=4, norm="instance", activation="leaky_relu"), (8, 8, 8))
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    export_openvino(loaded, tmp_path)
    compiled = openvino.Core().compile_model(tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(compiled(image)[0], np.array(model(image)), atol=1e-4)
    kinds = [node.get_rt_info()["layerType"].astype(str) for node in compiled.get_runtime_model().get_ordered_ops()]
    assert kinds.count("MVN") == 6, kinds
