"""Pairing, statistics and refusals of the comparison."""

import numpy as np
import pandas as pd
import pytest
from fake_run import metrics
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation import comparison as comparisons
from pocketnet.evaluation import table
from pocketnet.evaluation.classification import table as of_classes
from pocketnet.evaluation.segmentation import layout
from pocketnet.evaluation.segmentation import table as of_labels

NAN = float("nan")


def compare(*arguments, **options) -> dict:
    """The comparison as `comparison.json` has it."""
    return comparisons.compare(*arguments, **options).to_json()


def rows(*tables):
    return pd.concat([one.assign(file=f"{index}.csv") for index, one in enumerate(tables)], ignore_index=True)


def pair(comparison, label="mean", metric="dice", width="pocket"):
    found = [p for p in comparison["pairs"] if (p["label"], p["metric"], p["width"]) == (label, metric, width)]
    assert len(found) == 1
    return found[0]


def test_pairs_are_by_case_and_the_mean_is_over_labels():
    full, pocket = metrics("full", cases=3), metrics("pocket", cases=3)
    full["dice"], pocket["dice"] = [0.8, 0.9, 0.7, 0.7, 0.5, 0.9], [0.7, 0.9, 0.7, 0.9, 0.6, 0.9]
    comparison = compare(rows(full, pocket.sample(frac=1, random_state=0)))
    assert pair(comparison, "Anterior")["difference"] == pytest.approx(0)
    assert pair(comparison, "Posterior")["difference"] == pytest.approx(0.2 / 3)
    assert pair(comparison)["difference"] == pytest.approx((-0.05 + 0.1 + 0.05) / 3)
    network = next(n for n in comparison["networks"] if n["label"] == "mean" and n["width"] == "full")
    assert network["metrics"]["dice"]["mean"] == pytest.approx(np.mean([0.85, 0.7, 0.7]))
    assert network["metrics"]["dice"]["median"] == pytest.approx(0.7)
    assert comparison["notes"] == []


def test_every_width_is_paired_with_full_and_networks_are_in_order():
    comparison = compare(rows(metrics("pocket"), metrics("capped64"), metrics("full")))
    assert [n["width"] for n in comparison["networks"] if n["label"] == "mean"] == ["full", "capped64", "pocket"]
    assert {p["width"] for p in comparison["pairs"]} == {"pocket", "capped64"}


def test_undefined_values_are_left_out_and_counted():
    full, pocket = metrics("full", cases=4), metrics("pocket", cases=4)
    both = (full["case"] == "case_0_01") & (full["label"] == "Posterior")
    for frame in (full, pocket):
        frame.loc[both, ["dice", "hd95_mm", "asd_mm"]] = NAN
    comparison = compare(rows(full, pocket))
    outcome = pair(comparison, "Posterior")
    assert (outcome["n"], outcome["undefined"]) == (3, 1)
    assert pair(comparison)["n"] == 4  # the case still has its other label
    assert any("1 of 4" in note for note in comparison["notes"])


def test_a_label_that_no_case_has_is_all_none():
    full, pocket = metrics("full", cases=2), metrics("pocket", cases=2)
    for frame in (full, pocket):
        frame.loc[frame["label"] == "Posterior", ["dice", "hd95_mm", "asd_mm"]] = NAN
    outcome = pair(compare(rows(full, pocket)), "Posterior")
    assert (outcome["difference"], outcome["interval"], outcome["p_value"]) == (None, None, None)
    assert layout.markdown(comparisons.compare(rows(full, pocket)))


@pytest.mark.parametrize("tables, note", [
    ([metrics("full")], "No pair"),
    ([metrics("pocket")], "no full network"),
    ([metrics("full", 0), metrics("full", 1), metrics("pocket", 0)], "10 of 20 cases of full have no counterpart"),
    ([metrics("full", 0), metrics("pocket", 1)], "no fold 1 there"),
    ([metrics("full"), metrics("pocket", seed=7)], "different seeds"),
])
def test_what_is_missing_is_said(tables, note):
    assert any(note in line for line in compare(rows(*tables))["notes"])


@pytest.mark.parametrize("tables, message", [
    ([metrics("full"), metrics("pocket", code="other")], "(?s)different code.*c0de: 0.csv.*other: 1.csv"),
    ([metrics("full"), metrics("pocket", dataset="brats")], "several datasets"),
    ([metrics("full"), metrics("pocket", recipe="paper")], "several recipes"),
    ([metrics("full"), metrics("full")], "(?s)more than once.*0.csv, 1.csv"),
    ([metrics("full", 0), metrics("full", 1, parameters=7)], "different numbers of parameters"),
    ([metrics("full", 0), metrics("full", 1, steps=240)], "(?s)different numbers of steps.*120: 0.csv; 240: 1.csv"),
])
def test_what_cannot_be_compared_is_refused(tables, message):
    with pytest.raises(UsageError, match=message):
        compare(rows(*tables))


def test_a_network_without_rows_of_a_label_is_refused():
    """One row whose width was spoilt made a network of its own, and a traceback."""
    spoilt = metrics("pocket", cases=3)
    spoilt.loc[0, "width"] = "pobket"
    with pytest.raises(DataError, match="no rows of unet pobket for Posterior"):
        compare(rows(metrics("full", cases=3), spoilt))


def test_mixed_code_can_be_allowed_and_is_noted():
    comparison = compare(rows(metrics("full"), metrics("pocket", code="other")), allow_mixed_code=True)
    assert comparison["code"] == ["c0de", "other"]
    assert "different code" in comparison["notes"][0]


