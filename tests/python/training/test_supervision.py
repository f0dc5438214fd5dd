"""Deep supervision: what it minimises, and that what is shipped is the network itself."""

import numpy as np
import pytest
import tiny
from pocketnet import backend
from pocketnet.errors import Stopped, UsageError
from pocketnet.models.network import Network


def trainer(stores, folder, **training):
    import keras
    from pocketnet.models.build import build
    from pocketnet.training.fit import Trainer
    from pocketnet.training.sampling import PatchSampler

    backend.configure(seed=7)
    keras.utils.set_random_seed(7)
    options = {name: training.pop(name) for name in ("deadline",) if name in training}
    plan = tiny.plan(epochs=2, steps_per_epoch=4, deep_supervision=True, **training)
    constants = tiny.splits().folds[0].intensity
    patches = [PatchSampler(plan, stores, cases, constants, 0) for cases in (["case_0", "case_1"], ["case_2"])]
    return Trainer(build(plan.network.network("unet", "pocket")), plan, *patches, folder, log=lambda _: None, **options)


@pytest.mark.parametrize("dimensions, depth, pooling", [(2, 2, ()), (3, 3, ((2, 2, 1), (2, 2, 2), (1, 2, 2)))])
def test_every_level_but_the_bottleneck_predicts_on_the_finest_grid(dimensions, depth, pooling):
    from pocketnet.models.build import build
    from pocketnet.training.supervision import supervised

    network = Network(dimensions=dimensions, depth=depth, pooling=pooling, feature_maps=4, classes=3)
    model = build(network, network.divisor)
    trained = supervised(model)
    assert trained.output.shape == (None, *network.divisor, 3 * depth)
    assert trained.count_params() == model.count_params() + (depth - 1) * (4 * 3 + 3)
    image = np.random.default_rng(0).normal(size=(1, *network.divisor, 1)).astype(np.float32)
    levels = np.split(np.array(trained(image)), depth, axis=-1)
    np.testing.assert_allclose(levels[0], np.array(model(image)), atol=1e-6)
    for level in levels:
        np.testing.assert_allclose(level.sum(axis=-1), 1, atol=1e-5)
    coarse = levels[1]
    np.testing.assert_array_equal(coarse[:, 0::2], coarse[:, 1::2])  # two voxels of the finest level have one value


def test_a_finer_level_counts_twice_as_much():
    from pocketnet.training.losses import LOSSES

    dice_cross_entropy = LOSSES["dice_cross_entropy"]
    from pocketnet.training.supervision import over_levels

    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (2, 4, 4, 4)).astype(np.uint8)
    parts = [rng.dirichlet([1, 1, 1], label.shape).astype(np.float32) for _ in range(3)]
    expected = sum(weight * float(dice_cross_entropy(label, part))
                   for weight, part in zip((4 / 7, 2 / 7, 1 / 7), parts, strict=True))
    found = over_levels(dice_cross_entropy, 3)(label, np.concatenate(parts, axis=-1))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_networks_without_levels_are_refused():
    from pocketnet.models.build import build
    from pocketnet.training.supervision import supervised

    for network in (Network(depth=1, feature_maps=4), Network(arch="hrnet", depth=1, feature_maps=4)):
        with pytest.raises(UsageError, match="at least two downsamplings"):
            supervised(build(network))


def test_it_trains_and_survives_a_stop_to_the_bit(stores, tmp_path):
    whole = trainer(stores, tmp_path / "whole", average_decay=0.8)
    losses = [row["loss"] for row in whole.run().history]
    assert losses[-1] < losses[0]
    with pytest.raises(Stopped):
        trainer(stores, tmp_path / "parts", average_decay=0.8, deadline=0).run()
    resumed = trainer(stores, tmp_path / "parts", average_decay=0.8)
    resumed.run()
    assert resumed.state.attempts[-1]["first_step"] > 1
    for a, b in zip(whole.trained.variables, resumed.trained.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert [value.shape for value in whole.best_variables] == [tuple(v.shape) for v in whole.model.variables]


def test_rematerialisation_is_refused_beside_it(stores, tmp_path):
    with pytest.raises(UsageError, match="cannot be combined"):
        trainer(stores, tmp_path, rematerialise=True)
