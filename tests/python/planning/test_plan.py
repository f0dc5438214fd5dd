"""Patch, depth and folds are chosen as documented, and impossible wishes are refused."""

import json
from dataclasses import replace
from pathlib import Path

import made
import numpy as np
import pytest
from pocketnet.contracts.plan import Plan, Preprocessing
from pocketnet.contracts.splits import Intensity, fewest_cases
from pocketnet.errors import DataError, UsageError
from pocketnet.planning.folds import make_folds
from pocketnet.planning.plan import PlanOverrides, check_edited, make_plan, without_augmentation
from pocketnet.planning.preprocessing import check_belongs
from pocketnet.planning.recipes import load
from pocketnet.planning.splits import intensity_constants
from sklearn.model_selection import KFold

MANIFEST = made.manifest()


def fingerprint(shape, spacing=(1, 1, 1)):
    return made.fingerprint({"a": {"shape": list(shape), "spacing_mm": list(spacing)}})


@pytest.mark.parametrize("shape, recipe, patch, depth", [
    ((35, 50, 36), "quick", (32, 48, 32), 3),
    ((140, 173, 137), "quick", (32, 32, 40), 3),
    ((240, 240, 155), "paper", (128, 128, 128), 5),
    ((35, 50, 36), "paper", (32, 48, 32), 3),
    ((12, 90, 90), "quick", None, None),
])
def test_plan_suits_the_images(shape, recipe, patch, depth):
    plan = make_plan(MANIFEST, fingerprint(shape), recipe, seed=1)
    if patch:
        assert (plan.training.patch, plan.network.depth) == (patch, depth)
    # Whatever is chosen can be built.
    plan.network.network("unet", "pocket").check_patch(plan.training.patch)


def test_plan_follows_the_target_spacing():
    manifest = replace(MANIFEST, preprocessing=replace(MANIFEST.preprocessing, spacing_mm=(2.0, 2.0, 2.0)))
    plan = make_plan(manifest, fingerprint((64, 64, 64)), "quick", seed=1)
    assert plan.training.patch == (32, 32, 32)


@pytest.mark.parametrize("wish, message", [
    ({"batch": 0}, "--batch must be at least 1"), ({"epochs": 0}, "--epochs"),
    ({"feature_maps": 0}, "--feature-maps must be at least 1"), ({"depth": -1}, "--depth must be at least 0"),
    ({"patch": [32, 32]}, "1 or 3 positive"), ({"patch": [30], "depth": 3}, "multiple of"),
    ({"recipe": "papper"}, "Use one of: quick, paper"),
    ({"postprocessing": "biggest"}, "auto, largest, none"), ({"mirroring": "sometimes"}, "auto, always, never"),
    ({"mirroring": "always"}, "quick does not mirror patches in training"),
    ({"loss": "hinge"}, "l2_dice or dice_cross_entropy"), ({"precision": "half"}, "mixed_float16")])
def test_impossible_wishes_are_refused(wish, message):
    wish = dict(wish)
    with pytest.raises(UsageError, match=message):
        make_plan(MANIFEST, fingerprint((35, 50, 36)), wish.pop("recipe", "quick"), seed=1,
                  overrides=PlanOverrides(**wish))


@pytest.mark.parametrize("wanted, expected", [("auto", "auto"), ("largest", True), ("none", False), (None, "auto")])
@pytest.mark.parametrize("recipe", ["quick", "paper", "best"])
def test_postprocessing_is_the_papers_on_request(recipe, wanted, expected):
    plan = make_plan(MANIFEST, fingerprint((35, 50, 36)), recipe, seed=1, overrides=PlanOverrides(
        postprocessing=wanted))
    assert plan.inference.largest_component == expected and Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("recipe, wanted, expected", [
    ("quick", None, "auto"), ("best", None, "auto"), ("best", "never", False), ("paper", None, False),
    ("paper", "always", True), ("paper", "auto", "auto")])
