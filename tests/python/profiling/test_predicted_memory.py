"""What is alive through a network's graph, counted by hand, and the work in it."""

import keras
import pytest
from keras import layers
from pocketnet.models.build import build
from pocketnet.models.network import ARCHITECTURES, PAPER_SHAPES, Network
from pocketnet.profiling import graph, memory, speed
from pocketnet.profiling.fused import without_upsampled


def small():
    """Convolution, ReLU, pointwise convolution, softmax on 8×8 pixels."""
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(2, 1, name="logits")(x)
    return keras.Model(inputs, layers.Softmax(name="probabilities")(x))


def test_nodes_of_a_small_network():
    found = {node.name: node for node in graph.nodes(small())}
    assert [(name, node.kind, node.sources, node.size) for name, node in found.items()] == [
        ("image", "InputLayer", (), 64), ("conv", "convolution", ("image",), 256), ("relu", "ReLU", ("conv",), 256),
        ("logits", "pointwise", ("relu",), 128), ("probabilities", "Softmax", ("logits",), 128)]
    assert found["conv"].operations == 2 * 9 * 256 and found["logits"].operations == 2 * 4 * 128
    assert (found["conv"].weights, found["logits"].weights) == (9 * 4 + 4, 4 * 2 + 2)
    assert graph.parameters(list(found.values())) == small().count_params()


def test_what_is_alive_is_counted_by_hand():
    moments = {moment.layer: moment for moment in memory.training_moments(graph.nodes(small()))}
    # Kept for the backward pass: image (256 bytes), ReLU's output (1024), probabilities (512) and the loss' three.
    last = moments["probabilities, backward"]
    assert last.kept == 256 + 1024 + 512 + 3 * 512
    assert last.transient == 512 + 512 + 4 * 512  # the gradients of its output and its input, and its own
    assert moments["logits, backward"].kept == 256 + 1024
    assert moments["logits, backward"].transient == 512 + 1024
    assert moments["relu, backward"].transient == 1024  # in place
    assert moments["conv, backward"].kept == 256
    assert moments["conv, backward"].workspace == 256 + 1024 and moments["relu, backward"].workspace == 0
    assert moments["relu, forward"].kept == 256 + 1024 and moments["relu, forward"].transient == 0


def test_a_skip_waits_with_its_gradient():
    network = Network(depth=1, feature_maps=4)
    moments = {moment.layer: moment for moment in memory.training_moments(graph.nodes(build(network, (8, 8, 8))))}
    skip = 8**3 * 4 * 4
    # Its gradient from the concatenation waits while the bottleneck goes back; beside it those in and out.
    assert moments["bottleneck_relu2, backward"].transient == skip + 4**3 * 4 * 4


def test_nothing_is_kept_without_a_backward_pass():
    moments = memory.inference_moments(graph.nodes(small()))
    assert [moment.kept for moment in moments] == [0] * 5
    assert max(moment.transient for moment in moments) < max(
        moment.kept + moment.transient for moment in memory.training_moments(graph.nodes(small())))


def test_openvino_holds_no_upsampled_tensor_and_does_less():
    nodes = graph.nodes(build(Network(depth=1, feature_maps=4), (8, 8, 8)))
    found = {node.name: node for node in without_upsampled(nodes)}
    left_out = [node for node in nodes if node.name not in found]
    assert [node.kind for node in left_out] == ["transposed", "Concatenate"]
    reader = next(node for node in found.values() if len(node.sources) == 2)
    # The coarser level by a kernel of 4³, the skip by one of 3³; 4 maps to 4.
    assert reader.operations == 2 * 16 * (4**3 * 4**3 + 8**3 * 3**3)
    assert reader.operations < sum(node.operations for node in nodes if node.name in (reader.name, left_out[0].name))
    most = [max(moment.transient for moment in memory.inference_moments(some, fused=True))
            for some in (nodes, list(found.values()))]
    assert most == [4 * 8**3 * 4 * 4, 2 * 8**3 * 4 * 4 + 4**3 * 4 * 4]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_is_known_layer_by_layer(arch):
    shape = PAPER_SHAPES[arch] | {"depth": 2}
    with keras.StatelessScope(initialize_variables=False):
        model = build(Network(arch=arch, width="full", **shape), (16,) * shape["dimensions"])
        nodes = graph.nodes(model)
        assert {node.kind for node in nodes} <= set(graph.RULES) and graph.parameters(nodes) == model.count_params()


def test_variables_are_weights_and_the_moments_of_adam():
    nodes = graph.nodes(small())
    assert memory.variables(nodes) == 3 * 4 * 50 and memory.variables(nodes, slots=0) == 4 * 50


def test_work_by_hand():
    nodes = graph.nodes(small())
    trained, inferred = speed.training_work(nodes, 2), speed.inference_work(nodes, 2)
    assert trained.convolutions == pytest.approx(2 * 2 * 4608 / 1e9)  # no gradient of the image
    assert trained.products == pytest.approx(2 * 3 * 1024 / 1e9)
    assert inferred.gflops == pytest.approx(2 * (4608 + 1024) / 1e9) and inferred.weights == 0
    assert speed.Rates(1, 0, 0, 0, 0).seconds(trained) == trained.convolutions
