"""2D and 3D plans: which one a dataset gets, and that a 2D plan never joins slices."""

from math import prod

import made
import pytest
from pocketnet.contracts.plan import Plan
from pocketnet.errors import DataError, UsageError
from pocketnet.planning.plan import PlanOverrides, make_plan
from pocketnet.planning.recipes import RECIPES, load

SLICES = {"shape": [320, 256, 1], "spacing_mm": [1, 1, 999]}
HEART = {"shape": [216, 256, 9], "spacing_mm": [1.5, 1.5, 10]}
CORONAL = {"shape": [216, 9, 256], "spacing_mm": [1.5, 10, 1.5]}
LIVER = {"shape": [512, 512, 200], "spacing_mm": [0.8, 0.8, 2.5]}
MANY = {"shape": [512, 512, 67], "spacing_mm": [0.8, 0.8, 4.5]}  # far apart, but not few
THICK = {"shape": [100, 100, 60], "spacing_mm": [0.8, 0.8, 5]}  # thick slices, but many of them
HEAD = {"shape": [240, 240, 155], "spacing_mm": [1, 1, 1]}
NAMES = ("quick", "paper", "paper-code", "best")


def plan(image, recipe="quick", **wish):
    return make_plan(made.manifest(), made.fingerprint({"a": image}), recipe, seed=1, overrides=PlanOverrides(**wish))


@pytest.mark.parametrize("image, wanted, name, through", [
    (SLICES, None, "2d", 2), (SLICES, "2d", "2d", 2), ({"shape": [1, 90, 80], "spacing_mm": [1, 1, 1]}, None, "2d", 0),
    (HEART, None, "2d", 2), (HEART, "auto", "2d", 2), (HEART, "3d", "3d", None), (CORONAL, None, "2d", 1),
    (LIVER, None, "3d", None), (MANY, None, "3d", None), (THICK, None, "3d", None), (HEAD, None, "3d", None),
    (HEAD, "2d", "2d", 2)])
def test_few_slices_far_apart_are_2d(image, wanted, name, through):
    made_plan = plan(image, configuration=wanted)
    assert (made_plan.configuration.name, made_plan.network.through) == (name, through)
    assert " × ".join(map(str, image["shape"])) in made_plan.configuration.reason
    if through is not None:
        across = [axis for axis in range(3) if axis != through]
        assert made_plan.training.patch[through] == 1 and made_plan.network.kernel[through] == 1
        assert all(factors[through] == 1 for factors in made_plan.network.pooling)
        assert list(made_plan.training.augmentation.flip_axes) == across
    assert Plan.parse(made_plan.to_file(), "plan.json") == made_plan


@pytest.mark.parametrize("recipe", NAMES)
@pytest.mark.parametrize("image", [SLICES, {"shape": [1216, 882, 1], "spacing_mm": [1, 1, 999]}])
def test_single_slices_get_a_depth_of_at_least_3_with_every_recipe(recipe, image):
    made_plan = plan(image, recipe)
    usual = load(recipe)
    assert made_plan.network.depth == usual["depth"] >= 3
    assert prod(made_plan.training.patch) <= usual["patch_voxels"]
    assert made_plan.training.batch >= usual["training"]["batch"]


def test_every_recipe_is_tested():
    import json

    assert tuple(json.loads(RECIPES.read_text(encoding="utf-8"))) == NAMES


@pytest.mark.parametrize("recipe, depth", [("paper", 5), ("quick", 3)])
def test_anisotropic_volumes_are_deep_in_3d(recipe, depth):
    made_plan = plan(HEART, recipe, configuration="3d")
    assert made_plan.network.depth == depth and made_plan.configuration.name == "3d"
    assert sum(factors[2] == 2 for factors in made_plan.network.pooling) == 1


def test_the_paper_stays_in_3d_and_halves_all_axes_where_it_can():
    assert plan(LIVER, "paper").network.pooling == ((2, 2, 2),) * 5
    assert plan(HEART, "paper").configuration.name == "3d"


def test_a_step_in_2d_takes_the_voxels_of_one_in_3d():
    assert plan(HEART).training.batch == 2 * 49152 // prod(plan(HEART).training.patch)
    assert plan(SLICES, "paper").training.batch == 32
    assert plan(HEART, batch=7).training.batch == 7


@pytest.mark.parametrize("patch, found", [([64], (64, 64, 1)), ([64, 32], (64, 32, 1)), ([64, 32, 1], (64, 32, 1))])
def test_a_patch_in_2d_may_leave_out_the_axis_of_one_voxel(patch, found):
    assert plan(HEART, patch=patch).training.patch == found


@pytest.mark.parametrize("image, wish, message", [
    (SLICES, {"configuration": "3d"}, "single slices"), (HEART, {"configuration": "25d"}, "Unknown configuration"),
    (HEART, {"patch": [64, 64, 8]}, "1 or 2 positive"), (HEART, {"patch": [64, 64], "configuration": "3d"}, "1 or 3")])
def test_what_does_not_fit_is_refused(image, wish, message):
    with pytest.raises(UsageError, match=message):
        plan(image, **wish)


def test_a_classification_has_no_configuration():
    manifest = made.classes([{"case": "a", "class": "negative"}])
    prints = made.fingerprint({"a": {"shape": [64, 64], "spacing_mm": [1, 1]}})
    assert make_plan(manifest, prints, "quick", seed=1).configuration is None
    with pytest.raises(UsageError, match="classification"):
        make_plan(manifest, prints, "quick", seed=1, overrides=PlanOverrides(configuration="2d"))


@pytest.mark.parametrize("change, message", [
    ({"configuration": {"name": "3d", "reason": "edited"}}, "network.kernel"),
    ({"network": {"kernel": [3, 1, 3]}}, "cannot be halved"), ({"network": {"kernel": [1, 1, 3]}}, "kernel")])
def test_an_edited_plan_whose_parts_disagree_is_refused(change, message):
    content = plan(HEART).to_file()
    content = {**content, **change, "network": {**content["network"], **change.get("network", {})}}
    with pytest.raises((DataError, UsageError), match=message):
        Plan.parse(content, "plan.json")
