"""Every network against every other: the same verdicts as the comparison's pairs, and between architectures too."""

import pandas as pd
import pytest
from fake_run import metrics
from pocketnet.evaluation.comparison import compare
from pocketnet.evaluation.matrix import matrices
from pocketnet.evaluation.verdict import headline_pairs, verdict

NETWORKS = [("unet", "full"), ("unet", "pocket"), ("resnet", "pocket")]


@pytest.fixture(scope="module")
def rows():
    return pd.concat([metrics(width, fold, arch=arch, cases=12, shift=shift).assign(file="metrics.csv")
                      for (arch, width), shift in zip(NETWORKS, (0, -0.004, -0.05), strict=True) for fold in (0, 1)],
                     ignore_index=True)


def test_the_matrix_agrees_with_the_comparison(rows):
    comparison = compare(rows)
    (pair,) = headline_pairs(comparison)
    ((label, matrix),) = matrices(rows, NETWORKS).items()
    cell = matrix[1][0]
    assert label == pair.label and (cell.difference, cell.interval, cell.n) == (pair.difference, pair.interval, pair.n)
    assert cell.kind == verdict(pair, comparison)["kind"] == "equivalent"


def test_what_is_worse_one_way_is_better_the_other(rows):
    (matrix,) = matrices(rows, NETWORKS).values()
    assert [cell and cell.kind for cell in matrix[2]] == ["worse", "worse", None]
    assert [row[2] and row[2].kind for row in matrix] == ["better", "better", None]
    here, there = matrix[2][0], matrix[0][2]
    assert here.difference == -there.difference == pytest.approx(-0.05, abs=0.002)
    assert here.interval == (-there.interval[1], -there.interval[0]) and here.n == there.n == 24


def test_two_networks_need_no_matrix_and_one_without_cases_has_no_verdict(rows):
    assert matrices(rows, NETWORKS[:2]) == {}
    (matrix,) = matrices(rows[rows["arch"] == "unet"], NETWORKS).values()
    assert matrix[0][2] is None and matrix[2] == [None] * 3 and matrix[0][1] is not None
