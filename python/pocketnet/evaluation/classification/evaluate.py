"""Evaluate a classifier's predictions for a manifest's cases, and draw pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ... import outputs
from ...contracts.classification import Classification, Estimate
from ...contracts.manifest import Case, Manifest
from ...contracts.overlays import Overlay, Overlays, Thumbnail
from ...contracts.predictions import PROBABILITY, TABLE, read_table
from ...contracts.provenance import Provenance
from ...errors import DataError, UsageError
from ...files import atomic
from ...preprocessing.picture import read
from ...preprocessing.recorded import check_recorded
from ...text import counted, drawn
from .. import cases, roc, table, thumbnail
from . import metrics as measured

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

PICTURE_SIDE = 320  # pixels of the longer side
FILES: dict[str, str | None] = {"classification.json": Classification.kind, "roc.png": None}
RANKS = ("wrong",)


def evaluate(listing: Manifest, where: Path, folder: Path, sources: cases.Sources, run: Provenance, output: Path,
             progress: Callable[[Sequence[Case]], Iterable[Case]] = iter) -> cases.Evaluated:
    """Write `metrics.csv`, `classification.json`, `roc.png`, and pictures of the most confident errors.

    The `thumbnail.MOST` cases with the lowest probability of their class also get a small picture.

    Args:
        listing: The manifest.
        where: Path of the manifest, for messages.
        folder: The dataset's folder.
        sources: The file `predictions.csv` or its folder.
        run: Provenance of the model.
        output: Output folder.
        progress: Unused: there is one file of predictions.

    Returns:
        The content of `classification.json`.

    Raises:
        UsageError: There are several tables, or parts: the areas under the curves need all cases.
        DataError: Predictions are missing or not probabilities, an image cannot be read, or all cases have one class.
    """
    import pandas as pd

    classes = [label.name for label in listing.labels]
    truth = {case.case: case.class_name for case in listing.cases if case.class_name}
    if not truth:
        raise DataError("No case of this manifest has a class to compare with.", where=str(where))
    if len(sources.predictions) > 1 or sources.measured or sources.part:
        raise UsageError("A classification is evaluated as a whole, from one table.",
                         todo="Give one --predictions, and neither --part nor --measured.")
    predictions = sources.predictions[0]
    source = predictions / TABLE if predictions.is_dir() else predictions
    found = read_table(source, classes)
    missing = [case for case in truth if case not in found]
    if missing:
        raise DataError(f"{len(missing)} of {len(truth)} predictions are missing.", problems=missing, where=str(source),
                        todo="Predict them with pocket-infer, or give a manifest of the predicted cases only.")
    rows = pd.DataFrame([
        {"case": case, **table.of_run(run), "class": name,
         "predicted": classes[int(np.argmax(found[case]))],
         **{PROBABILITY + known: value for known, value in zip(classes, found[case], strict=True)}}
        for case, name in truth.items()])
    described = measured.describe(rows, listing.caution)
    by_name = {case.case: case for case in listing.cases}
    outputs.remove_earlier(output / "overlays", "*.png")
    outputs.remove_earlier(output / thumbnail.FOLDER, f"*{thumbnail.SUFFIX}")
    entries = []
    for _, row in measured.confidently_wrong(rows).iterrows():
        entry = Overlay(row["case"], f"overlays/wrong_{row['case']}.png", "wrong", class_name=row["class"],
                        predicted=row["predicted"], probability=float(row["probability"]))
        case = by_name[row["case"]]
        check_recorded(case, folder, case.images[:1])
        draw_image(output / entry.file, read(folder / case.images[0]))
        entries.append(entry)
    small = thumbnail.worst({row["case"]: row[PROBABILITY + row["class"]] for _, row in rows.iterrows()})
    for name in small:
        check_recorded(by_name[name], folder, by_name[name].images[:1])
        thumbnail.write(output / thumbnail.file_of(name), grey_picture(read(folder / by_name[name].images[0])))
    draw_curves(output / "roc.png", rows)
    Overlays(tuple(entries), tuple(Thumbnail(name, thumbnail.file_of(name)) for name in small)).write(
        output / "overlays.json")
    described.write(output / "classification.json")
    table.write_metrics(output / "metrics.csv", rows)
    return cases.Evaluated(described.to_json(), _text(described))


def _text(described: Classification) -> str:
    """Format the metrics as text, one line per class."""
    lines = [counted(described.cases, "case")]
    for one in described.positive:
        shown = [f"{name.upper() if name == 'auc' else name} {_number(getattr(one.metrics, name))}"
                 for name in measured.CLASS_METRICS]
        lines.append(f"{one.class_name}: {', '.join(shown)}")
    return "\n".join(lines)


def _number(metric: Estimate) -> str:
    if metric.value is None:
        return "–"
    interval = metric.interval
    return f"{metric.value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def grey_picture(image: np.ndarray) -> Image.Image:
    """Return an image (row, column) in grey, scaled from its 0.5th to its 99.5th percentile."""
    from PIL import Image

    low, high = np.percentile(image, (0.5, 99.5))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
    return Image.fromarray(np.rint(grey).astype(np.uint8))


def draw_image(path: Path, image: np.ndarray) -> None:
    """Write an image (row, column) as a small grey PNG (`grey_picture`)."""
    picture = grey_picture(image)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    with atomic(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def draw_curves(path: Path, rows: pd.DataFrame) -> None:
    """Write the ROC curves of the reported classes as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 4.2), dpi=120, layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    for name in measured.positives(rows):
        points = roc.mean_curve(list(measured.curves(rows, name).values()))
        area = measured.areas([rows], name).values[0]
        axis.plot(*zip(*points, strict=True), linewidth=1.8, label=f"{drawn(name)}, AUC {area:.3f}")
    axis.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axis.legend(loc="lower right", frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
