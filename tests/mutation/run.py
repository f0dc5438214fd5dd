"""Mutation testing of one room: a sample of small faults is put into its code, and its tests should find each.

    python tests/mutation/run.py planning --sample 60 --work /tmp/mutation

mutmut makes the mutants and runs, for each, those tests that reach the function. It leaves decorated functions alone.
Mutants that only change a text are left out of the sample: they say how often a message is tested word for word.
The sample is drawn with a fixed seed, so that a table can be made again.
"""

from __future__ import annotations

import argparse
import ast
import collections
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = {
    "models": ("models", "models"), "training": ("training", "training"), "evaluation": ("evaluation", "evaluation"),
    "planning": ("planning", "planning"), "preprocessing": ("preprocessing", "preprocessing"),
    "windows": ("inference/windows.py", "inference/test_windows.py"),
    "merge": ("inference/merge.py", "inference/test_windows.py"),
}
"""By room, its code under `python/pocketnet` and its tests under `tests/python`."""
SURVIVED, UNREACHED = 0, 33
"""mutmut's exit codes of a mutant that all its tests let pass, and of one that no test reaches."""
BROKEN = {2, 5, 35, None}
"""Those that say nothing of the tests: interrupted, none collected, suspicious, not run."""


def prepare(work: Path, code: str, tests: str) -> None:
    """Lay code and tests out as mutmut wants them, with its configuration."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "mutants").mkdir(parents=True)  # before Python starts, which forgets folders on its path that are not there
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "python/pocketnet", work / "pocketnet", ignore=skip)
    shutil.copytree(REPOSITORY / "tests", work / "tests", ignore=skip)
    for other in ("docs", "nextflow_schema.json", "conf"):  # tests of rooms read these
        (work / other).symlink_to(REPOSITORY / other)
    pattern = f"pocketnet/{code}" if code.endswith(".py") else f"pocketnet/{code}/*"
    (work / "pyproject.toml").write_text(f"""
[tool.pytest.ini_options]
addopts = "-p no:cacheprovider"
[tool.mutmut]
source_paths = ["pocketnet"]
only_mutate = ["{pattern}"]
pytest_add_cli_args_test_selection = ["tests/python/{tests}"]
also_copy = ["docs", "conf", "nextflow_schema.json"]
timeout_multiplier = 5
timeout_constant = 10
use_git_change_detection = false
""")


def mutmut(work: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run mutmut; its modules lie on the Python path, as do the mutants for the processes that tests start."""
    path = os.pathsep.join([str(work / "mutants"), os.environ.get("PYTHONPATH", "")])
    data = os.environ.get("POCKET_TEST_DATA") or str(REPOSITORY.parent / "shared/data")
    return subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=work, text=True, capture_output=True,
                          env=os.environ | {"PYTHONPATH": path, "POCKET_TEST_DATA": data})


def results(work: Path) -> dict[str, int | None]:
    """mutmut's exit code of each mutant, None for one that was not run."""
    return {name: code for path in sorted((work / "mutants").rglob("*.meta"))
            for name, code in json.loads(path.read_text())["exit_code_by_key"].items()}


def changing_code(work: Path) -> list[str]:
    """The mutants that change more than a text, sorted."""
    found = []
    for path in sorted((work / "mutants/pocketnet").rglob("*.py.meta")):
        names = json.loads(path.read_text())["exit_code_by_key"]
        functions = {node.name: node for node in ast.walk(ast.parse(path.with_suffix("").read_text()))
                     if isinstance(node, ast.FunctionDef)}
        for name in names:
            function = name.rpartition(".")[2]
            original = function.rpartition("_")[0] + "_orig"
            if _without_text(functions[function]) != _without_text(functions[original]):
                found.append(name)
    return sorted(found)


def _without_text(function: ast.FunctionDef) -> str:
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(ast.Module(function.body, []))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--sample", type=int, default=60, help="Mutants to try; 0 for all.")
    parser.add_argument("--seed", type=int, default=0, help="Of the sample.")
    parser.add_argument("--work", type=Path, required=True, help="Folder to work in; what is in it goes.")
    given = parser.parse_args()
    work = given.work.resolve() / given.room
    prepare(work, *ROOMS[given.room])
    made = mutmut(work, "run", "--max-children", "1", "no.such.mutant")  # makes all, finds out which tests reach them
    mutants = changing_code(work)
    if "nothing matches" not in made.stdout + made.stderr or not mutants:
        sys.exit(f"mutmut could not start:\n{made.stdout[-3000:]}\n{made.stderr[-3000:]}")
    sample = sorted(random.Random(given.seed).sample(mutants, min(given.sample or len(mutants), len(mutants))))
    unreached = {name for name in sample if results(work)[name] == UNREACHED}
    ran = mutmut(work, "run", "--max-children", "1", *sample)
    codes = {name: code for name, code in results(work).items() if name in sample}
    broken = sorted(name for name, code in codes.items() if code in BROKEN)
    if broken:
        sys.exit(f"{len(broken)} mutants were not tried, as {broken[0]}:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
    alive = sorted(name for name, code in codes.items() if code in (SURVIVED, UNREACHED) or name in unreached)
    for name in alive:
        print(f"{'no test reaches' if codes[name] == UNREACHED else 'survived'}: {name}")
        print(mutmut(work, "show", name).stdout)
    killed = len(sample) - len(alive)
    share = 100 * killed / len(sample)
    print(f"{given.room}: {len(mutants)} mutants, {len(sample)} tried, {killed} killed ({share:.0f} %)")
    print("by module: " + ", ".join(f"{name} {count}" for name, count in sorted(
        collections.Counter(name.split(".x")[0].rpartition(".")[2] for name in sample).items())))


if __name__ == "__main__":
    main()
