"""Stores give back what was written, patch by patch, and nothing that is half written."""

import json
import resource
from contextlib import contextmanager

import numpy as np
import pytest
import tiny
from pocketnet.errors import AlteredError, DataError
from pocketnet.preprocessing import store
from pocketnet.training import checkpoints


@contextmanager
def largest_file(size):
    """Let the system refuse to write any file beyond `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def case(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.normal(100, 20, (30, 20, 70, 2)).astype(np.float32)
    label = rng.integers(0, 3, (30, 20, 70)).astype(np.uint8)
    folder = store.write_store(tmp_path, "a", ["t1", "t2"], tiny.prepared(image, (1, 1, 2)), label,
                               {"one": 1, "two": 2})
    return store.Store(folder), image, label


@pytest.mark.parametrize("start, size", [
    ((0, 0, 0), (30, 20, 70)), ((3, 4, 60), (8, 8, 10)), ((-5, -2, -3), (40, 24, 76)), ((25, 15, 65), (10, 10, 10))])
def test_patches_are_the_volumes_and_zero_outside(case, start, size):
    opened, image, label = case
    margin = 50
    padded = np.pad(image, [(margin, margin)] * 3 + [(0, 0)])
    window = tuple(slice(s + margin, s + margin + n) for s, n in zip(start, size, strict=True))
    np.testing.assert_array_equal(opened.read_image(start, size), padded[window])
    np.testing.assert_array_equal(opened.read_label(start, size), np.pad(label, margin)[window])


def test_padding_is_zero_after_normalisation(case):
    opened, image, _ = case
    patch = opened.read_image((-2, 0, 0), (4, 4, 4), lambda x: x + 1000)
    assert not patch[:2].any() and (patch[2:] > 1000).all()


def test_foreground_samples_lie_in_their_class(case):
    opened, _, label = case
    assert set(opened.foreground) == {"one", "two"}
    for value, name in enumerate(("one", "two"), 1):
        voxels = np.array(opened.foreground[name])
        assert len(voxels) == store.FOREGROUND_SAMPLE and (label[tuple(voxels.T)] == value).all()


def test_incomplete_or_missing_stores_are_refused(case, tmp_path):
    opened, *_ = case
    assert list(store.open_stores([tmp_path])) == ["a"] == list(store.open_stores([opened.folder]))
    with pytest.raises(DataError, match="Two stores of case a"):
        store.open_stores([tmp_path, opened.folder])
    (opened.folder / "image.b2nd").unlink()
    with pytest.raises(DataError, match="image.b2nd missing"):
        store.open_stores([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no stores here"):
        store.open_stores([tmp_path / "empty"])


def flip(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name, read", [("image.b2nd", "read_image"), ("label.b2nd", "read_label")])
@pytest.mark.parametrize("before", [False, True])
def test_an_altered_array_is_named_when_it_is_read(case, name, read, before):
    """Also if it is altered after this process has read it."""
    opened, *_ = case
    if before:
        getattr(opened, read)((0, 0, 0), (4, 4, 4))
        opened.verify()
    flip(opened.folder / name)
    for attempt in (lambda: getattr(opened, read)((0, 0, 0), (4, 4, 4)), opened.verify):
        with pytest.raises(AlteredError) as caught:
            attempt()
        assert caught.value.where == str(opened.folder / name) and opened.sha256[name] in caught.value.what
    with pytest.raises(DataError, match=rf"1 store[^!]*a: {name}"):
        store.verify_stores([opened])


@pytest.mark.parametrize("change", [
    lambda value: value["statistics"][0].update(mean=0.0), lambda value: value["foreground"]["one"][3].reverse(),
    lambda value: value.update(spacing_mm=[1, 1, 1]), lambda value: value["sha256"].pop("label.b2nd"),
    lambda value: value.update(checksum="0" * 64)])
def test_an_altered_description_of_a_store_is_refused(case, change):
    path = case[0].folder / "case.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(AlteredError, match="case.json of the store is not as it was written"):
        store.Store(path.parent)
    with pytest.raises(DataError, match=r"1 store cannot be used.\n[^!]*case.json"):
        store.open_stores([path.parent.parent])


@pytest.mark.parametrize("room", [500, 20_000])
def test_a_disk_without_room_leaves_no_store(tmp_path, room):
    noise = np.random.default_rng(0).normal(size=(20, 20, 20, 1)).astype(np.float32)
    prepared = tiny.prepared(noise)
    with largest_file(room), pytest.raises(OSError) as caught:
        store.write_store(tmp_path, "a", ["t1"], prepared, None, {})
    assert caught.value.filename == str(tmp_path / "a") and list(tmp_path.iterdir()) == []


def test_a_disk_without_room_keeps_the_checkpoint_before(tmp_path):
    arrays = {"model": [np.random.default_rng(0).normal(size=5000)]}
    checkpoints.write_checkpoint(tmp_path, 1, arrays, {"step": 1})
    with largest_file(10_000), pytest.raises(OSError):
        checkpoints.write_checkpoint(tmp_path, 2, arrays, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.npz"]
    assert checkpoints.latest(tmp_path)[1] == {"step": 1}
