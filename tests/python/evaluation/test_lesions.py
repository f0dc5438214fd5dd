"""Lesion-wise metrics, by hand and in the tables, where a label has several lesions."""

from dataclasses import asdict

import fake_run
import numpy as np
import pytest
from pocketnet.errors import DataError
from pocketnet.evaluation import comparison, lesions, table
from pocketnet.evaluation.segmentation import layout

NAN = float("nan")


def mask(*boxes, shape=(20, 20)):
    """A mask of boxes (start, stop) along the first axis, four pixels wide along the second."""
    found = np.zeros(shape, bool)
    for start, stop in boxes:
        found[start:stop, 4:8] = True
    return found


@pytest.mark.parametrize("reference, prediction, expected", [
    # As it is.
    (mask((1, 3), (6, 9)), mask((1, 3), (6, 9)), (2, 1, 1, 0, 1)),
    # One lesion of 8 pixels of which half is found, one missed, and one false: Dice 2/3, IoU 0.5 is no match.
    (mask((1, 3), (6, 9)), mask((1, 2), (12, 13)), (2, 2 / 3 / 3, 0.5, 1, 0)),
    # Three of four rows are found: IoU 0.75.
    (mask((1, 5)), mask((1, 4)), (1, 6 / 7, 1, 0, 0.75)),
    # One component covers two lesions of 2 rows each, 5 rows: Dice 4/7 with each; neither IoU is above 0.5.
    (mask((1, 3), (4, 6)), mask((1, 6)), (2, 4 / 7, 1, 0, 0)),
    # Two components are in one lesion of 5 rows: what is predicted of it is both; the larger one has an IoU of 0.6.
    (mask((1, 6)), mask((1, 4), (5, 6)), (1, 8 / 9, 1, 0, 0.6 / 1.5)),
    (mask(), mask((1, 2), (5, 6)), (0, 0, NAN, 2, 0)),
    (mask((1, 2)), mask(), (1, 0, 0, 0, 0)),
    (mask(), mask(), (0, NAN, NAN, 0, NAN)),
])
def test_values_computed_by_hand(reference, prediction, expected):
    for axes in (lambda side: side, lambda side: np.repeat(side[..., None], 3, axis=2)):
        found = lesions.measure(axes(reference), axes(prediction))
        assert tuple(asdict(found).values()) == pytest.approx(expected, nan_ok=True)


def test_corners_connect():
    diagonal = np.eye(4, dtype=bool)
    assert lesions.measure(diagonal, diagonal).lesions == 1
    assert lesions.measure(np.stack([diagonal, ~diagonal]), np.zeros((2, 4, 4), bool)).lesions == 1


def rows(width="pocket", **changes):
    return fake_run.metrics(width).assign(**{"lesions": 3, "lesion_dice": 0.5, "lesion_sensitivity": 0.75,
                                             "false_lesions": 1, "panoptic_quality": 0.25} | changes)


def test_tables_show_lesions_where_there_are_several(tmp_path):
    several, one = rows(), rows(lesions=1)
    for name, shown in (("several", several), ("one", one)):
        table.write_metrics(tmp_path / name, shown)
        found = comparison.compare(table.read(tmp_path / name))
        first = found.networks[0]
        assert first.metrics["panoptic_quality"].mean == 0.25 and first.metrics["lesions"].n == 10
        assert ("| Variant | Lesions per case |" in layout.markdown(found)) == (name == "several")
        assert ("Panoptic quality" in layout.latex(found)) == (name == "several")
        assert len(layout.lesions_table(found).rows) == (len(fake_run.LABELS) if name == "several" else 0)
    assert "0.7500 [0.7500, 0.7500]" in layout.markdown(comparison.compare(several))


def test_a_table_from_before_the_lesions_is_read_and_goes_with_others(tmp_path):
    table.write_metrics(tmp_path / "new.csv", rows("full"))
    text = fake_run.metrics().drop(columns=list(lesions.LESION_COLUMNS), errors="ignore").to_csv(index=False)
    (tmp_path / "old.csv").write_text(text)
    found = comparison.compare(table.read_all([tmp_path / "new.csv", tmp_path / "old.csv"]))
    assert {row.width: "lesions" in row.metrics for row in found.networks} == {"full": True, "pocket": False}
    assert {cells[2] for cells in layout.lesions_table(found).rows} == {"full"}


@pytest.mark.parametrize("value, said", [("0.5", "0.lesions: found 0.5"), ("1e300", "0.lesions: found 1e+300"),
                                         ("-1", "0.lesions: found -1"), ("many", "many")])
def test_a_number_of_lesions_is_whole(tmp_path, value, said):
    table.write_metrics(tmp_path / "metrics.csv", rows())
    text = (tmp_path / "metrics.csv").read_text()
    assert ",3,0.5" in text and table.read(tmp_path / "metrics.csv")["lesions"].eq(3).all()
    (tmp_path / "metrics.csv").write_text(text.replace(",3,0.5", f", {value} ,0.5", 1))
    with pytest.raises(DataError) as caught:
        table.read(tmp_path / "metrics.csv")
    assert said in str(caught.value) and "1.lesions" not in str(caught.value)
    assert caught.value.where == str(tmp_path / "metrics.csv")
