"""Parameter counts: exactly those that reproduce the paper's (Table I and IV), and the widths behind them."""

import json
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner
from pocketnet.cli.models import main
from pocketnet.errors import UsageError
from pocketnet.models.counts import count
from pocketnet.models.network import PAPER_SHAPES, Network
from pocketnet.models.widths import parse_width, predicted_saving

EXACT = {  # (arch, width, convolution, channels, feature maps, depth): parameters
    ("unet", "full", "standard", 1, 32, 5): 90_498_306, ("unet", "pocket", "standard", 1, 32, 5): 764_418,
    ("unet", "full", "standard", 4, 32, 5): 90_500_898, ("unet", "pocket", "standard", 4, 32, 5): 767_010,
    ("resnet", "full", "standard", 1, 32, 5): 91_907_106, ("resnet", "pocket", "standard", 1, 32, 5): 781_218,
    ("resnet", "full", "standard", 4, 32, 5): 91_909_794, ("resnet", "pocket", "standard", 4, 32, 5): 783_906,
    ("densenet", "full", "standard", 1, 32, 5): 135_908_194, ("densenet", "pocket", "standard", 1, 32, 5): 1_260_450,
    ("densenet", "full", "standard", 4, 32, 5): 135_913_474, ("densenet", "pocket", "standard", 4, 32, 5): 1_265_730,
    ("hrnet", "full", "standard", 1, 32, 3): 6_495_618, ("hrnet", "pocket", "standard", 1, 32, 3): 699_650,
    ("hrnet", "full", "standard", 4, 32, 3): 6_498_306, ("hrnet", "pocket", "standard", 4, 32, 3): 702_338,
    # Table IV; its first and last row are full and pocket again
    ("unet", "capped1024", "standard", 1, 32, 5): 90_498_306, ("unet", "capped512", "standard", 1, 32, 5): 60_084_482,
    ("unet", "capped256", "standard", 1, 32, 5): 24_359_426, ("unet", "capped128", "standard", 1, 32, 5): 8_394_754,
    ("unet", "capped64", "standard", 1, 32, 5): 2_643_394, ("unet", "capped32", "standard", 1, 32, 5): 764_418,
    # Table II; the text's 32 first feature maps give another count than the table's
    ("classifier", "full", "standard", 1, 16, 4): 1_178_994, ("classifier", "pocket", "standard", 1, 16, 4): 21_074,
    ("classifier", "full", "standard", 4, 16, 4): 1_179_426, ("classifier", "pocket", "standard", 4, 16, 4): 21_506,
    ("classifier", "full", "standard", 1, 32, 4): 4_712_674, ("classifier", "pocket", "standard", 1, 32, 4): 83_618,
    # the Discussion's roughly 10,000, which its own width of 32 does not give
    ("resnet", "pocket", "separable", 1, 32, 5): 110_653, ("resnet", "pocket", "separable", 1, 8, 4): 9_797,
}


@pytest.fixture(scope="module")
def listed():
    """What `pocket-models --json` prints, by what defines a network."""
    ran = CliRunner().invoke(main, ["--json"])
    assert ran.exit_code == 0, ran.output
    return {(r["arch"], r["width"], r["convolution"], r["channels"], r["feature_maps"], r["depth"]): r
            for r in json.loads(ran.output)}


def test_pocket_models_prints_every_exact_count(listed):
    assert {key: r["parameters"] for key, r in listed.items()} == EXACT


@pytest.mark.parametrize("arch, full, pocket", [
    ("unet", 90.5, 0.8), ("resnet", 91.9, 0.8), ("densenet", 135.9, 1.3), ("hrnet", 6.5, 0.7),
    ("classifier", 1.2, 0.02)])
def test_counts_are_the_published_ones(arch, full, pocket):
    """Table I and II, in millions as printed."""
    shape = PAPER_SHAPES[arch]
    for width, published in (("full", full), ("pocket", pocket)):
        found = EXACT[arch, width, "standard", 1, shape["feature_maps"], shape["depth"]]
        assert round(found / 1e6, 2 if published < 0.1 else 1) == published


@pytest.mark.parametrize("width, published", [
    ("full", 90.5), ("capped512", 60.0), ("capped256", 24.3), ("capped128", 8.4), ("capped64", 2.6), ("pocket", 0.8)])
def test_unet_agrees_with_table_iv(width, published):
    # Some of the table's figures are rounded, others cut off after the digit.
    assert EXACT["unet", width, "standard", 1, 32, 5] / 1e6 == pytest.approx(published, abs=0.1)


def test_the_true_saving_stands_beside_the_formulas(listed):
    entry = listed["unet", "pocket", "standard", 1, 32, 5]
    assert entry["saving_formula"] == 227.5 == round(predicted_saving(5), 1)
    assert entry["saving_true"] == 118.4


def test_hrnet_has_at_most_four_resolutions():
    assert count(Network(arch="hrnet", width="pocket", depth=5)) == 699_650


@pytest.mark.parametrize("arch, convolution", [
    ("unet", "standard"), ("resnet", "standard"), ("densenet", "standard"), ("hrnet", "standard"),
    ("resnet", "separable")])