def test_the_paper_does_not_mirror_at_inference(recipe, wanted, expected):
    plan = make_plan(MANIFEST, fingerprint((35, 50, 36)), recipe, seed=1, overrides=PlanOverrides(mirroring=wanted))
    assert plan.inference.mirrored == expected and Plan.from_json(plan.to_json()) == plan


def test_papers_recipe_says_what_its_text_says():
    plan = make_plan(MANIFEST, fingerprint((240, 240, 155)), "paper", seed=1)
    training, network, inference = plan.training, plan.network, plan.inference
    assert (training.patch, training.batch, network.feature_maps, network.depth) == ((128,) * 3, 2, 32, 5)
    assert (training.loss, training.optimizer, training.learning_rate, training.plateau_factor) == (
        "l2_dice", "adam", 0.001, 0.9)
    assert min(training.augmentation.flip, training.augmentation.noise, training.augmentation.blur) > 0
    assert (inference.overlap, inference.gaussian_sigma, inference.largest_component) == (0.5, 0.125, "auto")
    assert (training.clip_norm, training.precision) == (None, "float32")  # its text has neither


def test_paper_code_adds_clipping_and_mixed_precision_to_paper():
    paper, code = (make_plan(MANIFEST, fingerprint((240, 240, 155)), name, seed=1) for name in ("paper", "paper-code"))
    assert (code.training.clip_norm, code.training.precision) == (0.1, "mixed_float16")
    assert replace(code, recipe="paper", training=replace(
        code.training, clip_norm=None, precision="float32")) == paper


def test_best_has_the_classifier_of_quick_with_a_schedule_and_a_rate_of_its_own():
    quick, best = (load(name, "classification") for name in ("quick", "best"))
    for name in ("depth", "feature_maps", "norm"):
        assert best[name] == quick[name]
    for name in ("batch", "epochs", "steps_per_epoch", "loss", "augmentation"):
        assert best["training"][name] == quick["training"][name]
    assert (best["training"]["learning_rate"], best["training"]["schedule"]) == (0.003, "cosine")


@pytest.mark.parametrize("epochs, warm_up", [(None, 200), (20, 200), (19, 190), (1, 10)])
def test_a_warm_up_is_at_most_a_tenth_of_the_steps(epochs, warm_up):
    training = make_plan(MANIFEST, fingerprint((35, 50, 36)), "best", seed=1,
                         overrides=PlanOverrides(epochs=epochs)).training
    assert (training.steps_per_epoch, training.warm_up_steps) == (100, warm_up)


def test_loss_and_precision_override_the_recipes():
    training = make_plan(MANIFEST, fingerprint((35, 50, 36)), "quick", seed=1, overrides=PlanOverrides(
        loss="dice_cross_entropy", precision="mixed_bfloat16")).training
    assert (training.loss, training.precision) == ("dice_cross_entropy", "mixed_bfloat16")
    with pytest.raises(UsageError, match="--loss cannot be 'l2_dice' in a classification"):
        make_plan(made.classes(), fingerprint((64, 64), (1, 1)), "quick", seed=1,
                  overrides=PlanOverrides(loss="l2_dice"))


def test_every_override_replaces_the_recipes_value():
    quick = make_plan(MANIFEST, fingerprint((35, 50, 36)), "quick", seed=1)
    wish = {"batch": 1, "epochs": 7, "steps_per_epoch": 1, "accumulate": 3}
    plan = make_plan(MANIFEST, fingerprint((35, 50, 36)), "quick", seed=2, overrides=PlanOverrides(
        **wish, feature_maps=1, depth=1, rematerialise=True, patch=[18, 20, 22]))
    assert {name: getattr(plan.training, name) for name in wish} == wish
    assert plan.training.rematerialise and not quick.training.rematerialise
    assert (plan.network.feature_maps, plan.network.depth, plan.training.patch) == (1, 1, (18, 20, 22))
    assert (plan.seed, plan.recipe, plan.dataset) == (2, "quick", "hippocampus")
    assert make_plan(MANIFEST, fingerprint((35, 50, 36)), "quick", seed=1,
                     overrides=PlanOverrides(depth=0, patch=[5])).network.pooling == ()


