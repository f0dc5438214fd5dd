"""Evaluation and comparison of classifiers, by values known from counting or from scikit-learn."""

import dataclasses
import json

import fake_run
import made
import numpy as np
import pandas as pd
import pytest
from pictures import check_picture
from PIL import Image
from pocketnet.contracts.predictions import write_table
from pocketnet.errors import DataError
from pocketnet.evaluation import comparison as comparisons
from pocketnet.evaluation import roc, table
from pocketnet.evaluation.cases import Sources
from pocketnet.evaluation.classification import layout, metrics
from pocketnet.evaluation.classification.comparison import cautions
from pocketnet.evaluation.classification.evaluate import PICTURE_SIDE, draw_image, evaluate
from pocketnet.files import sha256

CLASSES = ("negative", "positive")
# By case: its class, and the probability of `positive`.
CASES = {"a": ("positive", 0.9), "b": ("positive", 0.7), "c": ("positive", 0.2), "d": ("negative", 0.1),
         "e": ("negative", 0.3), "f": ("negative", 0.4), "g": ("negative", 0.8), "h": ("negative", 0.05)}
CAUTION = "Classes come from different hospitals."


@pytest.fixture
def folder(tmp_path):
    """The cases' images, and their predictions."""
    for index, case in enumerate(CASES):
        Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(64, 48) * (index + 1)
                        ).save(tmp_path / f"{case}.png")
    write_predictions(tmp_path)
    return tmp_path


def write_predictions(folder, cases=tuple(CASES)):
    write_table(folder / "predictions.csv",
                {case: {"negative": 1 - CASES[case][1], "positive": CASES[case][1]} for case in cases}, CLASSES, {})


def manifest(folder, **more):
    return made.classes([made.case(case) | {"images": [f"{case}.png"], "class": name,
                                            "sha256": {f"{case}.png": sha256(folder / f"{case}.png")}}
                         for case, (name, _) in CASES.items()], caution=CAUTION, **more)


def evaluated(folder, listing=None, predictions=None):
    record = fake_run.provenance("pocket", 1, "classifier", dataset="xray")
    return evaluate(listing or manifest(folder), folder / "manifest.json", folder, Sources([predictions or folder]),
                    record, folder / "out")


def test_a_classifier_is_evaluated(folder):
    found = evaluated(folder)
    value = json.loads((folder / "out/classification.json").read_text())
    assert json.loads(json.dumps(found.summary)) == {key: value[key] for key in found.summary}
    assert [value[key] for key in ("dataset", "arch", "width", "folds", "cases", "classes", "caution")] == [
        "xray", "classifier", "pocket", [1], 8, ["negative", "positive"], CAUTION]
    assert value["confusion"] == [[4, 1], [1, 2]]
    (positive,) = value["positive"]
    assert positive["class"] == "positive"
    measured = {name: (one["value"], one["n"]) for name, one in positive["metrics"].items()}
    assert measured == {"auc": (pytest.approx(11 / 15), 8), "accuracy": (pytest.approx(6 / 8), 8),
                        "sensitivity": (pytest.approx(2 / 3), 3), "specificity": (pytest.approx(4 / 5), 5)}
    for name, hits, trials in (("accuracy", 6, 8), ("sensitivity", 2, 3), ("specificity", 4, 5)):
        assert positive["metrics"][name]["interval"] == pytest.approx(roc.wilson(hits, trials))
    assert positive["curve"][0] == [0, 0] and positive["curve"][-1] == [1, 1]
    low, high = positive["metrics"]["auc"]["interval"]
    assert found.text.splitlines()[0] == "8 cases"
    assert found.text.splitlines()[1].startswith(f"positive: AUC 0.733 [{low:.3f}, {high:.3f}], accuracy 0.750 [")
    rows = table.read(folder / "out/metrics.csv")
    assert dict(zip(rows["case"], rows["predicted"], strict=True)) == {
        case: "positive" if share > 0.5 else "negative" for case, (_, share) in CASES.items()}
    assert rows["probability_positive"].to_list() == pytest.approx([share for _, share in CASES.values()])
    overlays = json.loads((folder / "out/overlays.json").read_text())["overlays"]
    assert overlays == [
        {"case": case, "file": f"overlays/wrong_{case}.png", "rank": "wrong", "class": name, "predicted": other,
         "probability": pytest.approx(0.2)}
        for case, name, other in (("c", "positive", "negative"), ("g", "negative", "positive"))]
    check_picture(folder / "out/roc.png", "roc.png")
    assert fake_run.written(folder / "out/overlays") == ["wrong_c.png", "wrong_g.png"]
    small = json.loads((folder / "out/overlays.json").read_text())["thumbnails"]
    assert [one["case"] for one in small][:2] == [entry["case"] for entry in overlays]  # the worst first
    assert fake_run.written(folder / "out/thumbnails") == sorted(f"{one['case']}.webp" for one in small)
    tables = [folder / "out/metrics.csv", folder / "absent/metrics.csv", folder / "out/metrics.csv"]
    assert cautions(tables) == [CAUTION]


