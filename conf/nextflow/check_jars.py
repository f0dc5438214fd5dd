"""Compare Nextflow's jars with the lock: `check_jars.py LOCK FOLDER...`.

The FOLDERs are those of the class path. Only a jar's name and checksum count, not which folder holds it: jgo sorts the
jars differently with a JDK and without. The lock has a line a jar: SHA-256, two spaces, name. Each missing, unknown or
changed jar is named; exit code 1 if there is one. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def read_lock(lock: Path) -> dict[str, str]:
    """The checksum of each locked jar, by name.

    Raises:
        ValueError: A line is not a checksum and a file name, a name stands twice, or there is no line.
    """
    wanted: dict[str, str] = {}
    for number, line in enumerate(lock.read_text().splitlines(), start=1):
        checksum, _, name = line.partition("  ")
        if len(checksum) != 64 or not name.endswith(".jar") or "/" in name or name in wanted:
            raise ValueError(f"{lock}, line {number}: {line!r}; expected a SHA-256, two spaces and a new jar's name")
        wanted[name] = checksum
    if not wanted:
        raise ValueError(f"{lock}: no line; expected a line a jar")
    return wanted


def faults(wanted: dict[str, str], folders: list[Path]) -> list[str]:
    """What is wrong with the jars in these folders, a line a fault; a jar that lies in several is checked in each."""
    found = [path for folder in folders for path in sorted(folder.glob("*")) if path.suffix.lower() == ".jar"]
    wrong = []
    for path in found:
        if path.name not in wanted:
            wrong.append(f"unknown: {path} is not in the lock")
        elif (checksum := hashlib.sha256(path.read_bytes()).hexdigest()) != wanted[path.name]:
            wrong.append(f"changed: {path} has SHA-256 {checksum}, expected {wanted[path.name]}")
    here = ", ".join(map(str, folders))
    missing = sorted(wanted.keys() - {path.name for path in found})
    return wrong + [f"missing: {name} lies in none of {here}" for name in missing]


def main(lock: str, *folders: str) -> int:
    """Print what is wrong to standard error; the exit code."""
    try:
        wrong = faults(read_lock(Path(lock)), [Path(folder) for folder in folders])
    except (OSError, ValueError) as error:
        wrong = [str(error)]
    if not wrong:
        return 0
    for line in wrong:
        print(f"make: Nextflow's jars: {line}", file=sys.stderr)
    print("  what to do: run the command again, which downloads them anew. If that does not help, something between "
          "here and Maven Central changes files.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
