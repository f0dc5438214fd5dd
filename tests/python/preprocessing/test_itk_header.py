"""NRRD and MetaImage files that ITK would wait for, or read from whatever lies in memory."""

import os
import zlib

import numpy as np
import pytest
from pocketnet.errors import DataError
from pocketnet.preprocessing import itk, itk_header

VOXELS = np.arange(60, dtype=np.float32)
RAW = VOXELS.tobytes()
META = "ObjectType = Image\nNDims = 3\nDimSize = 3 4 5\nElementType = MET_FLOAT\n{}ElementDataFile = {}\n"
NRRD = ("NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\nsizes: 3 4 5\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n"
        "data file: {}\n")


def write(path, content, header=None, data="LOCAL"):
    """A compressed MetaImage file, and its data file if it has one."""
    announced = f"CompressedData = True\nCompressedDataSize = {len(content)}\n" if header is None else header
    local = content if data == "LOCAL" else b""
    path.write_bytes(META.format(announced, data).encode() + local)
    if not local:
        (path.parent / data).write_bytes(content)
    return path


def test_whole_compressed_data_are_read(tmp_path):
    for name, data in (("a.mha", "LOCAL"), ("b.mhd", "b.zraw")):
        for packed in (zlib.compress(RAW), zlib.compress(RAW, 0)):
            image = itk.read_file(write(tmp_path / name, packed, data=data))
            assert sorted(np.asarray(image.channel.raw).ravel()) == VOXELS.tolist()


PACKED = zlib.compress(np.random.default_rng(0).normal(size=60).astype(np.float32).tobytes())
FLIPPED = PACKED[:100] + bytes([PACKED[100] ^ 1]) + PACKED[101:]


@pytest.mark.parametrize("content, words", [
    (PACKED[:-50], "truncated"), (b"", "truncated"), (PACKED[:-1] + b"\0", "damaged"), (FLIPPED, "damaged"),
    (b"no zlib at all", "damaged"), (zlib.compress(RAW[:-4]), "236 bytes, the header announces 240"),
    (zlib.compress(RAW + bytes(2**26)), "241 bytes, the header announces 240")])
@pytest.mark.parametrize("data", ["LOCAL", "a.zraw"])
def test_damaged_compressed_data_are_refused(tmp_path, content, words, data):
    with pytest.raises(DataError, match=words):
        itk.read_file(write(tmp_path / "a.mhd", content, data=data))


@pytest.mark.parametrize("header", ["CompressedData = True\n", "CompressedData = True\nCompressedDataSize = x\n"])
def test_compressed_data_of_unknown_size_are_refused(tmp_path, header):
    with pytest.raises(DataError, match="incomplete or wrong"):
        itk.read_file(write(tmp_path / "a.mha", PACKED, header))


@pytest.mark.parametrize("data", ["pipe", "LIST", "LIST 2", "pip%d", "/dev/zero", "none"])
@pytest.mark.parametrize("suffix", ["mhd", "nhdr"])
def test_a_data_file_is_an_ordinary_file(tmp_path, suffix, data):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pip1")
    path = tmp_path / f"a.{suffix}"
    path.write_text((META.format("", data) if suffix == "mhd" else NRRD.format(data)) + "pipe\npipe\n")
    with pytest.raises(DataError, match="not an ordinary file|No such file"):
        itk_header.check(path)