def test_a_table_of_an_earlier_version_without_steps_is_read_and_goes_with_others(tmp_path):
    metrics("full").drop(columns="steps").to_csv(tmp_path / "old.csv", index=False)
    table.write_metrics(tmp_path / "new.csv", metrics("full", 1))
    both = table.read_all([tmp_path / "old.csv", tmp_path / "new.csv"])
    assert both.groupby("fold")["steps"].max().to_list() == [pd.NA, 120]
    assert compare(both)["networks"][0]["folds"] == [0, 1]


def test_holm_counts_labels_and_means_as_two_families():
    comparison = compare(rows(metrics("full", cases=20), metrics("pocket", cases=20, shift=-0.001)))
    assert pair(comparison)["p_holm"] == pair(comparison)["p_value"]
    raw = sorted(pair(comparison, label)["p_value"] for label in ("Anterior", "Posterior"))
    holm = sorted(pair(comparison, label)["p_holm"] for label in ("Anterior", "Posterior"))
    assert holm[0] == pytest.approx(min(1, 2 * raw[0]))


def test_equivalence_is_for_dice_only():
    comparison = compare(rows(metrics("full", cases=30), metrics("pocket", cases=30, shift=-0.001)))
    assert pair(comparison)["equivalence"]["equivalent"]
    assert "equivalence" not in pair(comparison, metric="asd_mm")


def test_markdown_has_a_row_a_network_and_label_with_the_mean_last():
    text = layout.markdown(comparisons.compare(rows(metrics("full"), metrics("pocket"))))
    lines = [line for line in text.splitlines() if line.startswith("| ") and " unet " in line]
    assert [line.split(" | ")[0].strip("| ") for line in lines[:6]] == [
        "Anterior", "Anterior", "Posterior", "Posterior", "mean", "mean"]
    assert "5.642" in lines[0] and "0.387" in lines[1]


def test_tables_give_the_interval_of_the_mean_dice():
    comparison = comparisons.compare(rows(metrics("full"), metrics("pocket")))
    values = comparison.networks[0].metrics["dice"]
    low, high = values.interval
    assert low < values.mean < high
    said = f"| {values.mean:.4f} ± {values.sd:.4f} | [{low:.4f}, {high:.4f}] | {values.median:.4f} |"
    assert said in layout.markdown(comparison)
    assert f"[{low:.4f}, {high:.4f}]" in layout.latex(comparison)


@pytest.mark.parametrize("value, metric, signed, text", [
    (0.87654, "dice", False, "0.8765"), (-0.00012, "dice", True, "−0.0001"), (3.14159, "hd95_mm", False, "3.14"),
    (None, "dice", False, "–"), (0.5, "asd_mm", True, "+0.50"),
])
def test_numbers_for_people(value, metric, signed, text):
    assert layout.number(value, metric, signed) == text


def test_table_keeps_values_and_empty_fields(tmp_path):
    frame = metrics("full", cases=2)
    frame.loc[0, ["dice", "hd95_mm", "asd_mm"]] = NAN
    table.write_metrics(tmp_path / "metrics.csv", frame)
    again = table.read(tmp_path / "metrics.csv")
    assert again["dice"].isna().sum() == 1
    assert again["dice"][1] == pytest.approx(frame["dice"][1], rel=1e-5)
    assert ",,,," in (tmp_path / "metrics.csv").read_text().splitlines()[1]


def test_a_table_from_before_the_voxel_sets_is_read(tmp_path):
    frame = metrics("full", cases=2).assign(file="")
    frame[[c for c in of_labels.COLUMNS if c not in of_labels.LATER]].to_csv(tmp_path / "metrics.csv", index=False)
    again = table.read(tmp_path / "metrics.csv")
    assert list(again) == list(of_labels.COLUMNS) and again[list(of_labels.LATER)].isna().all(axis=None)


@pytest.mark.parametrize("content, message", [
    ("case,dice\na,1\n", "lacks dataset"), (",".join(of_labels.COLUMNS) + "\n", "lacks rows"), ("", "cannot be read"),
])
def test_a_bad_table_is_refused(tmp_path, content, message):
    path = tmp_path / "metrics.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        table.read(path)


def test_text_where_a_number_belongs_is_refused(tmp_path):
    frame = metrics("full", cases=1).astype({"dice": object})
    frame.loc[0, "dice"] = "good"
    frame.to_csv(tmp_path / "metrics.csv", index=False)
    with pytest.raises(DataError, match="good"):
        table.read(tmp_path / "metrics.csv")


def test_a_case_named_na_is_a_name(tmp_path):
    table.write_metrics(tmp_path / "metrics.csv", metrics("full", cases=1).assign(case="NA"))
    assert set(table.read(tmp_path / "metrics.csv")["case"]) == {"NA"}


def test_the_tables_columns_are_the_contracts():
    from pocketnet.contracts import metrics as contract

    assert set(of_labels.COLUMNS) == set(contract.columns(contract.LabelRow))
    assert {*of_classes.BEFORE, *of_classes.AFTER} == set(contract.columns(contract.ClassRow))


@pytest.mark.parametrize("column, value", [("dice", 1.5), ("dice", float("inf")), ("fold", -1), ("hd95_mm", -2.0),
                                           ("case", "../x"), ("label", ""), ("seed", 2**60)])
def test_a_value_that_cannot_be_is_named(tmp_path, column, value):
    frame = metrics("full", cases=2)
    frame[column] = frame[column].astype(object)
    frame.loc[1, column] = value
    table.write_metrics(tmp_path / "metrics.csv", frame)
    with pytest.raises(DataError) as caught:
        table.read(tmp_path / "metrics.csv")
    assert f"1.{column}: found" in caught.value.problems[0]
