"""Check the text header of an NRRD or MetaImage file before ITK reads the file.

ITK waits without end for a pipe in the place of a data file. If the compressed data of a MetaImage file are damaged, it
returns whatever was in memory.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from .. import files
from ..errors import DataError

HEADER_BYTES = 2**20
"""Maximum size of a header."""
PIECE = 2**20
BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4, "LONG_LONG": 8,
         "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
"""Bytes per number of a MetaImage file, by its type without `MET_`."""
DATA_FILE = {"elementdatafile", "data file", "datafile"}


def check(path: Path) -> None:
    """Check that the data files of an NRRD or MetaImage file are ordinary files, and that compressed data are whole.

    Raises:
        DataError: A data file is missing, a pipe, a socket or a device; or the compressed data of a MetaImage file are
            damaged, or are not as large as the header announces.
        OSError: The file itself cannot be read.
    """
    with files.open_ordinary(path) as handle:
        head = handle.read(HEADER_BYTES)
    fields, length = _fields(head)
    for data in _data_files(path, fields, head[length:]):
        try:
            files.open_ordinary(data).close()
        except OSError as error:
            raise DataError(f"Its data file cannot be read: {error.strerror}.", where=str(data)) from None
    if fields.get("compresseddata", "").lower() == "true":
        _check_compressed(path, fields, length)


def _fields(head: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of a header by lower-case name, and the length of the header in bytes."""
    fields, length = {}, 0
    for line in head.splitlines(keepends=True):
        length += len(line)
        name, _, value = re.sub(rb"[=:]=?", b"=", line, count=1).partition(b"=")
        key = name.decode("latin-1").strip().lower()
        fields[key] = value.decode("utf-8", "surrogateescape").strip()
        if not line.strip() or key == "elementdatafile" or key in DATA_FILE and fields[key].upper().startswith("LIST"):
            break
    return fields, length


def _data_files(path: Path, fields: dict[str, str], rest: bytes) -> Iterator[Path]:
    """Yield the files outside of the file itself that hold its voxels."""
    named = next((value for name, value in fields.items() if name in DATA_FILE), "LOCAL")
    first = named.split(" ")[0]
    if named.upper() == "LOCAL":
        return
    if first.upper() == "LIST":
        listed = [line for line in rest.decode("utf-8", "surrogateescape").splitlines() if line.strip()]
        yield from (path.parent / line.strip() for line in listed)
    elif "%" in first:
        yield from path.parent.glob(re.sub(r"%\d*[dui]", "*", Path(first).name))
    else:
        yield path.parent / named


def _check_compressed(path: Path, fields: dict[str, str], length: int) -> None:
    data = path if fields["elementdatafile"].upper() == "LOCAL" else path.parent / fields["elementdatafile"]
    try:
        channels = int(fields.get("elementnumberofchannels", 1))
        announced = (channels * math.prod(int(n) for n in fields["dimsize"].split())
                     * BYTES[fields["elementtype"].removeprefix("MET_").removesuffix("_ARRAY")])
        size = int(fields["compresseddatasize"])
    except (KeyError, ValueError) as error:
        raise DataError(f"The header of the compressed data is incomplete or wrong: {error}.",
                        where=str(path)) from None
    try:
        with files.open_ordinary(data) as handle:
            handle.seek(length if data == path else 0)
            unpacked = _unpacked(handle.read(size), announced)
    except zlib.error as error:
        raise DataError(f"The compressed data are damaged: {error}", where=str(data)) from None
    if unpacked != announced:
        raise DataError(f"The compressed data have {unpacked} bytes, the header announces {announced}: "
                        "the file is truncated or damaged.", where=str(data))


def _unpacked(content: bytes, most: int) -> int:
    """Return the unpacked size of a zlib or gzip stream, at most `most` + 1; 0 if the stream has no end."""
    stream, found = zlib.decompressobj(wbits=47), 0
    while not stream.eof and found <= most:
        piece = stream.decompress(content, min(PIECE, most - found + 1))
        content, found = stream.unconsumed_tail, found + len(piece)
        if not piece and not content:
            return 0
    return found