def test_predictions_that_are_missing_are_named(folder):
    write_predictions(folder, tuple(CASES)[2:])
    with pytest.raises(DataError, match="2 of 8 predictions are missing") as caught:
        evaluated(folder, predictions=folder / "predictions.csv")
    assert caught.value.problems == ["a", "b"] and caught.value.where == str(folder / "predictions.csv")
    with pytest.raises(DataError, match="No case of this manifest has a class") as caught:
        evaluated(folder, made.classes())
    assert caught.value.where == str(folder / "manifest.json")


def test_a_changed_image_is_not_drawn(folder):
    listing = manifest(folder)
    Image.new("L", (4, 4), 3).save(folder / "c.png")
    with pytest.raises(DataError, match="c.png"):
        evaluated(folder, listing)


def test_a_picture_is_scaled_between_two_percentiles_and_made_small(tmp_path):
    image = np.linspace(-1000, 3000, 2000).reshape(50, 40)
    draw_image(tmp_path / "a.png", image)
    low, high = np.percentile(image, (0.5, 99.5))
    expected = np.rint(255 * np.clip((image - low) / (high - low), 0, 1))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)
    draw_image(tmp_path / "b.png", np.full((PICTURE_SIDE * 2, PICTURE_SIDE), 7.0))
    flat = Image.open(tmp_path / "b.png")
    assert flat.size == (PICTURE_SIDE // 2, PICTURE_SIDE) and flat.getextrema() == (0, 0)


def rows(width, fold, seed=0, shift=0.0):
    """Rows of `metrics.csv`: 30 cases of three classes, the probability of the true one higher."""
    rng = np.random.default_rng([seed, fold, len(width)])
    truth = np.arange(30) % 3
    scores = rng.random((30, 3)) + (0.4 + shift) * np.eye(3)[truth]
    share = scores / scores.sum(axis=1, keepdims=True)
    names = np.array(["covid", "normal", "pneumonia"])
    return pd.DataFrame({"case": [f"case_{fold}_{i}" for i in range(30)], "class": names[truth],
                         "predicted": names[share.argmax(axis=1)],
                         **{f"probability_{name}": share[:, index] for index, name in enumerate(names)},
                         **table.of_run(fake_run.provenance(width, fold, "classifier", dataset="xray")), "file": width})


def proportion(rows, label, metric):
    right = (rows["class"] == label) == (rows["predicted"] == label)
    among = {"accuracy": rows["class"] == rows["class"], "sensitivity": rows["class"] == label,
             "specificity": rows["class"] != label}[metric]
    return right[among].mean(), int(among.sum())


def test_classifiers_are_compared_class_by_class():
    full, pocket = (pd.concat([rows(width, fold) for fold in (0, 1)]) for width in ("full", "pocket"))
    shuffled = pocket.sample(frac=1, random_state=0)[2:]  # two cases have no counterpart
    comparison = comparisons.compare(pd.concat([full, shuffled], ignore_index=True))
    labels = ["covid", "normal", "pneumonia"]
    assert list(comparison.labels) == labels and comparisons.label_order(comparison) == [*labels, "mean"]
    assert comparisons.label_order(dataclasses.replace(comparison, labels=None)) == [*labels, "mean"]
    kept = full.merge(shuffled[["fold", "case"]])
    pairs = {(pair.label, pair.metric): pair for pair in comparison.pairs}
    networks = {(row.width, row.label): row for row in comparison.networks}
    assert len(pairs) == 12 and len(networks) == 6
    for label in labels:
        assert (networks["pocket", label].cases, networks["full", label].cases) == (58, 60)
        assert networks["full", label].folds == (0, 1) and networks["full", label].parameters == 5_642_306
        found = pairs[label, "auc"]
        sides = [metrics.areas([one.sort_values(["fold", "case"])], label).values[0] for one in (kept, shuffled)]
        assert found.difference == pytest.approx(sides[1] - sides[0]) and found.n == 58
        assert found.interval[0] < found.difference < found.interval[1]
        assert (found.test, found.reference, found.undefined) == ("DeLong", "full", 0)
        assert found.equivalence.margin == 0.01
        assert found.equivalence.equivalent == (found.equivalence.p_value < 0.05)
        summary = networks["full", label].metrics["auc"]
        assert summary.mean == pytest.approx(metrics.areas([full], label).values[0]) and summary.undefined == 0
        right = [((one["class"] == label) == (one["predicted"] == label)).to_numpy()
                 for one in (kept.sort_values(["fold", "case"]), shuffled.sort_values(["fold", "case"]))]
        for metric in ("accuracy", "sensitivity", "specificity"):
            (before, trials), (after, _) = (proportion(one, label, metric) for one in (kept, shuffled))
            found = pairs[label, metric]
            assert found.difference == pytest.approx(after - before) and found.n == trials and found.interval is None
            assert found.test == ("McNemar" if metric == "accuracy" else None) and found.undefined == 0
            assert found.p_value == (pytest.approx(roc.mcnemar(*right)) if metric == "accuracy" else None)
            value, trials = proportion(full, label, metric)
            summary = networks["full", label].metrics[metric]
            assert (summary.mean, summary.n) == (pytest.approx(value), trials)
            assert summary.interval == pytest.approx(roc.wilson(round(value * trials), trials))


def test_tables_of_classifiers_have_every_number():
    comparison = comparisons.compare(pd.concat([rows("full", 0), rows("pocket", 0, shift=0.1)], ignore_index=True))
    pairs = {(pair.label, pair.metric): pair for pair in comparison.pairs}
    lines = layout.csv_rows(comparison)
    assert len(lines) == 24 and all(tuple(sorted(line)) == tuple(sorted(layout.CSV_COLUMNS)) for line in lines)
    of = [(network, metric) for network in comparison.networks for metric in layout.TITLES]
    for line, (network, metric) in zip(lines, of, strict=True):
        summary, pair = network.metrics[metric], pairs[network.label, metric]
        paired = network.width == "pocket"
        low, high = (pair.interval or (None, None)) if paired else (None, None)
        assert line == {
            "arch": "classifier", "width": network.width, "parameters": network.parameters, "label": network.label,
            "metric": metric, "n": summary.n, "value": summary.mean, "interval_low": summary.interval[0],
            "interval_high": summary.interval[1], "reference": "full" if paired else None,
            "pairs": pair.n if paired else None, "difference": pair.difference if paired else None,
            "difference_low": low, "difference_high": high, "test": pair.test if paired else None,
            "p_value": pair.p_value if paired else None, "p_holm": pair.p_holm if paired else None,
            "p_equivalence": pair.equivalence.p_value if paired and pair.equivalence else None}
    text = layout.markdown(comparison)
    first = comparison.networks[0]
    cells = " | ".join(f"{first.metrics[m].mean:.4f} [{first.metrics[m].interval[0]:.4f}, "
                       f"{first.metrics[m].interval[1]:.4f}]" for m in layout.TITLES)
    assert f"| covid | classifier | full | 5.642 | 30 | {cells} |" in text
    pair = pairs["covid", "auc"]
    interval = layout.interval_text(pair.interval, True)
    difference = layout.number(pair.difference, True)
    assert f"| covid | classifier | pocket | AUC | 30 | {difference} | {interval} | DeLong |" in text
    assert "| covid | classifier | pocket | Sensitivity | 10 |" in text
    assert f"| {' | '.join(['---'] * 3 + ['---:'] * 6)} |" in text.splitlines()
    assert text.splitlines()[:3] == ["# xray: comparison of networks", "", "Recipe `quick`."]
    assert layout.HOW in text and layout.HOW_PAIRED in text and "Notes:" not in text
    assert "DeLong" in layout.latex(comparison) and "0.387" in layout.latex(comparison)
    assert layout.number(-0.00125, True) == "−0.0013" and layout.number(None) == layout.interval_text(None) == "–"
    alone = comparisons.compare(rows("full", 0))
    assert layout.HOW_PAIRED not in layout.markdown(alone) and "- No pair of networks" in layout.markdown(alone)


@pytest.mark.parametrize("column, value, problem", [
    ("probability_normal", 1.5, "4.probability_normal: found 1.5, expected 0 to 1"),
    ("probability_covid", -0.25, "4.probability_covid: found -0.25, expected 0 to 1"),
    ("class", "flu", "4.class: found 'flu', expected one of covid, normal, pneumonia"),
    ("predicted", "flu", "4.predicted: found 'flu', expected one of covid, normal, pneumonia")])
def test_a_value_of_a_classifiers_table_that_cannot_be_is_named(tmp_path, column, value, problem):
    frame = rows("full", 0)
    frame.loc[4, column] = value
    table.write_metrics(tmp_path / "metrics.csv", frame)
    with pytest.raises(DataError) as caught:
        table.read(tmp_path / "metrics.csv")
    assert caught.value.problems == [problem]


def test_a_fold_of_one_class_has_no_curve():
    frame = rows("full", 0)
    with pytest.raises(DataError, match="Fold 0 has no case other than class 'covid'"):
        metrics.describe(frame[frame["class"] == "covid"])
    with pytest.raises(DataError, match="Fold 0 has no case of class 'covid'"):
        metrics.describe(frame[frame["class"] != "covid"])


def test_the_most_confident_errors_come_first():
    frame = rows("full", 0)
    found = metrics.confidently_wrong(frame, 3)
    wrong = frame[frame["class"] != frame["predicted"]]
    own = sorted((row[f"probability_{row['class']}"], row["case"]) for _, row in wrong.iterrows())[:3]
    assert list(zip(found["probability"], found["case"], strict=True)) == own
