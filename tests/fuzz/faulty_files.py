"""`make fuzz`: faulty contracts and tables through every command that reads them; one JSON object at the end.

    python tests/fuzz/faulty_files.py --contracts 500 --tables 300 --seed 1

A fault that a command does not survive (a traceback, an exit code that is not documented) is printed, and the exit code
is 1. Each process imports the libraries once and takes one file and command after the other.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

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
    with reading.figures_drawn_once():
        return codes, list(reading.survivors(command, file, reading.texts(file, number, seed), codes))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--contracts", type=int, default=500, help="faulty contracts for each command")
    options.add_argument("--tables", type=int, default=300, help="faulty tables for each command")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    readers = [*((*one, given.contracts) for one in (*reading.CONTRACTS, *reading.SLOW)),
               *((*one, given.tables) for one in (*reading.TABLES, *reading.SLOW_TABLES))]
    rows, bad = [], 0
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(
            given.processes, multiprocessing.get_context("spawn"), enter, (folder,)) as pool:
        waiting = [(file, command, number, pool.submit(tried, file, command, number, given.seed))
                   for file, command, number in readers if number]
        for file, command, number, result in waiting:
            codes, found = result.result()
            taken = codes[0]
            rows.append({"file": file, "command": f"pocket-{command[0]}", "tried": number, "taken": taken,
                         "refused": number - taken - len(found), "not_survived": len(found)})
            bad += len(found)
            for text, happened in found:
                print(f"{file} in pocket-{command[0]}: {happened[:2000]}\n{text[:2000]!r}", file=sys.stderr)
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"fuzz": "faulty files", "seed": given.seed, "tried": sum(row["tried"] for row in rows),
                      "not_survived": bad, "rows": rows, "ok": not bad}))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
