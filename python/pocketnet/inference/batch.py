"""Segment many cases in sequence. Finished cases are skipped, and a failed case does not stop the others."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .. import claims, files, outputs
from ..contracts import features
from ..contracts.labels import Label
from ..errors import DataError, PocketError, UsageError, missing_library
from ..evaluation.statement.apply import Statement
from ..preprocessing import formats, geometry
from ..preprocessing.scan import Scan, read_scan
from . import colours, dicom_seg, picture, results, statements, volumes_table
from .cases import stem, suffix
from .merge import WindowProgress
from .predictor import Predictor
from .results import Wanted
from .run import Segmentation, Sink

if TYPE_CHECKING:
    import numpy as np

CaseProgress = Callable[[str], WindowProgress]


@dataclass
class Done:
    """The outcome of all cases.

    Attributes:
        cases: One dict per segmented or skipped case: `case`, `output`, `skipped`, `volumes`, `warnings`, `statement`
            and more.
        problems: One message per failed case.
        exit_codes: Exit codes of the failed cases.
        features: Features by segmented case, if they are wanted.
    """

    cases: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    exit_codes: set[int] = field(default_factory=set)
    features: dict[str, features.Recorded] = field(default_factory=dict)


def check_output(output: Path, inputs: Mapping[str, list[Path]], single: bool, wanted: Wanted,
                 labels: Sequence[Label]) -> None:
    """Check in advance that results can be written without overwriting images or files of other programs.

    Raises:
        UsageError: The results cannot be written, or they would overwrite such a file.
    """
    folder = output.parent if single else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.atomic(folder / "test") as temporary:
            temporary.write_bytes(b"")
            raise _Tried
    except _Tried:
        pass
    except OSError as error:
        raise UsageError(f"The results cannot be written here: {error.strerror or error}.", where=str(folder),
                         todo="Name another folder as --output, or make this one writable.") from None
    images = {outputs.real(part) for paths in inputs.values() for path in paths
              for part in formats.parts(geometry.file_and_volume(path)[0])}
    if wanted.extras:
        with volumes_table.locked(folder, create=False):
            outputs.check_files(dict.fromkeys(_tables(output, single).values()), images, shared=True)
    if wanted.features:
        with volumes_table.locked(folder, create=False):
            outputs.check_files({folder / features.TABLE: None}, images, shared=True)
    written: list[Path] = []
    owner: dict[Path, str] = {}
    for case, paths in inputs.items():
        target = target_of(output, case, paths, single, wanted.suffix)
        of_case = [*map(Path, formats.parts(target)), *wanted.paths(target, labels).values()]
        for path in of_case:
            if owner.setdefault(path, case) != case:
                raise UsageError(f"The results of the cases {owner[path]} and {case} would have the same name.",
                                 where=str(path), todo="Rename one of the images, or write to two folders.")
            if outputs.real(path) in images:
                raise UsageError("The result would overwrite an image.", where=str(path),
                                 todo="Name another --output.")
        if not _is_noted(target):  # otherwise the case may be finished; `segment_cases` checks that
            written += of_case
    outputs.check_files(dict.fromkeys(path for path in written if _has_name(path) and _is_open(path.parent)), images)
    for path in owner:  # finished cases too: another command may be about to segment them again
        if _has_name(path) and _is_open(path.parent):
            claims.claim(path)


def _is_noted(target: Path) -> bool:
    """Return whether this version wrote a label map; False if it cannot be read. `_one` tells of a path too long."""
    try:
        return results.is_noted(target)
    except OSError:
        return False


def _has_name(path: Path) -> bool:
    """Return whether the file system takes a file's name; if not, only its case fails."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def _is_open(folder: Path) -> bool:
    """Return whether a folder is writable or does not exist yet; if not, only its cases fail."""
    return not folder.is_dir() or os.access(folder, os.W_OK | os.X_OK)


class _Tried(Exception):
    """Ends `check_output`'s trial write before the temporary file is renamed."""


def target_of(output: Path, case: str, paths: list[Path], single: bool, ending: str = "") -> Path:
    """Return the path of a case's label map, which is named like its image; `ending` is a suffix that is asked for."""
    return output if single else output / f"{case}{ending or suffix(Path(geometry.file_and_volume(paths[0])[0]))}"


def _tables(output: Path, single: bool) -> dict[str, Path]:
    """Return the paths of the files about all cases; they are next to the label maps."""
    prefix, folder = (f"{stem(output)}_", output.parent) if single else ("", output)
    return {"volumes": folder / f"{prefix}volumes.csv", "ITK-SNAP": folder / f"{prefix}labels.txt",
            "3D Slicer": folder / f"{prefix}labels.ctbl"}


