"""`make fuzz`: faulty contracts and tables through every command that reads them; one JSON object at the end.

    python tests/fuzz/faulty_files.py --contracts 500 --tables 300 --seed 1 --record done.jsonl

A fault that a command does not survive (a traceback, an exit code that is not documented) is printed, and the exit code
is 1. Each process imports the libraries once and takes one file and command after the other. `--record` keeps the
counts of each in a file; with the same file, a later run goes on where this one ended.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

from contracts import reading  # noqa: E402  # the path comes first


def enter(folder: str) -> None:
    """Make the dataset in a folder of this process's own."""
    own = Path(folder, str(os.getpid()))
    own.mkdir()
    os.chdir(reading.make(own))


def tried(file: str, command: list[str], number: int, seed: int) -> tuple[Counter[int], list[tuple[bytes, str]]]:
    """Give the command the file with each fault; return its exit codes, and what it does not survive."""
    codes: Counter[int] = Counter()
    with reading.done_once():
        return codes, list(reading.survivors(command, file, reading.texts(file, number, seed), codes))


def recorded(path: Path | None) -> dict[str, dict[str, Any]]:
    """Read the counts of an earlier run, by file, command, number and seed as JSON."""
    if not path or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {json.dumps({key: row[key] for key in ("file", "command", "tried", "seed")}): row for row in rows}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--contracts", type=int, default=500, help="faulty contracts for each command")
    options.add_argument("--tables", type=int, default=300, help="faulty tables for each command")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--command", default="", help="only this command, for example report")
    options.add_argument("--record", type=Path, help="file of counts, one line for each file and command")
    given = options.parse_args()
    readers = [*((*one, given.contracts) for one in (*reading.CONTRACTS, *reading.SLOW)),
               *((*one, given.tables) for one in (*reading.TABLES, *reading.SLOW_TABLES))]
    readers = [reader for reader in readers if given.command in ("", reader[1][0])]
    done = recorded(given.record)
    rows = []
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(
            given.processes, multiprocessing.get_context("spawn"), enter, (folder,)) as pool:
        waiting = {}
        for file, command, number in readers:
            key = {"file": file, "command": " ".join(("pocket-" + command[0], *command[1:])), "tried": number,
                   "seed": given.seed}
            if before := done.get(json.dumps(key)):
                rows.append(before)
            elif number:
                waiting[pool.submit(tried, file, command, number, given.seed)] = key
        for result in as_completed(waiting):
            codes, found = result.result()
            row = {**waiting[result], "taken": codes[0], "refused": waiting[result]["tried"] - codes[0] - len(found),
                   "not_survived": len(found)}
            rows.append(row)
            for text, happened in found:
                print(f"{row['file']} in {row['command']}: {happened[:2000]}\n{text[:2000]!r}", file=sys.stderr)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if given.record and not found:
                with open(given.record, "a", encoding="utf-8") as handle:
                    handle.write(json.dumps(row) + "\n")
    bad = sum(row["not_survived"] for row in rows)
    print(json.dumps({"fuzz": "faulty files", "seed": given.seed, "tried": sum(row["tried"] for row in rows),
                      "not_survived": bad, "rows": rows, "ok": not bad}))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
