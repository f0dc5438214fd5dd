"""`make fuzz`: faulty contracts and metrics tables through every command that reads them; one JSON object at the end.

    python tests/fuzz/faulty_files.py --contracts 500 --tables 300 --seed 1

A fault that a command does not survive (a traceback, an exit code that is not documented) is printed, and the exit code
is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

from contracts import reading  # noqa: E402  # the path comes first
from contracts.mutations import mutations, table_mutations  # noqa: E402


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--contracts", type=int, default=500, help="faulty contracts for each command")
    options.add_argument("--tables", type=int, default=300, help="faulty tables for each command")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    tried = {"contracts": 0, "tables": 0}
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(reading.make(Path(folder)))
        for kind, readers in (("contracts", reading.CONTRACTS), ("tables", reading.TABLES)):
            number = getattr(given, kind)
            for file, command in readers:
                good = Path(file).read_text(encoding="utf-8")
                texts = mutations(json.loads(good), number, given.seed) if kind == "contracts" else \
                    table_mutations(good, number, given.seed)
                found = list(reading.survivors(command, file, texts))
                tried[kind] += number
                bad += len(found)
                for text, happened in found:
                    print(f"{file} in pocket-{command[0]}: {happened[:2000]}\n{text[:2000]!r}", file=sys.stderr)
                print(f"{file} in pocket-{command[0]}: {number} tried, {len(found)} not survived", file=sys.stderr)
        os.chdir("/")
    print(json.dumps({"seed": given.seed, **tried, "not_survived": bad}))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