def segment_cases(predictor: Predictor, work: Mapping[str, list[Path]], output: Path, *, single: bool, wanted: Wanted,
                  again: bool, follow: CaseProgress,
                  energy: Callable[[], dict[str, Any]] | None = None) -> Done:
    """Segment cases and write their results.

    Args:
        predictor: The network or ensemble.
        work: The files of each case, in the model's order of modalities.
        output: The output folder; the label map if `single`.
        single: Whether `output` is the label map of the only case.
        wanted: Results to write in addition to the label maps.
        again: Whether to segment finished cases again.
        follow: Function of the case name; returns the progress wrapper for its list of windows.
        energy: Returns the energy since its last call; None does not record it.
    """
    done = Done()
    volumes: dict[str, dict[str, Any]] = {}
    tables = _tables(output, single)
    described = features.read(output / features.TABLE) if wanted.features else {}
    try:
        for case, paths in work.items():
            target = target_of(output, case, paths, single, wanted.suffix)
            if energy:
                energy()  # from here on
            try:
                key = _key(predictor, paths, wanted)
                earlier = described.get(case)
                missing = wanted.features and (earlier is None or earlier.key != results.note_of(key))
                row, found = _one(predictor, case, paths, target, wanted, again or missing, follow(case), key)
            except UsageError:  # of the options, which are the same for all cases
                raise
            except Exception as caught:  # whatever it is, the other cases go on
                error = missing_library(caught) or caught
                done.problems.append(f"{case}: {_described(error)}")
                done.exit_codes.add(getattr(error, "exit_code", DataError.exit_code))
                continue
            done.cases.append(row if row["skipped"] or not energy else row | {"energy": energy()})
            volumes[case] = row["volumes"]
            if wanted.features and found is not None:
                done.features[case] = features.Recorded(results.note_of(key), found)
    finally:
        if wanted.features:
            try:
                statements.update_features(output / features.TABLE, done.features)
            except (OSError, PocketError) as error:
                done.problems.append(f"{features.TABLE}: {_described(error)}")
        if wanted.extras and volumes:
            try:
                _write_tables(tables, done, volumes, predictor.model.plan.labels)
            except (OSError, PocketError) as error:
                done.problems.append(f"{tables['volumes'].name}: {_described(error)}")
    return done


def _write_tables(tables: Mapping[str, Path], done: Done, volumes: Mapping[str, dict[str, Any]],
                  labels: Sequence[Label]) -> None:
    """Write the files about all cases. A skipped case keeps its row of an earlier call, if it has one."""
    earlier, rows = volumes_table.read(tables["volumes"]), {}
    for row in done.cases:
        said = statements.columns(row["statement"])
        if row["skipped"] and row["case"] in earlier:
            row["warnings"] = [text for text in earlier[row["case"]][0]["warnings"].split(volumes_table.SEPARATOR)
                               if text]
            said = {old["label"]: {name: old[name] for name in volumes_table.STATEMENT} for old in earlier[row["case"]]}
        rows[row["case"]] = {name: values | said.get(name, {}) for name, values in volumes[row["case"]].items()}
    volumes_table.update(tables["volumes"], rows, {row["case"]: row["warnings"] for row in done.cases})
    with volumes_table.locked(tables["volumes"].parent):
        colours.write_label_tables(tables["ITK-SNAP"], tables["3D Slicer"], labels)


def _described(error: Exception) -> str:
    """Return an error on one line."""
    if isinstance(error, PocketError):
        return error.line()
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}: {error.filename or 'while reading or writing'}"
    return f"unexpected {type(error).__name__}: {str(error)[:300]}"


