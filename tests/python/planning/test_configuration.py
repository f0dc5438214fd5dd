"""2D and 3D plans: which ones a dataset gets, and that a 2D plan never joins slices."""

import json
from math import prod

import checked
import made
import pytest
from click.testing import CliRunner
from pocketnet.cli.plan import main
from pocketnet.contracts.plan import Plan
from pocketnet.errors import DataError, UsageError
from pocketnet.planning.plan import PlanOverrides, make_plan, make_plans
from pocketnet.planning.recipes import RECIPES, load

SLICES = {"shape": [320, 256, 1], "spacing_mm": [1, 1, 999]}
HEART = {"shape": [216, 256, 9], "spacing_mm": [1.5, 1.5, 10]}
CORONAL = {"shape": [216, 9, 256], "spacing_mm": [1.5, 10, 1.5]}
LIVER = {"shape": [512, 512, 200], "spacing_mm": [0.8, 0.8, 2.5]}
MANY = {"shape": [512, 512, 67], "spacing_mm": [0.8, 0.8, 4.5]}  # far apart, but not few
THICK = {"shape": [100, 100, 60], "spacing_mm": [0.8, 0.8, 5]}  # thick slices, but many of them
HEAD = {"shape": [240, 240, 155], "spacing_mm": [1, 1, 1]}
NAMES = ("quick", "paper", "paper-code", "best")


def plans(image, recipe="quick", **wish):
    return make_plans(made.manifest(), made.fingerprint({"a": image}), recipe, seed=1, overrides=PlanOverrides(**wish))


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


@pytest.mark.parametrize("image, recipe, wanted, names", [
    (SLICES, "quick", None, ["2d"]), (SLICES, "quick", "auto", ["2d"]), (HEART, "quick", None, ["2d", "3d"]),
    (HEART, "best", None, ["2d", "3d"]), (HEART, "paper", None, ["3d"]), (HEART, "paper", "auto", ["2d", "3d"]),
    (HEART, "quick", "2d", ["2d"]), (CORONAL, "quick", "auto", ["2d", "3d"]), (LIVER, "quick", "auto", ["3d"]),
    (MANY, "best", "auto", ["3d"]), (THICK, "quick", "auto", ["3d"]), (HEAD, "quick", None, ["3d"]),
    (HEAD, "best", "auto", ["3d"]), (HEAD, "quick", "2d,3d", ["2d", "3d"]), (HEAD, "quick", "3d,2d", ["2d", "3d"])])
def test_both_configurations_are_planned_only_where_2d_may_be_better_or_wished(image, recipe, wanted, names):
    found = plans(image, recipe, configuration=wanted)
    assert [one.configuration.name for one in found] == names
    assert [one.configuration.beside for one in found] == ([None] if len(names) == 1 else names[::-1])
    assert plan(image, recipe, configuration=wanted).configuration.beside is None  # it is alone
    if len(found) > 1:
        flat, deep = found
        assert flat.preprocessing == deep.preprocessing and flat.labels == deep.labels and flat.seed == deep.seed
        assert [one.named("pocket") for one in found] == ["pocket-2d", "pocket-3d"]
        assert flat.network_of("unet", "full-2d") != deep.network_of("unet", "full-3d")
        with pytest.raises(UsageError, match="is for 3d, the plan is for 2d"):
            flat.network_of("unet", "full-3d")


def test_a_patch_of_three_sides_is_for_both_plans():
    flat, deep = plans(HEART, patch=[64, 48, 8], configuration="2d,3d")
    assert (flat.training.patch, deep.training.patch) == ((64, 48, 1), (64, 48, 8))


@pytest.mark.parametrize("wanted, message", [
    ("auto,2d", "auto stands alone"), ("2d,2d", "given twice"), ("2d,25d", "Unknown configuration '25d'")])
def test_lists_that_mean_nothing_are_refused(wanted, message):
    with pytest.raises(UsageError, match=message):
        plans(HEART, configuration=wanted)


def test_the_command_writes_a_plan_for_each_configuration(tmp_path):
    cases = [made.case(f"c{number}", label=f"c{number}_seg.nii.gz") for number in range(6)]
    made.manifest(cases).write(tmp_path / "manifest.json")
    prints = {}

    def ask(image, *options, code=0):
        prints.update({f"c{number}": image for number in range(6)})
        made.fingerprint(prints).write(tmp_path / "fingerprint.json")
        done = CliRunner().invoke(main, [
            "--manifest", str(tmp_path / "manifest.json"), "--fingerprint", str(tmp_path / "fingerprint.json"),
            "--folds", "3", "-o", str(tmp_path / "out"), "--width", "pocket", "--json", *options])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if code == 0 else done.stderr

    both = ask(HEART)
    for key, name, configuration in (("plan", "plan", "3d"), ("plan_2d", "plan-2d", "2d")):
        written = checked.read_json(tmp_path / f"out/{name}.json", "plan")
        assert both[key].items() <= written.items() and both[key]["configuration"]["name"] == configuration
    assert {(entry["mode"], entry["width"]) for entry in both["predicted"]} == {
        (mode, width) for mode in ("train", "infer") for width in ("pocket-2d", "pocket-3d")}
    (tmp_path / "mine.json").write_bytes((tmp_path / "out/plan-2d.json").read_bytes())
    alone = ask(HEART, "--edited", str(tmp_path / "mine.json"))
    assert alone["plan"]["configuration"].keys() == {"name", "reason"} and not (tmp_path / "out/plan-2d.json").exists()
    assert {entry["width"] for entry in alone["predicted"]} == {"pocket"}
    assert "one configuration only" in ask(HEART, "--configuration", "2d,3d", "--training-sizes", "1,2", code=2)
    message = ask(SLICES, "--configuration", "2d,3d", code=2)
    assert "3D network cannot be trained on single slices" in message and "--configuration 2d,3d" in message
    assert "Use 2d or auto" in message


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


def test_best_augments_slices_more_than_volumes():
    flat, volume = (plan(HEART, "best", configuration=name).training.augmentation for name in ("2d", "3d"))
    assert (flat.rotation_degrees, volume.rotation_degrees) == ((-45, 45), (-15, 15))
    assert (flat.rotation, flat.elastic, volume.rotation, volume.elastic) == (0.5, 0.3, 0.3, 0)
    assert flat.noise_sd == volume.noise_sd


@pytest.mark.parametrize("image, wanted, patch, batch, depth", [
    ({"shape": [35, 50, 36], "spacing_mm": [1, 1, 1]}, None, (32, 48, 32), 2, 3),
    ({"shape": [125, 141, 9], "spacing_mm": [1.5, 1.5, 10]}, "2d", (128, 128, 1), 6, 5),
    ({"shape": [125, 141, 9], "spacing_mm": [1.5, 1.5, 10]}, "3d", (128, 128, 8), 1, 5),
    (HEAD, None, (64, 64, 64), 1, 4), (LIVER, None, (96, 96, 16), 1, 4), (SLICES, None, (320, 256, 1), 2, 5)])
def test_best_adapts_patch_batch_and_depth_to_the_images(image, wanted, patch, batch, depth):
    found = plan(image, "best", configuration=wanted)
    assert (found.training.patch, found.training.batch, found.network.depth) == (patch, batch, depth)


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
