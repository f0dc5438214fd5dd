"""Evaluate the predictions of a segmentation for a manifest's cases, and draw pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ... import outputs
from ...contracts import features
from ...contracts.manifest import Case, Manifest
from ...contracts.overlays import Overlay, Overlays, Thumbnail
from ...contracts.provenance import Provenance
from ...errors import DataError
from ...files import write_text
from ...preprocessing import geometry
from ...preprocessing.label_maps import annotated_labels
from ...preprocessing.recorded import check_recorded
from ...text import by_column, counted
from .. import calibration, cases, overlay, table, thumbnail
from ..lesions import LESION_COLUMNS, SEVERAL_LESIONS
from ..metrics import METRICS
from . import parts
from .table import DIGITS

if TYPE_CHECKING:
    import pandas as pd

FILES: dict[str, str | None] = {parts.CALIBRATION: None, features.TABLE: None}
RANKS = overlay.RANKS


def evaluate(listing: Manifest, where: Path, folder: Path, sources: cases.Sources, run: Provenance, output: Path,
             progress: Callable[[Sequence[Case]], Iterable[Case]] = iter) -> cases.Evaluated:
    """Write `metrics.csv` and pictures of the best, median and worst case; with probability maps `calibration.csv`.

    The worst `thumbnail.MOST` cases also get a small picture.

    The features of the predictions, where pocket-infer wrote them, are collected in `features.csv`.

    Unannotated voxels are left out, and so are the unannotated labels of a case.

    Args:
        listing: The manifest.
        where: Path of the manifest, for messages.
        folder: The dataset's folder.
        sources: Folders of the predicted label maps, and of parts of the cases that are measured already.
        run: Provenance of the model.
        output: Output folder.
        progress: Passes the cases through and shows progress.

    Returns:
        The mean of each metric by label, and warnings about the label maps and the images of the pictures.

    Raises:
        UsageError: The measured parts are of another model or of other cases.
        DataError: Predictions are missing, or cases cannot be evaluated; the message lists all of them.
    """
    labelled = {case.case: case for case in listing.cases if case.label}
    if not labelled:
        raise DataError("No case of this manifest has a reference to compare with.", where=str(where))
    paths = {name: cases.prediction_path(sources.predictions, name) for name in labelled}
    missing = [f"{name}: {path}" for name, path in paths.items() if not path.is_file()]
    if missing:
        raise DataError(f"{len(missing)} of {len(paths)} predictions are missing.", problems=missing,
                        todo="Predict them with pocket-infer, or give a manifest of the predicted cases only.")
    warnings: list[str] = []
    earlier, calibrated = parts.read(sources.measured, run, labelled)
    left = [case for case in labelled.values() if case.case not in earlier]
    rows = parts.whole(listing, labelled, earlier, _measured(
        listing, folder, paths, run, progress(left), warnings.append, calibrated))
    if not sources.part:
        _draw(listing, folder, paths, run, _mean_dice(rows), output, warnings.append)
    table.write_metrics(output / "metrics.csv", rows)
    outputs.remove_earlier(output, parts.CALIBRATION)
    if calibrated:
        write_text(output / parts.CALIBRATION, by_column(calibration.COLUMNS, calibrated, DIGITS))
    outputs.remove_earlier(output, features.TABLE)
    if not sources.part and (found := _features(sources.predictions, paths, warnings.append)):
        features.write(output / features.TABLE, found)
    return cases.Evaluated(_summary(rows, calibrated), _text(rows, calibrated), warnings)


def _features(folders: Sequence[Path], paths: dict[str, Path], warn: Callable[[str], None]
              ) -> dict[str, features.Recorded]:
    """Return the features by case, of the cases whose label maps they belong to."""
    found: dict[str, features.Recorded] = {}
    for folder in folders:
        for case, one in features.read(folder / features.TABLE).items():
            if case not in paths or paths[case].parent != folder:
                continue
            if geometry.note_of(paths[case]) == one.key:
                found[case] = one
            else:
                warn(f"{case}: {features.TABLE} is of another prediction of this case, and left out.")
    return found


def _mean_dice(rows: pd.DataFrame) -> dict[str, float]:
    """Return each case's mean Dice, of the values as `metrics.csv` has them: those of parts are read from it."""
    return rows.assign(dice=[float(DIGITS % value) for value in rows["dice"]]).groupby("case")["dice"].mean().to_dict()


