"""Find the DICOM files of a series, and read their headers with pydicom."""

from __future__ import annotations

import re
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...text import counted
from .. import folders

if TYPE_CHECKING:
    import pydicom

HEAD_BYTES = 512
"""Bytes at the start of a file that show whether it is DICOM."""
DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR."""
DEFLATED = "1.2.840.10008.1.2.1.99"
UNDEFINED_LENGTH = 0xFFFFFFFF
MOST_RATIO, MOST_DEFLATED_RATIO = 1000, 20
"""Maximum bytes of pixels per byte of a compressed file, and of a deflated file's content, beyond `SMALL_BYTES`."""
SMALL_BYTES = 64 * 2**20
MOST_ELEMENTS = 20_000
"""Maximum attributes of a file, without those in sequences."""
LOOKED_AT = ("SeriesInstanceUID", "Modality", "SeriesDescription", "ImageType", "LossyImageCompression",
             "FrameOfReferenceUID", "BitsStored", "PixelRepresentation")
"""Attributes whose values all steps expect to be readable."""
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
MOST_LINES = 8
"""Maximum number of problems that a message lists."""
_VRS = frozenset((b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"OB", b"OW", b"PN", b"SH", b"SQ",
                  b"ST", b"TM", b"UI", b"UL", b"UN", b"US", b"UT"))
NO_IMAGES = ("Segmentation", "RT ", "Presentation State", "Surface", "Parametric Map")
"""Words in the names of SOP classes that have rows and columns or a look of an image, but are none of a body."""


@dataclass(frozen=True)
class Header:
    """A DICOM file and its attributes without the pixels."""

    file: Path
    data: pydicom.Dataset


@dataclass
class Found:
    """The DICOM files of a folder.

    Attributes:
        images: Headers of the files with an image.
        warnings: One line for each kind of file that is left out.
        others: Names of the files that are not DICOM.
        no_images: Names and kinds of the DICOM files without an image.
    """

    images: list[Header] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    no_images: list[str] = field(default_factory=list)


class _Damaged(Exception):
    """A DICOM file cannot be read; the text gives the reason."""


def looks_like_dicom(head: bytes) -> bool:
    """Return whether the first `HEAD_BYTES` of a file are DICOM's, with or without the preamble of 128 bytes."""
    return head[128:132] == b"DICM" or head[:4] == b"DICM" or _is_element(head)


def _is_element(head: bytes) -> bool:
    """Return whether a file starts with an element of group 2 or 8, as DICOM without a preamble does."""
    if len(head) < 16 or head[:2] not in (b"\x02\0", b"\x08\0"):
        return False
    number = int.from_bytes(head[2:4], "little")
    if head[4:6] in _VRS:
        return number <= 0x1000
    return number <= 0x20 and int.from_bytes(head[4:8], "little") <= 128


def sniff(file: Path) -> bool:
    """Return whether a file is DICOM by its first bytes; False if it cannot be read or is not a regular file."""
    try:
        if not file.is_file():
            return False
        with open(file, "rb") as handle:
            return looks_like_dicom(handle.read(HEAD_BYTES))
    except OSError:
        return False


def holds_image(file: Path) -> bool:
    """Return whether a file is DICOM with an image, or damaged DICOM; a DICOMDIR or a report is neither."""
    if not sniff(file):
        return False
    try:
        return _kind(read_header(file)) is None
    except (_Damaged, OSError):
        return True


def find(path: Path, where: Path) -> Found:
    """Read the headers of the only series at a path.

    Files directly in a folder are taken, or those in all its subfolders if it has no DICOM image itself.

    Args:
        path: A folder, or one DICOM file.
        where: The path that the user gave, for messages.

    Raises:
        DataError: There is no series or more than one, or a file is damaged.
    """
    found = _read_files(_candidates(path), where)
    by_series: dict[str, list[Header]] = defaultdict(list)
    for header in found.images:
        by_series[str(header.data.get("SeriesInstanceUID", ""))].append(header)
    if not found.images:
        raise DataError("There is no DICOM series here.", where=str(where), problems=found.warnings[:MOST_LINES])
    if len(by_series) > 1:
        raise DataError(f"Expected one DICOM series, found {len(by_series)}.", where=str(where),
                        problems=[f"series {uid or 'without SeriesInstanceUID'}: {counted(len(headers), 'file')}"
                                  f"{_described(headers[0])}" for uid, headers in by_series.items()][:MOST_LINES],
                        todo="Put each series into its own folder.")
    if path.is_dir():
        _check_below(path, found, where)
    return found


