"""Mutation testing of one room: a sample of small faults is put into its code, and its tests should find each.

    python tests/mutation/run.py planning --sample 60 --work /tmp/mutation
    python tests/mutation/run.py planning --again --work /tmp/mutation

mutmut makes the mutants; `trials.py` runs, for each, the tests that reach its function. mutmut leaves decorated
functions alone. Mutants that only change a text are left out of the sample: they say how often a message is tested word
for word. The sample is drawn with a fixed seed, so that a table can be made again. `--again` tries the survivors of the
last time once more, after tests have been added for them; `--tests` runs only the tests of these files. `--longest`
leaves out long tests, such as whole trainings: the share that is killed is then a lower bound, and `--again` without it
tries the survivors with all tests.
"""

from __future__ import annotations

import argparse
import ast
import collections
import difflib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = {
    "models": ("models", ["models", "planning/test_patch.py", "training/test_supervision.py",
                          "training/test_less_memory.py"]),
    "training": ("training", [f"training/test_{name}.py" for name in (
        "augmentation", "classification", "ensembled", "less_memory", "model_folder", "partly_annotated", "parts",
        "precision", "regions", "schedule", "start", "supervision", "trainer")]),
    "evaluation": ("evaluation", ["evaluation", "cli/test_evaluate.py", "cli/test_compare.py"]),
    "planning": ("planning", ["planning"]),
    "preprocessing": ("preprocessing", ["preprocessing", "inference/test_windows.py"]),
    "windows": ("inference/windows.py", ["inference/test_windows.py"]),
    "merge": ("inference/merge.py", ["inference/test_windows.py"]),
}
"""By room, its code under `python/pocketnet` and the tests under `tests/python` that are run."""


def prepare(work: Path, code: str) -> dict[str, tuple[ast.FunctionDef, ast.FunctionDef]]:
    """Lay out code, tests and mutants; give the mutants that change more than a text (`changing_code`)."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    shutil.rmtree(work, ignore_errors=True)
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "python/pocketnet", work / "pocketnet", ignore=skip)
    shutil.copytree(REPOSITORY / "tests", work / "tests", ignore=skip)
    for other in ("docs", "nextflow_schema.json", "conf"):  # tests of rooms read these
        (work / other).symlink_to(REPOSITORY / other)
    (work / "pyproject.toml").write_text('[tool.mutmut]\nsource_paths = ["pocketnet"]\n')
    os.chdir(work)  # where mutmut looks for its configuration
    room = Path("pocketnet", code)
    found = {}
    for path in [room] if room.is_file() else sorted(room.rglob("*.py")):
        source = path.read_text()
        name = hashlib.sha256(f"{path} {source}".encode()).hexdigest()
        known = work.parent / "mutated" / f"{name}.py"
        if not known.exists():  # making them takes a minute or two
            known.parent.mkdir(exist_ok=True)
            known.write_text(mutate_file_contents(str(path), source).code)
        mutated = known.read_text()
        path.write_text(mutated)
        found |= changing_code(mutated, ".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    return found


def changing_code(mutated: str, module: str) -> dict[str, tuple[ast.FunctionDef, ast.FunctionDef]]:
    """The mutants in a module that change more than a text: each as the function before and after."""
    functions = {node.name: node for node in ast.walk(ast.parse(mutated)) if isinstance(node, ast.FunctionDef)}
    without_text = {name: _without_text(function) for name, function in functions.items()}
    found = {}
    for name, function in functions.items():
        base, mark, number = name.rpartition("__mutmut_")
        original = f"{base}__mutmut_orig"
        if mark and number.isdigit() and without_text[name] != without_text[original]:
            found[f"{module}.{name}"] = functions[original], function
    return found


def _without_text(function: ast.FunctionDef) -> str:
    return re.sub(r"Constant\(value=(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", "Constant(value=''",
                  ast.dump(ast.Module(function.body, [])))


def difference(before: ast.FunctionDef, after: ast.FunctionDef) -> str:
    """What a mutant changes, as lines."""
    lines = [ast.unparse(ast.Module(each.body, [])).splitlines() for each in (before, after)]
    return "\n".join(difflib.unified_diff(*lines, n=1, lineterm=""))


def tried(work: Path, tests: list[str], sample: list[str], longest: float) -> dict[str, dict]:
    """Try mutants with tests of at most so many seconds; give by name the outcome and the test that killed it."""
    (work / "sample.json").write_text(json.dumps(sample))
    data = os.environ.get("POCKET_TEST_DATA") or str(REPOSITORY.parent / "shared/data")
    path = os.pathsep.join([str(work), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir", ".", "-q", "-p", "trials",
         "-p", "no:cacheprovider", "--basetemp", str(work / "files"), *(f"tests/python/{one}" for one in tests)],
        cwd=work, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": path, "POCKET_TEST_DATA": data, "MUTANTS": str(work / "sample.json"),
                          "MUTANT_SECONDS": str(longest)})
    results = work / "results.json"
    done = json.loads(results.read_text()) if results.exists() else {}
    if set(done) != set(sample):
        sys.exit(f"{len(set(sample) - set(done))} mutants were not tried:\n{ran.stdout[-5000:]}{ran.stderr[-3000:]}")
    return done


def wilson(killed: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    middle = (killed + z * z / 2) / (of + z * z)
    half = z * (killed * (of - killed) / of + z * z / 4) ** 0.5 / (of + z * z)
    return middle - half, middle + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--sample", type=int, default=60, help="Mutants to try; 0 for all.")
    parser.add_argument("--seed", type=int, default=0, help="Of the sample.")
    parser.add_argument("--again", action="store_true", help="Try the survivors of the last time.")
    parser.add_argument("--tests", nargs="+", help="With --again: run only these, under `tests/python`.")
    parser.add_argument("--longest", type=float, default=float("inf"),
                        help="Run only tests that take at most so many seconds of CPU time.")
    parser.add_argument("--work", type=Path, required=True, help="Folder to work in; the room's folder in it goes.")
    given = parser.parse_args()
    work = given.work.resolve() / given.room
    last = work.with_suffix(".json")
    code, tests = ROOMS[given.room]
    mutants = prepare(work, code)
    done = json.loads(last.read_text()) if given.again else {}
    sample = sorted(name for name, one in done.items() if one["outcome"] in ("survived", "unreached"))
    if not given.again:
        number = min(given.sample or len(mutants), len(mutants))
        sample = sorted(random.Random(given.seed).sample(sorted(mutants), number))
    done |= tried(work, given.tests or tests, sample, given.longest)
    last.write_text(json.dumps(done, indent=1))
    outcomes = collections.Counter(one["outcome"] for one in done.values())
    for name, one in done.items():
        if one["outcome"] in ("survived", "unreached"):
            print(f"{one['outcome']}: {name} ({one['tests']} tests)\n{difference(*mutants[name])}\n")
    killed = outcomes["killed"] + outcomes["timeout"]
    low, high = wilson(killed, len(done))
    print(f"{given.room}: {len(mutants)} mutants, {len(done)} tried, {killed} killed ({killed / len(done):.0%}, "
          f"95 % interval {low:.0%} to {high:.0%}), {outcomes['timeout']} of them by a time limit")
    print("by module: " + ", ".join(f"{name} {count}" for name, count in sorted(
        collections.Counter(name.split(".x")[0].rpartition(".")[2] for name in done).items())))


if __name__ == "__main__":
    main()
