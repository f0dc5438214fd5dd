"""The index of a folder of stores: the same as their `case.json` files, in one file, and never of other stores."""

import json
import os
import shutil

import numpy as np
import pytest
import tiny
from pocketnet.errors import AlteredError
from pocketnet.preprocessing import store
from pocketnet.preprocessing.index import INDEX

NAMES = ("a", "b", "c")


@pytest.fixture
def folder(tmp_path):
    """Three stores of different sizes, and their index."""
    for seed, name in enumerate(NAMES):
        write(tmp_path / "stores", name, seed)
    store.write_index(tmp_path / "stores")
    return tmp_path / "stores"


def write(folder, name, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 20, (10 + seed, 8, 6, 2)).astype(np.float32)
    label = rng.integers(0, 3, image.shape[:3]).astype(np.uint8)
    labelled = {"one": 1, "two": 2} if seed else {"one": 9, "two": 2}  # a label that the first case lacks
    return store.write_store(folder, name, ["t1", "t2"], tiny.prepared(image, (1, 1, 2)), label, labelled,
                             annotation=store.Annotation(("one",), seed == 2))


def described(one):
    """All that a store says of itself, as plain values."""
    return {"folder": one.folder, "digest": one.digest, "case": one.case, "shape": one.shape, "spacing": one.spacing,
            "statistics": one.statistics, "sha256": one.sha256, "annotated": one.annotated, "class": one.class_name,
            "foreground": {name: (voxels.dtype, voxels.tolist()) for name, voxels in one.foreground.items()},
            "known": None if one.known is None else one.known.tolist()}


def opened(folder, monkeypatch):
    """The stores of a folder, and how many `case.json` files were read for them."""
    seen, read = [], store.StoredCase.read
    monkeypatch.setattr(store.StoredCase, "read", lambda path: seen.append(path) or read(path))
    return store.open_stores([folder]), len(seen)


def test_the_index_stands_for_every_description(folder, monkeypatch):
    stores, read = opened(folder, monkeypatch)
    assert list(stores) == list(NAMES) and read == 0
    for name, one in stores.items():
        assert described(one) == described(store.Store(folder / name))
        one.verify()
    assert stores["c"].known is not None and len(stores["a"].foreground["one"]) == 0


@pytest.mark.parametrize("index", [True, False])
def test_stores_made_again_or_since_are_opened_themselves(folder, monkeypatch, index):
    """Also where the older index is left, as by a copy of a store from elsewhere."""
    shutil.rmtree(folder / "b")
    write(folder, "b", 7)
    write(folder, "d", 8)
    if index:
        store.write_index(folder)
    stores, read = opened(folder, monkeypatch)
    assert list(stores) == [*NAMES, "d"] and read == (0 if index else 2)
    assert stores["b"].shape == (17, 8, 6)


def test_an_altered_description_is_found_as_without_an_index(folder):
    path = folder / "a" / "case.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"spacing_mm": [9, 9, 9]}))
    with pytest.raises(Exception, match="1 store cannot be used"):
        store.open_stores([folder])


def test_an_array_of_an_indexed_store_is_verified(folder):
    path = folder / "b" / "label.b2nd"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(AlteredError, match="label.b2nd"):
        store.verify_stores(store.open_stores([folder]).values())


@pytest.mark.parametrize("place", [0.01, 0.5, 0.99])
def test_an_altered_index_is_named(folder, place):
    content = bytearray((folder / INDEX).read_bytes())
    content[int(len(content) * place)] ^= 1
    (folder / INDEX).write_bytes(content)
    with pytest.raises(AlteredError, match="not as it was written") as found:
        store.open_stores([folder])
    assert INDEX in str(found.value.where)


@pytest.mark.parametrize("size", [0, 30, 300])
def test_an_index_that_is_cut_is_named(folder, size):
    os.truncate(folder / INDEX, size)
    with pytest.raises(AlteredError, match="not as it was written"):
        store.open_stores([folder])
