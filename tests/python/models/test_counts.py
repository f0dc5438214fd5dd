"""Parameter counts: exactly those that reproduce the paper's (Table I and IV), and the widths behind them."""

import json

import pytest
from click.testing import CliRunner
from pocketnet.cli.models import main
from pocketnet.errors import UsageError
from pocketnet.models.counts import count, row
from pocketnet.models.network import Network
from pocketnet.models.widths import parse_width, predicted_saving


@pytest.mark.parametrize("width, channels, parameters", [
    ("full", 1, 90_498_306),
    ("pocket", 1, 764_418),
    ("full", 4, 90_500_898),
    ("pocket", 4, 767_010),
    ("capped1024", 1, 90_498_306),  # the ablation's d = 0
    ("capped512", 1, 60_084_482),
    ("capped(256)", 1, 24_359_426),
    ("capped128", 1, 8_394_754),
    ("capped64", 1, 2_643_394),
    ("capped32", 1, 764_418),
])
def test_unet_has_the_papers_parameters(width, channels, parameters):
    assert count(Network(width=width, channels=channels)) == parameters


@pytest.mark.parametrize("width, published", [
    ("full", 90.5), ("capped512", 60.0), ("capped256", 24.3), ("capped128", 8.4), ("capped64", 2.6), ("pocket", 0.8)])
def test_unet_agrees_with_table_iv(width, published):
    # Some of the table's figures are rounded, others cut off after the digit.
    assert count(Network(width=width)) / 1e6 == pytest.approx(published, abs=0.1)


@pytest.mark.parametrize("dimensions, depth, channels, classes", [(2, 3, 1, 2), (2, 5, 3, 4), (3, 0, 1, 2), (3, 2, 2, 5)])
def test_any_dimensions_depth_channels_and_classes(dimensions, depth, channels, classes):
    from pocketnet.models.build import build

    network = Network(dimensions=dimensions, depth=depth, channels=channels, classes=classes, feature_maps=4)
    model = build(network, network.divisor)
    assert model.output_shape == (None, *network.divisor, classes)


def test_anisotropic_pooling_and_additive_skip():
    from pocketnet.models.build import build

    network = Network(depth=2, feature_maps=4, pooling=((2, 2, 1), (2, 2, 2)), skip="add", norm="instance")
    assert build(network, (8, 8, 4)).output_shape == (None, 8, 8, 4, 2)
    with pytest.raises(UsageError, match=r"multiple of \(4, 4, 2\)"):
        build(network, (8, 8, 3))


def test_the_true_saving_stands_beside_the_formulas():
    entry = row(Network(width="pocket"))
    assert entry["saving_formula"] == 227.5 == round(predicted_saving(5), 1)
    assert entry["saving_true"] == 118.4


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
    ({"skip": "sum"}, "skip"), ({"pooling": ((2, 2),)}, "Pooling")])
def test_what_cannot_be_built_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        Network(**change)


def test_command_lists_networks_as_json():
    ran = CliRunner().invoke(main, ["--depth", "2", "--feature-maps", "4", "--channels", "1", "--json"])
    assert ran.exit_code == 0, ran.output
    rows = json.loads(ran.output)
    assert [(r["arch"], r["width"]) for r in rows] == [("unet", "full"), ("unet", "pocket")]
    assert all(r["parameters"] > 0 and r["saving_true"] >= 1 for r in rows)
