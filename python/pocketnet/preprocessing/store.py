"""Write and read stores: preprocessed cases on disk that are read patch by patch.

A store is a folder `<case>/` with `image.b2nd` (x, y, z, channel; float32, not normalised), `label.b2nd`
(x, y, z; uint8) and `case.json`. Arrays are Blosc2 files (`b2nd`), compressed in small blocks, so that reading a random
patch does not read the whole volume. In a classification, `image.b2nd` is (row, column, channel), and `class` in
`case.json` replaces `label.b2nd`. `docs/results/store.md` has the measurements behind this choice.

`case.json` has the SHA-256 of each array file and of its own content. An array file is compared with its checksum when
a process reads it for the first time, and again if the file has changed since. `index.npz` beside the stores has what
their `case.json` files say (`index.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import files
from ..contracts.case import UNSEALED, Statistics, StoredCase
from ..errors import AlteredError, DataError
from ..text import counted
from . import index
from .case import Prepared
from .label_maps import IGNORED

if TYPE_CHECKING:
    import blosc2

CHUNK = 64
BLOCK = 16
FOREGROUND_SAMPLE = 500


def _write_array(path: Path, array: np.ndarray, axes: int = 3) -> None:
    """Write an array with `axes` spatial axes; a 2D image is always read as a whole and is therefore one chunk."""
    import blosc2

    space, tail = array.shape[:axes], array.shape[axes:]
    chunks = (space if axes == 2 else tuple(min(CHUNK, n) for n in space)) + tail
    blocks = (space if axes == 2 else tuple(min(BLOCK, n) for n in space)) + tail
    parameters = {"codec": blosc2.Codec.LZ4, "clevel": 5, "nthreads": 1, "filters": [blosc2.Filter.SHUFFLE]}
    compressed = blosc2.asarray(np.ascontiguousarray(array), chunks=chunks, blocks=blocks, cparams=parameters)
    # Python writes the file, because Blosc2 does not report why a write failed (for example, a full disk).
    path.write_bytes(compressed.to_cframe())


@dataclass(frozen=True)
class Annotation:
    """How completely a case is annotated.

    Attributes:
        annotated: Names of the annotated labels; None: all.
        ignored: Whether the label map marks unannotated voxels as `IGNORED`.
    """

    annotated: tuple[str, ...] | None = None
    ignored: bool = False


def write_store(folder: str | Path, case: str, modalities: Sequence[str], prepared: Prepared, label: np.ndarray | None,
                labels: Mapping[str, int | tuple[int, ...]], class_name: str | None = None,
                annotation: Annotation = Annotation()) -> Path:
    """Write one case's store. The write is atomic.

    Args:
        folder: Folder that receives the store `<case>/`.
        case: Name of the case.
        modalities: Modalities in channel order.
        prepared: The cropped and resampled image.
        label: (x, y, z) classes on the prepared grid; None for a case without a reference.
        labels: Class value by name; several of a label that overlaps with others.
        class_name: Class of the case in a classification.
        annotation: How completely the case is annotated.
    """
    target = Path(folder) / case
    foreground: dict[str, Any] = {
        name: _sample(np.isin(label, value) if isinstance(value, tuple) else label == value)
        for name, value in labels.items()} if label is not None else {}
    with files.atomic_folder(target) as temporary:
        _write_array(temporary / "image.b2nd", prepared.image, prepared.image.ndim - 1)
        if label is not None:
            _write_array(temporary / "label.b2nd", label)
        stored = StoredCase(
            case=case, modalities=tuple(modalities), source_shape=prepared.source_shape, crop=prepared.box,
            shape=prepared.image.shape[:-1], spacing_mm=prepared.spacing,
            statistics=cast("tuple[Statistics, ...]", prepared.statistics),
            foreground=foreground,
            sha256={path.name: files.sha256(path) for path in sorted(temporary.glob("*.b2nd"))},
            checksum=UNSEALED, class_name=class_name or None, annotated=annotation.annotated,
            known=cast(Any, _sample(label != IGNORED)) if label is not None and annotation.ignored else None)
        replace(stored, checksum=stored.own_checksum()).write(temporary / "case.json")
    return target


def _sample(mask: np.ndarray) -> list[list[int]]:
    """Return at most `FOREGROUND_SAMPLE` voxel indices of a mask, evenly spaced in scan order."""
    found = np.flatnonzero(mask)
    if found.size > FOREGROUND_SAMPLE:
        found = found[np.linspace(0, found.size - 1, FOREGROUND_SAMPLE).astype(np.int64)]
    return np.stack(np.unravel_index(found, mask.shape), axis=1).tolist()


class Store:
    """A preprocessed case, opened for reading.

    Args:
        folder: The store's folder.
        entry: The store's entry in the index of its folder; None: `case.json` is read.

    Attributes:
        digest: Checksum of the store's content, from its `case.json`.
        sha256: Checksum by file.
        spacing: Voxel spacing in mm.
        foreground: Voxel indices by label, (n, 3) int32, at most `FOREGROUND_SAMPLE` per label.
        annotated: Names of the annotated labels; None: all.
        known: Indices of annotated voxels, (n, 3) int32, at most `FOREGROUND_SAMPLE`; None: all voxels are.

    Raises:
        DataError: The store is incomplete, or its `case.json` is invalid.
        AlteredError: `case.json` is not as it was written.
    """

    def __init__(self, folder: str | Path, entry: index.Entry | None = None):
        self.folder = Path(folder)
        self.entry = entry or self._described()
        fields = self.entry.fields
        self.digest = fields["checksum"][:16]
        self.case, self.shape, self.spacing = fields["case"], tuple(fields["shape"]), tuple(fields["spacing_mm"])
        self.statistics = tuple(Statistics(**one) for one in fields["statistics"])
        self.foreground, self.known = self.entry.foreground, self.entry.known
        self.annotated = None if fields.get("annotated") is None else tuple(fields["annotated"])
        self.class_name, self.sha256 = fields.get("class"), fields["sha256"]
        self._verified: dict[str, tuple[int, ...]] = {}

    def _described(self) -> index.Entry:
        """Read `case.json`; raises the errors of the class."""
        missing = [n for n in ("case.json", "image.b2nd") if not (self.folder / n).is_file()]
        if missing:
            raise DataError(f"The store is incomplete: {', '.join(missing)} missing.", where=str(self.folder),
                            todo="Preprocess the case again.")
        stored = StoredCase.read(self.folder / "case.json")
        if (found := stored.own_checksum()) != stored.checksum:
            raise _altered(self.folder / "case.json", found, stored.checksum)
        # Arrays save memory: a training holds these indices for all cases.
        axes = len(stored.shape)
        return index.Entry(
            {key: value for key, value in stored.to_json().items()
             if key not in ("foreground", "known", "source_shape", "crop")},
            {name: np.array(voxels, np.int32).reshape(-1, axes) for name, voxels in stored.foreground.items()},
            None if stored.known is None else np.array(stored.known, np.int32).reshape(-1, axes))

    def verify(self) -> None:
        """Compare all arrays with their checksums, unless this object has done so and they have not changed since.

        Raises:
            DataError: An array is missing.
            AlteredError: An array is not as it was written.
        """
        for name in self.sha256:
            self._file(name)

    def read_image(self, start: tuple[int, ...], size: tuple[int, ...],
                   transform: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        """Read a patch of the image, (x, y, z, channel) float32, padded with zeros outside the volume.

        Args:
            start: First voxel of the patch per axis; may be negative.
            size: Voxels of the patch per axis.
            transform: Function applied to the voxels inside the volume before padding, so that the padding is also
                zero after normalisation.
        """
        return self._read("image.b2nd", start, size, transform)

    def read_label(self, start: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
        """Read a patch of the label map, (x, y, z) uint8, padded with background outside the volume."""
        return self._read("label.b2nd", start, size)

    def _read(self, name: str, start: tuple[int, ...], size: tuple[int, ...],
              transform: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        import blosc2

        # Open the file for each patch: keeping thousands of cases open would exhaust the file handles.
        return _read_padded(blosc2.open(str(self._file(name)), mode="r"), start, size, self.shape, transform)

    def _file(self, name: str) -> Path:
        """Return the path of an array after verifying it; raises the errors of `verify`."""
        path = self.folder / name
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        if status is None or name not in self.sha256 or not stat.S_ISREG(status.st_mode):
            raise DataError(f"The store has no {name}.", where=str(self.folder), todo="Preprocess the case again.")
        state = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if self._verified.get(name) != state:
            if (found := files.sha256(path)) != self.sha256[name]:
                raise _altered(path, found, self.sha256[name])
            self._verified[name] = state
        return path


def _altered(path: Path, found: str, recorded: str) -> AlteredError:
    return AlteredError(f"{path.name} of the store is not as it was written: its SHA-256 is {found}, expected "
                        f"{recorded}.", where=str(path), todo="Preprocess the case again.")


def verify_stores(stores: Iterable[Store]) -> None:
    """Verify stores before they are used.

    Raises:
        DataError: Some are incomplete or not as they were written; the message lists all of them.
    """
    problems = []
    for store in stores:
        try:
            store.verify()
        except DataError as error:
            problems.append(f"{store.case}: {error.what} ({error.where})")
    if problems:
        raise AlteredError(f"{counted(len(problems), 'store is', 'stores are')} incomplete or altered.",
                           problems=problems, todo="Preprocess these cases again.")


def _read_padded(array: blosc2.NDArray, start: tuple[int, ...], size: tuple[int, ...], shape: tuple[int, ...],
                 transform: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    low = [max(0, s) for s in start]
    high = [min(n, s + length) for s, length, n in zip(start, size, shape, strict=True)]
    part = array[tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))]
    if transform is not None:
        part = transform(part)
    if part.shape[: len(size)] == tuple(size):
        return part
    out = np.zeros(tuple(size) + part.shape[len(size):], part.dtype)
    out[tuple(slice(a - s, a - s + n) for a, s, n in zip(low, start, part.shape, strict=False))] = part
    return out


def open_stores(folders: list[Path]) -> dict[str, Store]:
    """Open stores by case name, from folders that are stores or contain stores.

    Raises:
        DataError: There are no stores, two stores of one case, or stores that are incomplete, invalid or altered; the
            message lists all of these.
    """
    found: dict[str, Store] = {}
    problems = []
    for folder in folders:
        one = (folder / "case.json").is_file()
        candidates = [folder] if one else sorted(_stores_in(folder))
        indexed = index.read(folder) if len(candidates) > 1 else {}
        for candidate in candidates:
            try:
                store = Store(candidate, indexed.get(candidate.name))
            except DataError as error:
                problems.append(error.line())
                continue
            if store.case in found:
                raise DataError(f"Two stores of case {store.case}.",
                                problems=[str(found[store.case].folder), str(candidate)])
            found[store.case] = store
    if problems:
        raise DataError(f"{counted(len(problems), 'store')} cannot be used.", problems=problems,
                        todo="Preprocess these cases again.")
    if not found:
        raise DataError("There are no stores here.", problems=[str(f) for f in folders],
                        todo="Make them with pocket-preprocess.")
    return found


def needed_stores(folders: list[Path], cases: Sequence[str]) -> dict[str, Store]:
    """Open stores as `open_stores` does, and verify those of some cases.

    Raises:
        DataError: Also if a case has no store.
        AlteredError: A store is incomplete or not as it was written.
    """
    stores = open_stores(folders)
    if missing := [case for case in cases if case not in stores]:
        raise DataError(f"{len(missing)} of the fold's cases have no store.", problems=missing,
                        todo="Preprocess them with pocket-preprocess.")
    verify_stores(stores[case] for case in cases)
    return stores


def _stores_in(folder: Path) -> list[Path]:
    """Return the folders in a folder of stores."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        return [folder / one.name for one in found if not one.name.startswith(".") and one.is_dir()]


def write_index(folder: Path) -> None:
    """Write the index of a folder of stores, so that `open_stores` reads one file.

    Raises:
        DataError: Stores are incomplete, invalid or altered.
    """
    index.write(folder, {store.folder: store.entry for store in open_stores([folder]).values()})