def _one(predictor: Predictor, case: str, paths: list[Path], target: Path, wanted: Wanted, again: bool,
         follow: WindowProgress, key: str) -> tuple[dict[str, Any], features.CaseFeatures | None]:
    """Segment one case unless it is finished, and return its entry in `Done.cases` and its features if it has any."""
    labels = predictor.model.plan.labels
    others = wanted.paths(target, labels)
    if not again and results.is_finished(target, key, list(others.values())):
        old = geometry.read(target, label=True)
        return {"case": case, "output": str(target), "skipped": True, "warnings": [], "statement": None,
                "volumes": results.volumes(old.data, old.spacing, labels)}, None
    written = [*map(Path, formats.parts(target)), *others.values()]
    for path in written:
        if not _has_name(path):
            raise DataError("The name of a result is too long for this file system.", where=str(path),
                            todo="Rename the image.")
    with _of_this_case():
        outputs.check_files(dict.fromkeys(written))
    if wanted.dicom_seg:
        dicom_seg.check(paths[0], labels)
    began = time.perf_counter()
    scan = read_scan(paths)
    grid = cast(geometry.Grid, scan.grid)
    geometry.check_slices(target, grid.shape)
    unlike = predictor.unlike(scan)
    calibrated = statements.calibration_of(predictor) is not None
    read = time.perf_counter() - began
    with ExitStack() as stack:
        maps, sink = None, None
        if wanted.probabilities:
            maps = stack.enter_context(results.probability_files(target.parent, scan.shape, labels))
            sink = _calibrating(predictor, maps)
        found = predictor.segment(scan, case=case, sink=sink, follow=follow, described=wanted.features or calibrated)
        volumes = results.volumes(found.classes, scan.spacing, labels)
        said = statements.make(predictor, found, volumes, unlike)
        writing = time.perf_counter()
        note = results.note_of(key)
        with _of_this_case():
            if maps:
                maps.write([others[f"probability of {label.name}"] for label in labels], scan, note)
            _write(case, scan, found, volumes, labels, others, note, said)
            if wanted.dicom_seg:
                others["DICOM-SEG"].unlink(missing_ok=True)
            # The note of the label map marks the case as finished, with the other files.
            geometry.write_image(target, found.classes, grid, note=note)
            if wanted.dicom_seg:  # last, so that the label map is there if this fails
                dicom_seg.write_segmentation(others["DICOM-SEG"], paths[0], found.classes, grid, labels,
                                             keep_origin=wanted.dicom_origin, said=said)
    now = time.perf_counter()
    parts = {"reading": read, **found.seconds, "writing": now - writing}
    return {"case": case, "output": str(target), "skipped": False, "seconds": round(now - began, 3),
            "parts": {name: round(value, 3) for name, value in parts.items()}, "volumes": volumes,
            "statement": said.to_json() if said else None, "warnings": [*scan.warnings, *unlike],
            "files": {name: str(path) for name, path in others.items()},
            "window": list(found.window),
            "windows": found.windows[0], "windows_left_out": found.windows[1],
            "predicted_memory_mib": found.need.mib if found.need else None}, found.features


def _calibrating(predictor: Predictor, maps: results.ProbabilityFiles) -> Sink:
    """Return a sink that writes probabilities into maps, calibrated if the model folder has temperatures."""
    from .temperatures import calibrator

    calibrate = calibrator(predictor.models, predictor.predictions)
    return lambda at, probabilities: maps.add(at, calibrate(probabilities))


@contextmanager
def _of_this_case() -> Iterator[None]:
    """Turn a file that may not be replaced into a problem of one case, so that the others go on."""
    try:
        yield
    except UsageError as error:
        refused = DataError(error.what, where=error.where, todo=error.todo)
        refused.exit_code = error.exit_code
        raise refused from None


def _write(case: str, scan: Scan, found: Segmentation, volumes: dict[str, Any], labels: Sequence[Label],
           others: dict[str, Path], note: str, said: Statement | None) -> None:
    """Write the uncertainty map and the picture, if wanted."""
    if "uncertainty" in others:
        results.write_map(others["uncertainty"], cast("np.ndarray", found.uncertainty),
                          cast(geometry.Grid, scan.grid), note)
    if "picture" in others:
        picture.draw_picture(others["picture"], scan, found.classes, labels,
                             {name: row["volume_ml"] for name, row in volumes.items()}, case, said)


def _key(predictor: Predictor, paths: list[Path], wanted: Wanted) -> str:
    """Return a checksum of everything that the result depends on: models, options and images."""
    later = {"missing", "accept", "reject"}  # options of later versions: without them, the checksum is the earlier one
    options = {name: value for name, value in asdict(predictor.options).items() if name not in later or value}
    options |= {"threads": None, "max_memory_mib": None, "engine": predictor.engine_name}
    return files.digest({"models": [model.digest for model in predictor.models], "options": options,
                         "images": [_checksum(path) for path in paths]})


def _checksum(path: Path) -> str:
    file, volume = geometry.file_and_volume(path)
    try:
        if Path(file).is_dir():
            return files.digest(sorted(files.sha256(one) for one in Path(file).iterdir() if one.is_file()))
        if Path(file).exists() and not Path(file).is_file():
            raise DataError("This is not an ordinary file.", where=file)
        there = [part for part in formats.parts(file) if part == file or Path(part).is_file()]
        return f"{' '.join(map(files.sha256, there))} {volume}"
    except OSError as error:
        raise DataError(f"The image cannot be read: {error.strerror or error}.", where=file) from None