def test_every_network_trains_and_survives_its_file(arch, convolution, tmp_path):
    import numpy as np
    from pocketnet.models.build import build, load
    from pocketnet.training.losses import l2_dice

    network = Network(arch=arch, convolution=convolution, width="capped6", depth=1, feature_maps=4, channels=2,
                      pooling=((2, 2, 1),))
    model = build(network, (8, 8, 8))
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 8, 2)).astype(np.float32)
    label = (image[..., 0] > 0).astype(np.uint8)
    model.compile("adam", l2_dice, jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the step twice, at length
    losses = []
    for _ in range(3):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(image, label)))
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    assert loaded.count_params() == model.count_params()
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("config, words", [
    (b" " * 2**25, "bytes and unpacks to 33,554,434"), (b"[" * 100_000, "recursion|nested"), (b"", "Expecting value"),
    (b"[]", ""), (b'{"class_name": []}', ""), (b"\xff", "")])
def test_a_file_that_is_no_network_is_refused(tmp_path, config, words):
    from pocketnet.errors import DataError
    from pocketnet.models.build import load

    with zipfile.ZipFile(tmp_path / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("config.json", config), ("metadata.json", b"{}"), ("model.weights.h5", b"")):
            archive.writestr(name, content)
    with pytest.raises(DataError, match=f"cannot be loaded safely: .*({words})"):
        load(tmp_path / "model.keras")


@pytest.mark.parametrize("dimensions, depth, channels, classes", [
    (2, 3, 1, 2), (2, 5, 3, 4), (3, 0, 1, 2), (3, 2, 2, 5)])
def test_any_dimensions_depth_channels_and_classes(dimensions, depth, channels, classes):
    from pocketnet.models.build import build

    network = Network(dimensions=dimensions, depth=depth, channels=channels, classes=classes, feature_maps=4)
    model = build(network, network.divisor)
    assert model.output_shape == (None, *network.divisor, classes)


@pytest.mark.parametrize("arch, convolution", [("unet", "separable"), ("resnet", "standard"), ("densenet", "standard"),
                                               ("hrnet", "standard")])
def test_a_network_of_slices_has_the_parameters_of_a_2d_network(arch, convolution):
    flat = Network(arch=arch, dimensions=2, depth=1, convolution=convolution)
    sliced = Network(arch=arch, depth=1, convolution=convolution, kernel=(3, 1, 3), pooling=((2, 1, 2),))
    assert count(sliced) == count(flat) < count(replace(flat, dimensions=3, kernel=(), pooling=()))


def test_anisotropic_pooling_and_additive_skip():
    from pocketnet.models.build import build

    network = Network(depth=2, feature_maps=4, pooling=((2, 2, 1), (2, 2, 2)), skip="add", norm="instance")
    assert build(network, (8, 8, 4)).output_shape == (None, 8, 8, 4, 2)
    with pytest.raises(UsageError, match=r"multiple of \(4, 4, 2\)"):
        build(network, (8, 8, 3))


def test_a_leaky_relu_lets_a_hundredth_through_and_has_no_weights():
    import numpy as np
    from pocketnet.models.build import build

    network = Network(depth=1, feature_maps=4, activation="leaky_relu")
    model = build(network)
    layer = model.get_layer("encoder0_relu1")
    np.testing.assert_allclose(layer(np.float32([-2, 3])), [-0.02, 3], rtol=1e-6)
    assert model.count_params() == count(Network(depth=1, feature_maps=4))


@pytest.mark.parametrize("text, first, depths", [
    ("full", 32, [32, 64, 128, 256]), ("pocket", 16, [16, 16, 16, 16]), ("capped64", 32, [32, 64, 64, 64]),
    ("CAPPED(40)", 32, [32, 40, 40, 40])])
def test_width_policy(text, first, depths):
    assert [parse_width(text).feature_maps(first, d) for d in range(4)] == depths


@pytest.mark.parametrize("text", ["wide", "capped", "capped0", "capped-", ""])
def test_unknown_width_is_refused(text):
    with pytest.raises(UsageError, match="Unknown width"):
        parse_width(text)


@pytest.mark.parametrize("change, message", [
    ({"arch": "vnet"}, "Unknown architecture"), ({"dimensions": 4}, "2 or 3 dimensions"),
    ({"channels": 0}, "channels"), ({"depth": -1}, "negative"), ({"norm": "layer"}, "normalisation"),
    ({"skip": "sum"}, "skip"), ({"activation": "gelu"}, "activation"), ({"pooling": ((2, 2),)}, "Pooling")])
def test_what_cannot_be_built_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        Network(**change)


def test_command_lists_networks_as_json():
    ran = CliRunner().invoke(main, ["--arch", "unet", "--depth", "2", "--feature-maps", "4", "--channels", "1",
                                    "--json"])
    assert ran.exit_code == 0, ran.output
    rows = json.loads(ran.output)
    assert [(r["arch"], r["width"]) for r in rows] == [("unet", "full"), ("unet", "pocket")]
    assert all(r["parameters"] > 0 and r["saving_true"] >= 1 for r in rows)
