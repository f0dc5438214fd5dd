"""Each experiment's table: its numbers, its layout like the paper's, and the published values beside ours."""

import fake_run
import made
import numpy as np
import pandas as pd
import pytest
import tiny
from contracts.examples import example
from pocketnet.contracts.activations import Activations
from pocketnet.contracts.plan import Plan
from pocketnet.contracts.profile import ProfiledConfiguration
from pocketnet.contracts.splits import Fold, Splits
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation import table
from pocketnet.evaluation.comparison import compare
from pocketnet.experiments import (
    ablation,
    accuracy,
    activations,
    definition,
    profile,
    pruning,
    saturation,
    tabulate,
    throughput,
)
from pocketnet.experiments.inputs import Inputs
from pocketnet.experiments.outcome import published
from pocketnet.tracking.records import Model
from sklearn.metrics import roc_auc_score

MANIFEST = made.manifest(labels=fake_run.LABELS)
PLAN = Plan.from_json(fake_run.PLAN)


def splits_of(rule, *sizes):
    """A fold for each size; None for a fold that is no training set of a size."""
    intensity = tiny.splits().folds[0].intensity
    return Splits("hippocampus", rule, 1, tuple(Fold(number, ("a",), ("v",), ("t",), intensity, size)
                                                for number, size in enumerate(sizes)))


def inputs(name, widths=("full", "pocket"), folds=(0, 1), splits=None, **more) -> Inputs:
    """As read from a run with these networks; each width's Dice is a little lower than the one before."""
    rows = pd.concat([fake_run.metrics(width, fold, shift=-0.004 * place, arch=arch)
                      for arch in more.pop("arches", ("unet",)) for place, width in enumerate(widths)
                      for fold in folds])
    comparison = None if splits else compare(rows.assign(file="x"))
    return Inputs(name, MANIFEST, PLAN, splits or splits_of("r", None), comparison, rows=rows, **more)


def dice(found: Inputs, arch: str, width: str) -> pd.Series:
    rows = found.rows[(found.rows["arch"] == arch) & (found.rows["width"] == width)]
    return rows.groupby(["case", "fold"])["dice"].mean()


def test_ablation_stands_beside_the_papers_rows():
    found = inputs("ablation", ("full", "capped128", "capped64", "pocket"))
    rows = ablation.tabulate(found).rows
    assert [row["width"] for row in rows] == ["full", "capped128", "capped64", "pocket"]
    assert [row["stops_after_depth"] for row in rows] == [0, 1, 2, 3]
    assert [row["most_feature_maps"] for row in rows] == [256, 128, 64, 32]
    assert [row["published_most_feature_maps"] for row in rows] == [1024, 512, 256, 32]
    assert [row["published_dice_median"] for row in rows] == [0.952, 0.953, 0.952, 0.952]
    for row in rows:
        values = dice(found, "unet", row["width"])
        assert row["dice_mean"] == pytest.approx(values.mean()) and row["dice_median"] == pytest.approx(values.median())
        assert row["dice_sd"] == pytest.approx(values.std()) and row["cases"] == 20
    assert rows[0]["p_value"] is None and rows[1]["p_holm"] >= rows[1]["p_value"] > 0
    assert rows[3]["difference_to_full"] == pytest.approx(dice(found, "unet", "pocket").mean() - rows[0]["dice_mean"])


def test_accuracy_has_table_one_with_both_tests_and_the_papers_rows():
    found = inputs("accuracy", arches=("unet", "hrnet"))
    outcome = accuracy.tabulate(found)
    ours = [row for row in outcome.rows if row["source"] == "ours"]
    assert [(row["label"], row["arch"], row["width"]) for row in ours] == [
        (label, arch, width) for label in ("Anterior", "Posterior", "mean")
        for arch in ("unet", "hrnet") for width in ("full", "pocket")]  # in the paper's order
    mean = next(row for row in ours if (row["label"], row["arch"], row["width"]) == ("mean", "unet", "pocket"))
    pair = next(pair for pair in found.comparison.pairs if pair.label == "mean" and pair.arch == "unet"
                and pair.metric == "dice")
    assert mean["dice_p_value"] == pair.p_value and mean["dice_p_holm"] == pair.p_holm
    assert mean["dice_p_equivalence"] == pair.equivalence.p_value < 0.05
    voxels = found.rows[(found.rows["arch"] == "unet") & (found.rows["width"] == "pocket")]
    assert mean["hd95_voxels_mm_mean"] == pytest.approx(voxels["hd95_voxels_mm"].mean())
    assert "Distances between all voxels" in "\n".join(outcome.markdown)
    theirs = {(row["task"], row["arch"], row["width"]): row for row in outcome.rows if row["source"] == "published"}
    assert len(theirs) == 12 and theirs["NFBS", "hrnet", "pocket"]["asd_mm_p_value"] == 0.49
    assert theirs["LiTS", "unet", "pocket"]["dice_mean"] == 0.930
    assert theirs["BraTS", "unet", "full"]["hd95_mm_sd"] == 13.59
    assert any("not that there is none" in note for note in outcome.notes)
    assert "yes (p <0.001)" in "\n".join(outcome.markdown)


