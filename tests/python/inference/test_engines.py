"""OpenVINO's graphs, made cheaper and for windows of any size, give what Keras gives."""

import numpy as np
import pytest
from pocketnet import backend
from pocketnet.inference import engines, openvino_graph
from pocketnet.models.export import export_openvino
from pocketnet.models.network import Network

NETWORKS = {
    "U-Net": {}, "U-Net, instance": {"norm": "instance"}, "U-Net, no norm": {"norm": "none"},
    "U-Net, added skips": {"skip": "add"}, "U-Net, full": {"width": "full"},
    "U-Net, separable": {"convolution": "separable"},
    "U-Net, anisotropic": {"pooling": ((1, 2, 2), (2, 2, 1))}, "ResNet": {"arch": "resnet"},
    "DenseNet": {"arch": "densenet"}, "HRNet": {"arch": "hrnet"},
}
FUSED = {"U-Net": 2, "U-Net, full": 2, "U-Net, anisotropic": 2, "ResNet": 4, "DenseNet": 0, "HRNet": 0,
         "U-Net, added skips": 0}


@pytest.fixture(scope="module", params=NETWORKS)
def built(request, tmp_path_factory):
    """A network with random weights everywhere (biases, statistics), exported for one patch; and for any size."""
    backend.configure()
    import keras
    from pocketnet.models.build import build

    network = Network(**{"channels": 2, "classes": 3, "depth": 2, "feature_maps": 4, **NETWORKS[request.param]})
    fixed, free = build(network, (16, 16, 16)), build(network)
    rng = np.random.default_rng(0)
    for layer in fixed.layers:
        layer.set_weights([w if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape) if "norm" in layer.name and i in (0, 3)
                           else rng.normal(0, 0.3, w.shape) for i, w in enumerate(layer.get_weights())])
    free.set_weights(fixed.get_weights())
    folder = tmp_path_factory.mktemp("network")
    export_openvino(fixed, folder)
    assert isinstance(free, keras.Model)
    return request.param, folder, free


def test_every_network_gives_what_keras_gives(built):
    _, folder, model = built
    image = np.random.default_rng(1).normal(size=(1, 16, 16, 16, 2)).astype(np.float32)
    engine = engines.OpenVinoEngine(folder, (16, 16, 16), 2, 2)
    expected = np.asarray(model.predict_on_batch(image))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(engine(image), expected, atol=1e-4)
    engine.release()
    np.testing.assert_allclose(engine(image), expected, atol=1e-4)


@pytest.mark.parametrize("network", [{}, {"norm": "instance", "activation": "leaky_relu", "head": "sigmoid"},
                                     {"convolution": "separable"}, {"arch": "resnet", "skip": "add"},
                                     {"width": "full", "arch": "densenet"}],
                         ids=["U-Net", "instance", "separable", "ResNet", "DenseNet, full"])
def test_slices_of_volumes_are_images_for_openvino(network, tmp_path):
    """OpenVINO takes 2.6 times as long for volumes of one slice."""
    backend.configure()
    from pocketnet.models.build import build

    model = build(Network(**{"channels": 2, "classes": 3, "depth": 2, "feature_maps": 4, "kernel": (3, 3, 1),
                             "pooling": ((2, 2, 1), (2, 2, 1)), **network}))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else w for w in model.get_weights()])
    export_openvino(model, tmp_path)
    image = rng.normal(size=(2, 16, 24, 1, 2)).astype(np.float32)
    engine = engines.OpenVinoEngine(tmp_path, (16, 24, 1), 2, 2)
    expected = np.asarray(model.predict_on_batch(image))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(engine(image), expected, atol=1e-4)
    ranks = {len(node.input_value(0).get_shape()) for node in engine._graph.get_ordered_ops()
             if "Convolution" in node.get_type_name()}
    assert ranks == {5 if "convolution" in network else 4}  # a depthwise convolution of volumes stays as it is


def test_the_softmax_runs_over_planes_of_classes(built):
    import openvino

    _, folder, _ = built
    graph = openvino.Core().read_model(folder / "model.xml")
    graph.reshape([1, 16, 16, 16, 2])
    assert openvino_graph.classes_first(graph)
    assert list(graph.output(0).get_shape()) == [1, 3, 16, 16, 16]


def test_windows_larger_than_the_patch_are_right_or_refused(built):
    """A graph has the patch's size written into it in places; no other size may give another result silently."""
    name, folder, model = built
    image = np.random.default_rng(1).normal(size=(1, 24, 16, 32, 2)).astype(np.float32)
    try:
        engine = engines.OpenVinoEngine(folder, (24, 16, 32), 2, 2)
    except engines.DataError as error:
        assert "cannot take this network for windows of 24×16×32" in str(error)
        assert name in ("U-Net, instance", "U-Net, separable")
        return
    np.testing.assert_allclose(engine(image), np.asarray(model.predict_on_batch(image)), atol=1e-4)


def test_decoders_are_fused_and_cost_less_memory(built):
    import openvino

    name, folder, _ = built
    graph = openvino.Core().read_model(folder / "model.xml")
    openvino_graph.free_sizes(graph)
    graph.reshape([1, 16, 16, 16, 2])
    before = openvino_graph.activation_bytes(graph)
    fused = openvino_graph.fuse_skips(graph)
    assert fused == FUSED.get(name, fused)
    after = openvino_graph.activation_bytes(graph)
    assert after < before if fused else after == before


def test_a_composed_kernel_is_both_in_turn():
    rng = np.random.default_rng(0)
    up, kernel = rng.normal(size=(2, 3, 2, 1)), rng.normal(size=(4, 3, 3, 3))
    x = rng.normal(size=(2, 5, 6))

    def transposed(x, w, crop):
        sides = w.shape[2:]
        strides = up.shape[2:]
        out = np.zeros((w.shape[1], *((n - 1) * s + k for n, s, k in zip(x.shape[1:], strides, sides, strict=True))))
        for i in np.ndindex(x.shape[1:]):
            at = tuple(slice(j * s, j * s + k) for j, s, k in zip(i, strides, sides, strict=True))
            out[(slice(None), *at)] += np.tensordot(x[(slice(None), *i)], w, 1)
        return out[(slice(None), *(slice(crop, n - crop) for n in out.shape[1:]))]

    middle = np.pad(transposed(x, up, 0), [(0, 0), (1, 1), (1, 1)])
    expected = np.zeros((4, 10, 6))
    for i, j in np.ndindex(10, 6):
        expected[:, i, j] = np.tensordot(kernel, middle[:, i:i + 3, j:j + 3], 3)
    np.testing.assert_allclose(transposed(x, openvino_graph.compose(up, kernel), 1), expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_near_and_by_request_only(built):
    _, folder, _ = built
    image = np.random.default_rng(1).normal(size=(1, 16, 16, 16, 2)).astype(np.float32)
    exact, near = (engines.make("openvino", folder, (16, 16, 16), 2, 2, precision)(image)
                   for precision in ("float32", "bfloat16"))
    assert np.abs(exact - near).max() <= 0.05