def _check_below(path: Path, found: Found, where: Path) -> None:
    """Check that no more files of the series lie in subfolders, beside files directly in the folder."""
    taken = {header.file for header in found.images}
    if any(file.parent != path for file in taken):
        return
    uid = found.images[0].data.get("SeriesInstanceUID", "")
    more = []
    for file in folders.contents(path).files:
        if file.parent != path and sniff(file):
            try:
                if read_header(file).get("SeriesInstanceUID", "") == uid:
                    more.append(str(file.relative_to(path)))
            except (_Damaged, OSError):
                continue
    if more:
        raise DataError(f"{len(more)} more files of this DICOM series lie in subfolders.", where=str(where),
                        problems=sorted(more)[:MOST_LINES], todo="Put all files of a series into one folder.")


def _described(header: Header) -> str:
    words = [str(header.data.get(name) or "") for name in ("Modality", "SeriesDescription")]
    return "".join(f", {word}" for word in words if word)


def _candidates(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        direct = [p for p in sorted(path.iterdir()) if not p.name.startswith(".") and not p.is_dir()]
        if any(holds_image(p) for p in direct):
            return direct
    except OSError as error:
        raise DataError(f"This folder cannot be read: {error.strerror or error}.", where=str(path)) from None
    found = folders.contents(path)
    if unread := found.left_out.get(folders.UNREADABLE):
        raise DataError("Folders of this DICOM series cannot be read.", problems=list(map(str, unread)),
                        where=str(path))
    return sorted([*found.files, *found.left_out.get(folders.DANGLING, ())])


def _read_files(files: Sequence[Path], where: Path) -> Found:
    found, damaged = Found(), []
    unknown: list[Path] = []
    others: list[tuple[Header, str]] = []
    for file in files:
        if not sniff(file):
            unknown.append(file)
            continue
        try:
            data = read_header(file)
        except (_Damaged, OSError) as error:
            damaged.append(f"{file.name}: {error}")
            continue
        kind = _kind(data)
        if kind is None:
            found.images.append(Header(file, data))
        elif kind:
            others.append((Header(file, data), kind))
    series = {str(header.data.get("SeriesInstanceUID", "")) for header in found.images} | {""}
    for header, kind in others:
        if str(header.data.get("SeriesInstanceUID", "")) in series:
            damaged.append(f"{header.file.name}: it has no image, though it is of the slices' series")
        else:
            found.no_images.append(f"{header.file.name} ({kind})")
    shapes = {_shape(header.file) for header in found.images} | {".dcm", ".ima", ".dicom"}
    for file in unknown:
        if shapes & {_shape(file), file.suffix.lower()}:
            damaged.append(f"{file.name}: {_why_not(file)}")
        else:
            found.others.append(file.name)
    if damaged:
        raise DataError(f"{len(damaged)} of {len(files)} files of this DICOM series are damaged.", where=str(where),
                        problems=damaged[:MOST_LINES], todo="Copy or export them again.")
    for names, text in ((found.others, "not DICOM"), (found.no_images, "DICOM without an image")):
        if names:
            found.warnings.append(f"{text}, left out: {listed(names)}")
    return found


def _shape(file: Path) -> str:
    """Return a file's name with its digits alike, so that slices of a series have the same one."""
    return re.sub(r"\d+", "#", file.name)


def _why_not(file: Path) -> str:
    if not file.exists():
        return "a link to a file that is not there"
    if not file.is_file():
        return "no regular file"
    try:
        size = file.stat().st_size
        with open(file, "rb"):
            return f"not DICOM ({size} bytes), though its name is that of a slice"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names for a message, at most `most` of them."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings about values that break the standard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(file: Path, pixels: bool = False) -> pydicom.Dataset:
    """Read the attributes of a DICOM file, with or without the pixels.

    Raises:
        _Damaged: The file ends too early or is not valid DICOM.
        OSError: The file cannot be opened.
    """
    import pydicom

    try:
        with quiet(), open(file, "rb") as handle:
            head = handle.read(HEAD_BYTES)
            _check_deflated(file, head)
            handle.seek(4 if head[:4] == b"DICM" else 0)
            data = pydicom.filereader.read_partial(handle, _Stop(pixels), force=True)
            rest = b"" if pixels else handle.read(12)
            left = file.stat().st_size - handle.tell()
            if not pixels:
                _check_pixels(data, rest, left)
            return data
    except _Damaged:
        raise
    except OSError:
        raise
    except EOFError:
        raise _Damaged("the file ends within an attribute") from None
    except Exception as error:  # pydicom raises errors of many types on damaged files
        raise _Damaged(f"not readable: {str(error).splitlines()[0][:120] if str(error) else type(error).__name__}"
                       ) from None


class _Stop:
    """Tells pydicom to stop at the pixels, and ends the reading of a file that has attributes without end."""

    def __init__(self, pixels: bool):
        self._pixels, self._count = pixels, 0

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        self._count += 1
        if self._count > MOST_ELEMENTS:
            raise _Damaged(f"it has more than {MOST_ELEMENTS} attributes")
        return not self._pixels and tag in PIXELS


def _check_deflated(file: Path, head: bytes) -> None:
    """Check that a file of the deflated transfer syntax does not unpack to far more than its size.

    Raises:
        _Damaged: It does, or it is not a sound deflate stream.
    """
    if DEFLATED.encode() not in head or head[128:138] != b"DICM\2\0\0\0UL":
        return
    most = SMALL_BYTES + MOST_DEFLATED_RATIO * file.stat().st_size
    stream, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with open(file, "rb") as handle:
        handle.seek(144 + int.from_bytes(head[140:144], "little"))
        block = handle.read(2**16)
        while block and not stream.eof:
            try:
                total += len(stream.decompress(block, 2**20))
            except zlib.error as error:
                raise _Damaged(f"not a sound deflate stream: {error}") from None
            if total > most:
                raise _Damaged(f"its {file.stat().st_size} bytes unpack to more than {most}")
            block = stream.unconsumed_tail or handle.read(2**16)


def _check_pixels(data: pydicom.Dataset, rest: bytes, left: int) -> None:
    """Check that an image's header is whole and its pixels follow.

    Args:
        data: The header.
        rest: The 12 bytes after it: tag, type and length of the pixels.
        left: Bytes of the file after these.

    Raises:
        _Damaged: They are not there, or fewer than the header says.
    """
    for name in LOOKED_AT:  # pydicom converts a value when it is first looked at, and raises an error here if it cannot
        data.get(name)
    if _kind(data) is not None:
        return
    if not _class(data):
        raise _Damaged("no SOPClassUID (0008,0016): the file ends too early, or its header is damaged")
    if str(_meta(data, "TransferSyntaxUID")) == DEFLATED:
        return
    missing = [name for name in ("Rows", "Columns", "BitsAllocated") if not data.get(name)]
    if rest[:2] not in (b"\xe0\x7f", b"\x7f\xe0"):
        raise _Damaged("it has no pixels: the file ends too early" + (f" ({', '.join(missing)} missing too)"
                                                                     if missing else ""))
    if missing:
        raise _Damaged(f"it has pixels, but lacks {', '.join(missing)}")
    little = rest[:1] == b"\xe0"
    order = "little" if little else "big"
    explicit = rest[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN")
    length = int.from_bytes(rest[8:12] if explicit else rest[4:8], order)  # type: ignore[arg-type]
    left += 0 if explicit else 4
    bits = int(data.Rows) * int(data.Columns) * int(data.BitsAllocated) * int(data.get("SamplesPerPixel") or 1)
    frames = int(data.get("NumberOfFrames") or 1)
    expected = -(-bits * frames // 8)
    if data.get("PhotometricInterpretation") == "YBR_FULL_422":
        expected = expected * 2 // 3
    compressed = length == UNDEFINED_LENGTH
    if (expected > SMALL_BYTES + MOST_RATIO * left) if compressed else (min(length, left) < expected):
        raise _Damaged(f"expected {expected} bytes of pixels ({frames} × {data.Rows} × {data.Columns}), found "
                       f"{left if compressed else min(length, left)}{' compressed ones' * compressed}")


def _meta(data: pydicom.Dataset, name: str) -> Any:
    return getattr(data, "file_meta", {}).get(name) or ""


def _class(data: pydicom.Dataset) -> str:
    return str(data.get("SOPClassUID") or _meta(data, "MediaStorageSOPClassUID") or "")


def _kind(data: pydicom.Dataset) -> str | None:
    """Return None for an image, an empty text for a DICOMDIR, and else the name of the SOP class."""
    from pydicom.uid import UID

    if _class(data) == DIRECTORY or "DirectoryRecordSequence" in data:
        return ""
    uid = UID(_class(data))
    name = uid.name if uid else ""
    if any(word in name for word in NO_IMAGES):
        return name
    known = "Image" in name or data.get("Rows") is not None or not uid
    return None if known else name or "unknown"