CONFIGURATION = example("profile")["configurations"][0]
PREDICTED = CONFIGURATION["predicted"]


def configuration(width, *, arch="unet", patch=32, batch=1, mode="infer", status="ok", **measured):
    base = {"host_memory_mib": 1000.0, "host_memory_growth_mib": 100.0, "device_memory_mib": None,
            "step_seconds": 0.1, "step_seconds_sd": 0.0,
            "patches_per_second": 10.0}
    missing = dict.fromkeys(base)
    predicted = {**PREDICTED, "host_memory_mib": 900.0, "device_memory_mib": 50.0}
    return ProfiledConfiguration.from_json({
        **CONFIGURATION, "arch": arch, "width": width, "patch": [patch] * 3, "batch": batch, "parameters": 1000,
        "mode": mode, "predicted": predicted,
        "measured": {**(base if status == "ok" else missing), **measured, "status": status}})


def test_throughput_gives_the_papers_percentage_and_the_plain_ratio():
    found = Inputs("throughput", MANIFEST, PLAN, splits_of("r", None), configurations=[
        configuration("full", patches_per_second=10.0), configuration("pocket", patches_per_second=12.5),
        configuration("full", patch=128, status="out_of_memory"), configuration("pocket", patch=128)])
    outcome = throughput.tabulate(found)
    small, large = outcome.rows[:2], outcome.rows[2:]
    assert small[1]["speed_up_percent"] == pytest.approx(20) and small[1]["ratio"] == pytest.approx(1.25)
    assert small[1]["published_speed_up_percent"] == 5.89 and small[0]["published_images_per_second"] == 17.86
    assert large[0]["patches_per_second"] is None and large[1]["ratio"] is None
    assert "does not fit" in "\n".join(outcome.markdown)


def test_the_papers_percentages_are_of_the_pocket_throughput():
    for sizes in published()["table_3"].values():
        for entry in sizes.values():
            printed = entry["speed_up_percent"]
            assert throughput.speed_up_percent(entry["full"], entry["pocket"]) == pytest.approx(printed, abs=0.06)


def test_profile_savings_and_what_does_not_fit():
    found = Inputs("profile", MANIFEST, PLAN, splits_of("r", None), configurations=[
        configuration("full", mode="train", host_memory_growth_mib=2000.0, step_seconds=0.4),
        configuration("pocket", mode="train", host_memory_growth_mib=1500.0, step_seconds=0.3),
        configuration("full", mode="train", batch=2, status="out_of_memory"),
        configuration("pocket", mode="train", batch=2)])
    outcome = profile.tabulate(found)
    by_key = {(row["batch"], row["width"]): row for row in outcome.rows}
    assert by_key[1, "pocket"]["memory_saving_percent"] == pytest.approx(25)
    assert by_key[1, "pocket"]["time_saving_percent"] == pytest.approx(25)
    assert by_key[2, "full"]["peak_memory_mib"] is None and by_key[2, "pocket"]["memory_saving_percent"] is None
    assert "does not fit" in "\n".join(outcome.markdown) and "28.3 to 87.7" in outcome.notes[0]
    assert any("resident memory" in note for note in outcome.notes)


def test_memory_is_the_devices_where_there_is_one():
    entry = configuration("full", mode="train", device_memory_mib=300.0)
    assert profile.memory_of(entry) == (300.0, "device")


def test_activations_are_sorted_and_averaged_by_rank():
    def entry(width, fold, means):
        return Activations("hippocampus", "unet", width, fold, "quick", 1000, "c0de", "key", 3, 12, tuple(means))

    found = Inputs("activations", MANIFEST, PLAN, splits_of("r", None), activations=[
        entry("full", 0, [0.0, 1.0, 0.4]), entry("full", 1, [0.6, 0.0, 3.0]), entry("pocket", 0, [0.2, 0.1, 0.0])])
    outcome = activations.tabulate(found)
    assert [row["U-Net full"] for row in outcome.rows] == pytest.approx([2.0, 0.5, 0.0])
    assert [row["U-Net pocket"] for row in outcome.rows] == [0.2, 0.1, 0.0]
    assert "| U-Net full | 0.001 | 3 | 2.0 | 2.000 |" in "\n".join(outcome.markdown)


def test_saturation_compares_on_the_same_cases_size_by_size():
    found = inputs("saturation", splits=splits_of("nested", 8, 16))
    outcome = saturation.tabulate(found)
    assert [(row["train_size"], row["width"]) for row in outcome.rows] == [
        (8, "full"), (8, "pocket"), (16, "full"), (16, "pocket")]
    for row in outcome.rows:
        fold = 0 if row["train_size"] == 8 else 1
        assert row["dice_mean"] == pytest.approx(dice(found, "unet", row["width"]).xs(fold, level="fold").mean())
        assert row["cases"] == 10
    raw, corrected = ([row[key] for row in outcome.rows if row["width"] == "pocket"] for key in ("p_value", "p_holm"))
    assert min(corrected) == pytest.approx(min(1, 2 * min(raw)))
    with pytest.raises(UsageError, match="not training sets of several sizes"):
        saturation.tabulate(inputs("saturation", splits=splits_of("r", None)))
    with pytest.raises(DataError, match="of folds 1, which these splits do not have"):
        saturation.tabulate(inputs("saturation", splits=splits_of("nested", 8)))


