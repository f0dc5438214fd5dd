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


CELLS = ("", "nan", "inf", "-1", "1e999", "99999999999999999999", "text", "0x10", "1,5", "=1+1", '"', "\x00", "a\nb",
         "\r", "..", "mean", "true", "\u202e", "x" * 10_000, "1_000", " 0.5 ")


def table_mutations(text: str, number: int, seed: int) -> Iterator[bytes]:
    """`number` contents of a CSV file without quotes, each with one to three faults."""
    rng = random.Random(seed)
    for _ in range(number):
        rows = [line.split(",") for line in text.splitlines()]
        for _ in range(rng.choice((1, 1, 2, 3))):
            _spoil_table(rows, rng)
        content = "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
        fault = rng.random()
        if fault < 0.05:
            content = content[:rng.randrange(len(content) + 1)]
        elif fault < 0.08:
            content += b"\xff\xfe"
        elif fault < 0.11:
            content = b"\xef\xbb\xbf" + content
        elif fault < 0.13:
            content = content.replace(b",", b";")
        elif fault < 0.15:
            content = bytes(rng.randrange(256) for _ in range(500))
        yield content


def _spoil_table(rows: list[list[str]], rng: random.Random) -> None:
    row = rng.randrange(len(rows)) if rows else 0
    column = rng.randrange(len(rows[row])) if rows and rows[row] else 0
    kind = rng.choice((*["cell"] * 4, "header", "row", "column", "short", "long", "again", "swap", "empty"))
    if not rows or not rows[row] or kind == "empty":
        rows[1:] = []
    elif kind == "cell":
        rows[row][column] = rng.choice(CELLS)
    elif kind == "header":
        rows[0][rng.randrange(len(rows[0]))] = rng.choice((*CELLS, rows[0][0]))
    elif kind == "row":
        del rows[row]
    elif kind == "column":
        for one in rows:
            del one[column:column + 1]
    elif kind == "short":
        del rows[row][column:]
    elif kind == "long":
        rows[row] += [rng.choice(CELLS)] * rng.randrange(1, 5)
    elif kind == "again":
        rows.append(list(rows[row]))
    else:
        rng.shuffle(rows[row])
