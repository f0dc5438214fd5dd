"""Ask pip which wheel it takes for each requirement of a lock on another Python, without downloading any.

    python wheels.py LOCK PYTHON

Prints the wheels as a JSON object, by requirement: null where the registry has none with a locked hash. By pip's own
classes, because `pip install --dry-run` downloads every wheel.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pip._internal.cli.cmdoptions import make_target_python
from pip._internal.commands import create_command
from pip._internal.utils.hashes import Hashes
from pip._vendor.packaging.requirements import Requirement


def main(lock: Path, python: str) -> None:
    command = create_command("download")
    options, _ = command.parse_args(["--python-version", python, "--only-binary=:all:", "--no-deps", "none"])
    found = {}
    with command.main_context():
        finder = command._build_package_finder(options, command.get_default_session(options),
                                               make_target_python(options))
        for line in lock.read_text().splitlines():
            text, *hashes = line.split(" --hash=sha256:")
            requirement, locked = Requirement(text), [one.strip() for one in hashes]
            best = finder.find_best_candidate(requirement.name, requirement.specifier,
                                              Hashes({"sha256": locked})).best_candidate
            taken = best is not None and best.link.is_wheel and best.link.hash in locked
            found[text] = best.link.filename if taken else None
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