def test_augmentation_alone_can_be_turned_off():
    plan = make_plan(MANIFEST, fingerprint((35, 50, 36)), "best", seed=1)
    still = without_augmentation(plan)
    assert still.training.augmentation == plan.training.augmentation.off() != plan.training.augmentation
    assert replace(still, training=replace(still.training, augmentation=plan.training.augmentation)) == plan


def test_a_fingerprint_of_other_cases_modalities_or_dimensions_is_refused():
    manifest = made.manifest([made.case(name, label="seg.nii.gz") for name in "abc"])
    cases = {name: {"shape": [9, 9, 9], "spacing_mm": [1, 1, 1]} for name in "abc"}
    check_belongs(made.fingerprint(cases), manifest, "f.json")
    flat = {"shape": [9, 9], "spacing_mm": [1, 1]}
    with pytest.raises(DataError) as caught:
        check_belongs(made.fingerprint({"b": cases["b"], "c": flat}, summary=flat | {"cropped_shape": [9, 9]}),
                      manifest, "f.json")
    assert caught.value.problems == [
        "a: there is no such case", "c: shape, cropped_shape and spacing_mm do not all have 3 axes",
        "summary: its entries do not all have 3 axes"]
    assert caught.value.where == "f.json" and "pocket-check" in caught.value.todo
    with pytest.raises(DataError) as caught:
        check_belongs(made.fingerprint(cases, ["CT"]), manifest, "f.json")
    assert caught.value.problems[0] == "a: intensities of ['CT'], expected ['MRI']"


def test_losses_have_one_list_of_names():
    from pocketnet.cli.plan import main as plan
    from pocketnet.contracts.kinds import json_schema
    from pocketnet.contracts.plan import LOSS_NAMES, PRECISIONS
    from pocketnet.training.losses import LOSSES

    training = json_schema("plan")["$defs"]["Training"]["properties"]
    assert tuple(LOSSES) == LOSS_NAMES == tuple(training["loss"]["enum"])
    assert tuple(training["precision"]["enum"]) == PRECISIONS
    groups = json.loads((Path(__file__).parents[3] / "nextflow_schema.json").read_text())["$defs"].values()
    [parameter] = [group["properties"]["loss"] for group in groups if "loss" in group["properties"]]
    assert tuple(parameter["enum"]) == LOSS_NAMES
    [option] = [option for option in plan.params if option.name == "loss"]
    assert all(name in option.help for name in LOSS_NAMES)


def test_plan_survives_its_file_and_an_edit(tmp_path):
    plan = make_plan(MANIFEST, fingerprint((35, 50, 36)), "quick", seed=1,
                     overrides=PlanOverrides(patch=[16], batch=3))
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan
    assert Preprocessing.read(tmp_path / "plan.json") == plan.preprocessing
    value = json.loads((tmp_path / "plan.json").read_text())
    value["training"]["patch"] = [17, 16, 16]
    (tmp_path / "plan.json").write_text(json.dumps(value))
    with pytest.raises(UsageError, match="multiple of"):
        Plan.read(tmp_path / "plan.json")
    value["training"]["loss"] = "hinge"
    value["training"]["batch"] = 0
    (tmp_path / "plan.json").write_text(json.dumps(value))
    with pytest.raises(DataError) as caught:
        Plan.read(tmp_path / "plan.json")
    assert len(caught.value.problems) == 2 and "training.loss" in str(caught.value)


def test_edited_plan_of_another_dataset_is_refused(tmp_path):
    plan = make_plan(MANIFEST, fingerprint((35, 50, 36)), "quick", seed=1)
    check_edited(plan, MANIFEST, "plan.json")
    with pytest.raises(UsageError, match="modalities(?s:.*)again with pocket-plan"):
        check_edited(plan, made.manifest([made.case("a", images=["1", "2"])], modalities=["T1", "T2"]), "plan.json")