def test_pruning_states_steps_and_compares_at_equally_many():
    widths = tuple(pruning.VARIANTS)
    models = [Model(None, fake_run.provenance(width, fold, steps=0 if width == "pruned" else 120, **start), None, [])
              for width in widths for fold in (0, 1)
              for start in [{"start": {"run_key": "k", "width": "full", "steps": 120}}
                            if width not in ("full", "pocket") else {}]]
    outcome = pruning.tabulate(inputs("pruning", widths, models=models))
    steps = {row["variant"]: (row["steps"], row["total_steps"]) for row in outcome.rows}
    assert steps == {"full": (120, 120), "pocket": (120, 120), "pruned": (0, 120), "pruned-tuned": (120, 240),
                     "pocket-continued": (120, 240)}
    means = {row["variant"]: row["dice_mean"] for row in outcome.rows}
    difference = means["pruned-tuned"] - means["pocket-continued"]
    note = next(note for note in outcome.notes if "equally many" in note)
    assert f"= {difference:+.4f} Dice".replace("-", "−") in note and "(240 and 240)" in note and "20 pairs" in note


def test_what_an_experiment_is_drawn_from_is_asked_for():
    with pytest.raises(UsageError, match="--comparison, --evaluations"):
        ablation.tabulate(Inputs("ablation", MANIFEST, PLAN, splits_of("r", None)))


def test_an_experiment_that_does_not_fit_is_refused():
    classes = made.classes()
    with pytest.raises(UsageError, match="(?s)'ablation' is for segmentation.*accuracy, profile, saturation"):
        definition.check_fits("ablation", classes)
    definition.check_fits("saturation", classes)
    with pytest.raises(DataError, match="at least 2 labels"):
        definition.check_fits("multiclass", made.manifest())
    with pytest.raises(UsageError, match="(?s)Unknown experiment 'ablatoin'.*accuracy"):
        definition.load("ablatoin")


def class_rows(width, fold, seed=0):
    """Rows of a classification's `metrics.csv`: 30 cases, the scores of positives higher."""
    rng = np.random.default_rng([seed, fold, len(width)])
    truth = np.arange(30) % 3 == 0
    score = np.clip(0.5 + 0.25 * np.where(truth, 1, -1) + 0.25 * rng.normal(size=30), 0.01, 0.99)
    record = fake_run.provenance(width, fold, "classifier", dataset="xray")
    return pd.DataFrame({"case": [f"case_{i}" for i in range(30)], "class": np.where(truth, "positive", "negative"),
                         "predicted": np.where(score > 0.5, "positive", "negative"),
                         "probability_negative": 1 - score, "probability_positive": score,
                         **table.of_run(record)})


def classes(name, splits=None) -> Inputs:
    rows = pd.concat([class_rows(width, fold) for width in ("full", "pocket") for fold in (0, 1)], ignore_index=True)
    comparison = None if splits else compare(rows[rows["fold"] == 0].assign(file="x"))
    manifest = made.classes(caution="Classes come from different hospitals.")
    return Inputs(name, manifest, PLAN, splits or splits_of("r", None), comparison, rows=rows)


def auc(rows, fold, width):
    mine = rows[(rows["fold"] == fold) & (rows["width"] == width)]
    return roc_auc_score(mine["class"] == "positive", mine["probability_positive"])


def test_classifiers_have_table_two_by_their_auc():
    found = classes("accuracy")
    outcome = tabulate(found)
    ours = {row["width"]: row for row in outcome.rows if row["source"] == "ours"}
    for width in ("full", "pocket"):
        assert ours[width]["auc"] == pytest.approx(auc(found.rows, 0, width))
        assert ours[width]["auc_low"] < ours[width]["auc"] < ours[width]["auc_high"] + 1e-9
    assert ours["pocket"]["difference"] == pytest.approx(ours["pocket"]["auc"] - ours["full"]["auc"])
    assert ours["full"]["p_value"] is None and 0 <= ours["pocket"]["p_value"] <= ours["pocket"]["p_holm"]
    assert [row["auc"] for row in outcome.rows if row["source"] == "published"] == [0.997, 0.999, 0.994]
    assert "Classes come from different hospitals." in outcome.notes


def test_classifiers_saturate_by_size():
    found = classes("saturation", splits_of("nested", 8, 16))
    rows = tabulate(found).rows
    assert [(row["train_size"], row["width"]) for row in rows] == [
        (8, "full"), (8, "pocket"), (16, "full"), (16, "pocket")]
    assert [row["auc"] for row in rows] == pytest.approx(
        [auc(found.rows, fold, width) for fold in (0, 1) for width in ("full", "pocket")])
