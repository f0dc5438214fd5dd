"""Stores of tiny cases, for the tests of this room."""

import pytest
import tiny
from pocketnet.preprocessing import store


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for index in range(6):
        image, label = tiny.volume(index)
        store.write_store(folder, f"case_{index}", ["t1", "t2"], tiny.prepared(image), label,
                          {"ball": 1, "core": 2})
    return store.open_stores([folder])
