"""Flip one bit at a time in a store, a checkpoint and a model folder, and read them.

A flip must be detected with the documented error, or change nothing of what is read; anything else fails. `make fuzz`
runs 1,000 flips of each, the tests run fewer. The last line is one JSON object with the counts.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pocketnet.errors import DataError
from pocketnet.preprocessing import store
from pocketnet.preprocessing.case import Prepared
from pocketnet.tracking.records import read_run
from pocketnet.training import checkpoints
from pocketnet.training.model_folder import ModelFolder

MODEL = Path(__file__).parents[2] / "models" / "hippocampus" / "fold1"
SEED = 25
DETECTED, HARMLESS, FAILED = "detected", "without effect", "failed"
Place = tuple[Path, int, int]
"""A file, a byte in it, and a bit of the byte."""


@contextmanager
def flipped(path: Path, position: int, bit: int) -> Iterator[None]:
    """Flip a bit of a file for the duration of the block."""
    with open(path, "r+b") as handle:
        handle.seek(position)
        byte = handle.read(1)[0]
        try:
            for value in (byte ^ 1 << bit, byte):
                handle.seek(position)
                handle.write(bytes([value]))
                handle.flush()
                if value != byte:
                    yield
        finally:
            handle.seek(position)
            handle.write(bytes([byte]))


def places(paths: Sequence[Path], count: int, seed: int, start: int = 0) -> list[Place]:
    """Choose a file, a byte from `start` on and a bit, `count` times; each file is as likely as the others."""
    rng = random.Random(seed)
    chosen = rng.choices(paths, k=count)
    return [(path, rng.randrange(start, path.stat().st_size), rng.randrange(8)) for path in chosen]


def outcomes(where: Sequence[Place], read: Callable[[], str]) -> Counter[str]:
    """Count what becomes of each flip; `read` returns one of the three words.

    A failed flip is printed with its place.
    """
    counts: Counter[str] = Counter({DETECTED: 0, HARMLESS: 0, FAILED: 0})
    for path, position, bit in where:
        with flipped(path, position, bit):
            try:
                outcome = read()
            except Exception as error:
                outcome = FAILED
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
        if outcome == FAILED:
            print(f"{path.name}: bit {bit} of byte {position}", file=sys.stderr)
        counts[outcome] += 1
    return counts


def same(a: Any, b: Any) -> bool:
    """Compare nested lists, tuples and dicts of arrays and values."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b)


def flip_stores(folder: Path, count: int, seed: int = SEED) -> Counter[str]:
    """Flip bits of a store's arrays and of its description."""
    rng = np.random.default_rng(seed)
    shape = (70, 40, 30)
    label = rng.integers(0, 3, shape).astype(np.uint8)
    image = rng.normal(100, 20, (*shape, 2)).astype(np.float32).round()
    prepared = Prepared(image, (1.0, 1.0, 2.5), shape, tuple((0, n) for n in shape), ())
    made = store.write_store(folder, "case", [], prepared, label, {"one": 1, "two": 2})

    def content() -> tuple[Any, ...]:
        opened = store.Store(made)
        values = {name: value for name, value in vars(opened).items() if name != "_verified"}
        return opened.read_image((0, 0, 0), shape), opened.read_label((0, 0, 0), shape), values

    expected = content()

    def read() -> str:
        try:
            return HARMLESS if same(content(), expected) else FAILED
        except DataError:
            return DETECTED

    return outcomes(places([made / name for name in ("image.b2nd", "label.b2nd", "case.json")], count, seed), read)


def flip_checkpoints(folder: Path, count: int, seed: int = SEED) -> Counter[str]:
    """Flip bits of the newer of two checkpoints; half of them in its zip directory."""
    rng = np.random.default_rng(seed)
    arrays = {group: [rng.normal(size=rng.integers(1, 300)) for _ in range(20)]
              for group in ("best", "model", "optimizer")}
    before = {group: [value + 1 for value in values] for group, values in arrays.items()}
    checkpoints.write_checkpoint(folder, 1, before, {"step": 1})
    newest = checkpoints.write_checkpoint(folder, 2, arrays, {"step": 2})

    def read() -> str:
        said: list[str] = []
        found = checkpoints.latest(folder, said.append)
        if said:
            return DETECTED if same(found, (before, {"step": 1})) and newest.name in said[0] else FAILED
        return HARMLESS if same(found, (arrays, {"step": 2})) else FAILED

    directory = newest.read_bytes().index(b"PK\x01\x02")
    return outcomes([*places([newest], count - count // 2, seed), *places([newest], count // 2, seed, directory)], read)


def flip_models(folder: Path, count: int, seed: int = SEED) -> Counter[str]:
    """Flip bits of the files of the model that this repository ships; read it as a model and as a record."""
    copy = Path(shutil.copytree(MODEL, folder / "model"))

    def content() -> tuple[Any, ...]:
        opened = ModelFolder.open(copy)
        return opened.plan, opened.labels, opened.provenance, opened.sha256

    expected, whole = content(), read_run([copy]).models

    def read() -> str:
        record = read_run([copy])
        try:
            return HARMLESS if content() == expected and record.models == whole else FAILED
        except DataError:
            return DETECTED if not record.models and len(record.problems) == 1 else FAILED

    return outcomes(places(sorted(copy.iterdir()), count, seed), read)


ALL = {"store": flip_stores, "checkpoint": flip_checkpoints, "model folder": flip_models}


def main() -> None:
    """Flip bits of each and end with exit code 1 if one was neither detected nor without effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    counts = {}
    for name, flip in ALL.items():
        with tempfile.TemporaryDirectory() as folder:
            counts[name] = flip(Path(folder), arguments.flips, arguments.seed)
        print(name, dict(counts[name]))
    failed = sum(count[FAILED] for count in counts.values())
    print(json.dumps({"fuzz": "flipped bits", "seed": arguments.seed, "counts": counts, "ok": not failed}))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
