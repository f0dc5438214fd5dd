"""The patch and its halvings: together where spacings are alike, the finer axes first where they are not."""

from dataclasses import replace
from math import prod

import made
import pytest
import tiny
from pocketnet.models.build import build
from pocketnet.models.network import Network
from pocketnet.models.pooling import pooling_of_patch, pooling_of_shape
from pocketnet.planning.patch import choose_patch
from pocketnet.planning.plan import PlanOverrides, make_plan

ALL, IN_PLANE = (2, 2, 2), (2, 2, 1)


@pytest.mark.parametrize("patch, depth", [((128, 128, 128), 5), ((32, 48, 32), 3), ((64, 64, 64), 4), ((20, 20, 20), 2),
                                          ((7, 8, 8), 0)])
def test_alike_spacings_are_halved_together_and_leave_four_voxels(patch, depth):
    assert pooling_of_patch(patch, (1, 1, 1.9), 5) == (ALL,) * depth


@pytest.mark.parametrize("spacing, patch, expected", [
    ((1, 1, 2), (32, 32, 16), [IN_PLANE, ALL, ALL]),
    ((0.8, 0.8, 5), (64, 64, 16), [IN_PLANE, IN_PLANE, ALL, ALL]),
    ((0.8, 0.8, 5), (64, 64, 4), [IN_PLANE] * 4),  # the thick axis bears nothing and stays
    ((5, 0.8, 0.8), (8, 64, 64), [(1, 2, 2), (1, 2, 2), ALL, (1, 2, 2)]),
    ((0.5, 1.2, 5), (64, 32, 16), [(2, 1, 1), ALL[:2] + (1,), ALL[:2] + (1,), (2, 2, 2)]),
])
def test_a_coarse_axis_waits_for_the_others(spacing, patch, expected):
    assert list(pooling_of_patch(patch, spacing, 5)) == expected
    current = list(spacing)
    for factors in expected:  # nnU-Net's rule: nothing is halved that is twice as coarse as what is halved with it
        together = [s for s, f in zip(current, factors, strict=True) if f == 2]
        assert max(together) < 2 * min(together)
        current = [s * f for s, f in zip(current, factors, strict=True)]


def test_patch_keeps_within_its_voxels():
    pooling = pooling_of_shape((240, 240, 155), (1, 1, 1), 3)
    patch = choose_patch((240, 240, 155), (1, 1, 1), 64, 49152, pooling)
    assert prod(patch) <= 49152 and all(side % 8 == 0 for side in patch)


def test_a_patch_of_thick_slices_covers_alike_lengths():
    spacing = (0.8, 0.8, 5)
    pooling = pooling_of_shape((512, 512, 60), spacing, 3)
    patch = choose_patch((512, 512, 60), spacing, 64, 49152, pooling)
    assert pooling == (IN_PLANE, IN_PLANE, ALL) and prod(patch) <= 49152
    lengths = [side * mm for side, mm in zip(patch, spacing, strict=True)]
    assert max(lengths) < 2 * min(lengths) and patch[2] < patch[0]


@pytest.mark.parametrize("recipe, wish, pooling", [
    ("quick", {}, (IN_PLANE, IN_PLANE, ALL)),
    ("quick", {"patch": [16, 16, 8]}, (IN_PLANE, IN_PLANE)),
    ("quick", {"depth": 2}, (IN_PLANE, IN_PLANE)),
    ("quick", {"depth": 0}, ()),
    ("paper", {}, (ALL, ALL, ALL)),  # the paper halves every axis
])
def test_the_plan_pools_by_spacing(recipe, wish, pooling):
    scan = made.fingerprint({"a": {"shape": [200, 200, 30], "spacing_mm": [0.8, 0.8, 5]}})
    plan = make_plan(made.manifest(), scan, recipe, seed=1,
                     overrides=PlanOverrides(**wish, configuration="3d"))
    assert plan.network.pooling == pooling and plan.network.depth == len(pooling)


@pytest.mark.parametrize("arch", ["unet", "resnet", "densenet", "hrnet"])
@pytest.mark.parametrize("dimensions, channels, classes", [(2, 3, 4), (3, 2, 3)])
def test_every_network_is_built_with_it(arch, dimensions, channels, classes):
    pooling = tuple(factors[-dimensions:] for factors in (IN_PLANE, IN_PLANE, ALL))
    network = Network(arch=arch, dimensions=dimensions, channels=channels, classes=classes, depth=3, feature_maps=2,
                      pooling=pooling)
    patch = (16, 16, 4)[-dimensions:]
    assert build(network, patch).output_shape == (None, *patch, classes)


@pytest.mark.parametrize(("pooling", "expected"), [
    ((), (4, 4, 4)), (((2, 2, 1), (2, 2, 2)), (4, 4, 2)), (((1, 2, 1), (2, 2, 1)), (2, 4, 1))])
def test_the_plan_knows_what_divides_a_patch_as_its_networks_do(pooling, expected):
    network = replace(tiny.plan().network, pooling=pooling)
    assert network.divisor == network.network("unet", "pocket").divisor == expected