def test_cut_down_plan_is_enough_to_preprocess(tmp_path):
    plan = make_plan(MANIFEST, fingerprint((35, 50, 36)), "quick", seed=1)
    (tmp_path / "p.json").write_text(json.dumps({"preprocessing": plan.to_json()["preprocessing"]}))
    assert Preprocessing.read(tmp_path / "p.json") == plan.preprocessing
    (tmp_path / "p.json").write_text(json.dumps({"preprocessing": {"crop": "nonzero"}}))
    with pytest.raises(DataError, match="normalisation"):
        Preprocessing.read(tmp_path / "p.json")


def test_folds_follow_nnunets_rule_and_keep_cases_apart():
    names = [f"case_{i:03d}" for i in range(23)]
    folds = make_folds(list(reversed(names)), 5, 12345)
    expected = [[names[i] for i in test] for _, test in KFold(5, shuffle=True, random_state=12345).split(names)]
    assert [fold.test for fold in folds] == expected
    assert sorted(case for fold in folds for case in fold.test) == names
    for fold in folds:
        parts = fold.train, fold.validation, fold.test
        assert sorted(sum(parts, [])) == names and all(parts)
    assert folds == make_folds(names, 5, 12345) != make_folds(names, 5, 1)


@pytest.mark.parametrize("number, folds, seed", [(4, 2, 0), (10, 3, 7), (11, 11, 12345), (260, 5, 12345),
                                                 (1001, 10, 2**32 - 1)])
def test_test_parts_are_those_of_scikit_learn(number, folds, seed):
    names = [f"case_{i:04d}" for i in range(number)]
    expected = [[names[i] for i in test] for _, test in KFold(folds, shuffle=True, random_state=seed).split(names)]
    assert [fold.test for fold in make_folds(names, folds, seed)] == expected


@pytest.mark.parametrize("cases, folds, error", [(2, 2, DataError), (3, 2, DataError), (4, 5, DataError),
                                                 (9, 1, UsageError)])
def test_too_few_cases_or_folds(cases, folds, error):
    with pytest.raises(error):
        make_folds([str(i) for i in range(cases)], folds, 0)


@pytest.mark.parametrize("cases, todo", [(4, "Use --folds 4"), (3, "Use --folds 3"), (2, "Provide at least 3")])
def test_too_few_cases_are_told_how_many_folds_there_may_be(cases, todo):
    with pytest.raises(DataError, match=f"{cases} labelled cases are too few for 5 folds(?s:.*){todo}"):
        make_folds([str(index) for index in range(cases)], 5, 0)


@pytest.mark.parametrize("folds", [2, 3, 4, 7])
def test_the_fewest_cases_are_enough_for_every_part(folds):
    for fold in make_folds([str(i) for i in range(fewest_cases(folds))], folds, 0):
        assert fold.train and fold.validation and fold.test


def test_intensity_constants_come_from_training_cases_only():
    def prints_of(**samples):
        return made.fingerprint({name: {"shape": [9, 9, 9], "spacing_mm": [1, 1, 1], "samples": [values]}
                                 for name, values in samples.items()}, ["CT"])

    prints = prints_of(a=[0.0, 10.0], b=[20.0, 1000.0], test=[1e9])
    constants = intensity_constants(prints, ["a", "b"], ["CT"])[0]
    values = np.array([0.0, 10.0, 20.0, 1000.0])
    low, high = np.percentile(values, (0.5, 99.5))
    assert constants == Intensity("CT", values.mean(), values.std(), low, high)
    with pytest.raises(DataError, match="labelled voxel") as caught:
        intensity_constants(prints_of(a=[]), ["a"], ["CT"])
    assert caught.value.problems == ["a"]