def _measured(listing: Manifest, folder: Path, paths: dict[str, Path], run: Provenance, labelled: Iterable[Case],
              warn: Callable[[str], None], calibrated: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows of all cases, and add those of `calibration.csv`.

    If some cases fail, raise one DataError at the end that lists all of them.
    """
    import pandas as pd

    rows, problems = [], []
    for case in labelled:
        try:
            check_recorded(case, folder, [cast(str, case.label)])
            found: list[str] = []
            pair = cases.read_pair(folder / cast(str, case.label), paths[case.case], listing.labels,
                                   listing.label_grid, listing.ignore, found.append)
            known = annotated_labels(listing.labels, case.annotated)
            calibrated += [{"case": case.case, "label": name, **asdict(values)} for name, values in
                           calibration.measure_case(listing, case, folder, paths[case.case].parent)]
        except DataError as error:
            problems.append(f"{case.case}: {error.line()}")
            continue
        for text in found:
            warn(f"{case.case}: {text}")
        rows += [{"case": case.case, **table.of_run(run), **row} for row in cases.measure_case(*pair, known)]
    if problems:
        raise DataError(f"{len(problems)} of {len(paths)} cases cannot be evaluated.", problems=problems)
    return pd.DataFrame(rows)


def _draw(listing: Manifest, folder: Path, paths: dict[str, Path], run: Provenance, mean_dice: dict[str, float],
          output: Path, warn: Callable[[str], None]) -> None:
    """Write `overlays.json` and its pictures."""
    by_name = {case.case: case for case in listing.cases}
    outputs.remove_earlier(output / "overlays", "*.png")
    outputs.remove_earlier(output / thumbnail.FOLDER, f"*{thumbnail.SUFFIX}")
    ranks = {name: rank for rank, name in overlay.pick(mean_dice)}
    small = thumbnail.worst(mean_dice)
    entries: dict[str, Overlay] = {}
    for name in dict.fromkeys([*ranks, *small]):
        check_recorded(by_name[name], folder, by_name[name].images[:1])
        image = geometry.read(folder / by_name[name].images[0])
        for text in image.warnings:
            warn(f"{name}: {text}")
        pair = cases.read_pair(folder / cast(str, by_name[name].label), paths[name], listing.labels,
                               listing.label_grid, listing.ignore)
        if rank := ranks.get(name):
            entries[rank] = Overlay(name, f"overlays/{rank}_{name}.png", rank, dice=mean_dice[name])
            overlay.draw_overlay(output / entries[rank].file, image.data, *pair, f"{name} · {run.arch} {run.width}, "
                                 f"fold {run.fold} · {rank}: Dice {mean_dice[name]:.3f}")
        if name in small:
            thumbnail.write(output / thumbnail.file_of(name), thumbnail.draw(image.data, *pair))
    Overlays(tuple(entries[rank] for rank in ranks.values()),
             tuple(Thumbnail(name, thumbnail.file_of(name)) for name in small)).write(output / "overlays.json")


def _summary(rows: pd.DataFrame, calibrated: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of cases, and the mean of each metric by label; None for an undefined mean."""
    import pandas as pd

    mean = {label: {key: None if pd.isna(value) else float(value) for key, value in row.items()}
            for label, row in _means(rows).iterrows()}
    for label, brier, ece in _calibration(calibrated):
        mean[label] |= {"brier": brier, "ece": ece}
    return {"cases": rows["case"].nunique(), "mean": mean}


def _calibration(rows: Sequence[dict[str, Any]]) -> list[tuple[str, float, float]]:
    """Return label, mean Brier score and mean calibration error over the cases with voxels that count."""
    found = []
    for label in dict.fromkeys(row["label"] for row in rows):
        kept = [(row["brier"], row["ece"]) for row in rows if row["label"] == label and row["voxels"]]
        if kept:
            brier, ece = (sum(side) / len(side) for side in zip(*kept, strict=True))
            found.append((label, brier, ece))
    return found


def _text(rows: pd.DataFrame, calibrated: Sequence[dict[str, Any]]) -> str:
    """Format the summary as text, one line per label."""
    lines = [f"{label}: Dice {row.dice:.4f}, HD95 {row.hd95_mm:.2f} mm, ASD {row.asd_mm:.2f} mm, "
             f"NSD at 1 mm {row.nsd_1mm:.4f}" + (
                 f"; {row.lesions:.1f} lesions a case: lesion-wise Dice {row.lesion_dice:.4f}, sensitivity "
                 f"{row.lesion_sensitivity:.4f}, {row.false_lesions:.1f} false positives, panoptic quality "
                 f"{row.panoptic_quality:.4f}" if row.lesions >= SEVERAL_LESIONS else "")
             for label, row in _means(rows).iterrows()]
    lines += [f"{label}: calibration error {ece:.4f}, Brier score {brier:.4f}"
              for label, brier, ece in _calibration(calibrated)]
    return "\n".join([counted(rows["case"].nunique(), "case"), *lines])


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby("label", sort=False)[[*METRICS, *LESION_COLUMNS]].mean()
