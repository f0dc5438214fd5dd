"""Compute the metrics of a classifier for `classification.json` and for comparisons.

With two classes, the last one is the positive class and the only one reported. With more classes, each class is
compared with the rest. The area under the ROC curve is the mean over folds, because scores of different networks are
not comparable. Accuracy, sensitivity and specificity count every case once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...contracts.classification import Classification, ClassMetrics, Estimate, PositiveClass
from ...contracts.predictions import PROBABILITY
from ...contracts.tasks import CLASS_METRICS as CLASS_METRICS
from ...errors import DataError
from .. import roc
from .table import classes_of

if TYPE_CHECKING:
    import pandas as pd

MOST_WRONG = 6


def positives(rows: pd.DataFrame) -> list[str]:
    """Return the reported classes: the last of two, or all of three and more."""
    classes = classes_of(rows)
    return classes[-1:] if len(classes) == 2 else classes


def areas(rows: Sequence[pd.DataFrame], positive: str) -> roc.Areas:
    """Compute the networks' areas under the ROC curve (AUC) on the same cases, averaged over folds.

    Args:
        rows: One table per network, all with the same cases.
        positive: The positive class.

    Raises:
        DataError: All cases of a fold are positive, or none is.
    """
    tables = [table.set_index(["fold", "case"]).sort_index() for table in rows]
    parts = []
    for fold in sorted(set(rows[0]["fold"])):
        here = [table.loc[[fold]] for table in tables]
        truth = (here[0]["class"] == positive).to_numpy()
        if truth.all() or not truth.any():
            raise DataError(f"Fold {fold} has no case {'other than' if truth.all() else 'of'} class {positive!r}: "
                            "there is no ROC curve.", todo="Evaluate more cases, or plan again with fewer folds.")
        parts.append(roc.areas(np.stack([table[PROBABILITY + positive].to_numpy() for table in here]), truth))
    return roc.mean_areas(parts)


def curves(rows: pd.DataFrame, positive: str) -> dict[int, list[tuple[float, float]]]:
    """Return the ROC curve of each fold."""
    return {int(fold): roc.curve(group[PROBABILITY + positive].to_numpy(), (group["class"] == positive).to_numpy())
            for fold, group in rows.groupby("fold")}


def correct(rows: pd.DataFrame, positive: str) -> np.ndarray:
    """Return for each case whether the prediction is right about membership of class `positive`."""
    return ((rows["class"] == positive) == (rows["predicted"] == positive)).to_numpy()


def proportion(rows: pd.DataFrame, positive: str, metric: str) -> tuple[int, int]:
    """Return the number of successes and trials of accuracy, sensitivity or specificity."""
    right, truth = correct(rows, positive), (rows["class"] == positive).to_numpy()
    chosen = {"accuracy": np.ones(len(rows), bool), "sensitivity": truth, "specificity": ~truth}[metric]
    return int(right[chosen].sum()), int(chosen.sum())


def values(rows: pd.DataFrame, positive: str) -> ClassMetrics:
    """Compute each metric of one class, with intervals by DeLong (AUC) and Wilson (all others)."""
    found = areas([rows], positive)
    out = {"auc": Estimate(float(found.values[0]), roc.interval(found) or None, len(rows))}
    for metric in CLASS_METRICS[1:]:
        hits, trials = proportion(rows, positive, metric)
        out[metric] = Estimate(hits / trials if trials else None, roc.wilson(hits, trials) or None, trials)
    return ClassMetrics(**out)


def describe(rows: pd.DataFrame, caution: str | None = None) -> Classification:
    """Return the content of `classification.json` for the cases of one network.

    Raises:
        DataError: For a reported class, all cases of a fold are positive, or none is.
    """
    classes = classes_of(rows)
    confusion = tuple(tuple(int(((rows["class"] == true) & (rows["predicted"] == found)).sum()) for found in classes)
                      for true in classes)
    first = rows.iloc[0]
    positive = []
    for name in positives(rows):
        points = roc.mean_curve(list(curves(rows, name).values()))
        positive.append(PositiveClass(name, values(rows, name), tuple((float(x), float(y)) for x, y in points)))
    folds = tuple(sorted({int(fold) for fold in rows["fold"]}))
    return Classification(first["dataset"], first["arch"], first["width"], folds, len(rows), tuple(classes), confusion,
                          tuple(positive), caution or None)


def confidently_wrong(rows: pd.DataFrame, most: int = MOST_WRONG) -> pd.DataFrame:
    """Return the misclassified cases, most confident first, with the `probability` of their true class."""
    truth = [row[PROBABILITY + row["class"]] for _, row in rows.iterrows()]
    wrong = rows.assign(probability=truth)[(rows["class"] != rows["predicted"]).to_numpy()]
    return wrong.sort_values(["probability", "case"]).head(most)
