"""Structural faults put into a JSON value by chance: what careless hands and broken programs leave."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

MARK = "a key to be there twice"
WRONG = (None, True, False, 0, 1, -1, -1.5, 0.5, 3.0, 10**30, 10**400, 1e308, "", "3", "text", "\x00", "a/../b", "..",
         "\ud800", [], {}, [None], [[]], [0], ["text"], {"": None}, {"text": 1}, float("nan"), float("inf"))


def mutations(value: Any, number: int, seed: int) -> Iterator[bytes]:
    """`number` texts of the value, each with one to three faults."""
    rng = random.Random(seed)
    for _ in range(number):
        changed = {"": deepcopy(value)}
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            _spoil(changed, rng)
        yield _text(changed[""], rng)


def _places(value: Any, parent: Any, key: Any) -> Iterator[tuple[Any, Any]]:
    yield parent, key
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _places(item, value, name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, value, index)


def _spoil(root: dict, rng: random.Random) -> None:
    parent, key = rng.choice(list(_places(root[""], root, "")))
    value = parent[key]
    kind = rng.choice(("delete", "wrong", "wrong", "wrong", "nest", "empty", "extra", "swap", "negative", "again"))
    if kind == "delete" and parent is not root:
        del parent[key]
    elif kind == "nest":
        parent[key] = rng.choice(([value], {"value": value}, [[value]]))
    elif kind == "empty" and isinstance(value, list | dict | str):
        parent[key] = type(value)()
    elif kind == "extra" and isinstance(value, dict):
        value[rng.choice(("unknown", "", "kind", "case"))] = deepcopy(rng.choice(WRONG))
    elif kind == "swap":
        other, name = rng.choice(list(_places(root[""], root, "")))
        parent[key], other[name] = deepcopy(other[name]), deepcopy(value)
    elif kind == "negative" and isinstance(value, int | float):
        parent[key] = -value - 1
    elif kind == "again" and isinstance(value, list) and value:
        value.append(deepcopy(value[0]))
    else:
        parent[key] = deepcopy(rng.choice(WRONG))


def _text(value: Any, rng: random.Random) -> bytes:
    fault = rng.random()
    text = json.dumps(value)
    if fault < 0.05 and isinstance(value, dict) and value:
        return json.dumps({MARK: 1, **value}).replace(MARK, next(iter(value))).encode()
    if 0.05 < fault < 0.07:
        return text.encode()[:-rng.randrange(1, 10)]
    if 0.07 < fault < 0.09:
        return b"[" * 100_000 + text.encode()
    if 0.09 < fault < 0.11:
        return text.encode() + b"\xff"
    return text.encode()
