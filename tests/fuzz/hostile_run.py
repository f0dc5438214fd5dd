"""Hostile names through two whole runs of the pipeline; part of `make fuzz`. One JSON object at the end.

The first dataset has all names of tests/python/hostile.py as cases, files and labels: the check must refuse it and
nothing may be published. The second has all names that a label may have as labels, a hostile modality and hostile
folders: it must be trained, evaluated, compared, reported and tracked, with every name as it is and in its place.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "python"), str(TESTS / "pipeline")]

from hostile import NAMES  # noqa: E402  # the path comes first
from pocketnet.datasets import presets  # noqa: E402
from pocketnet.evaluation import table  # noqa: E402
from running import HOSTILE, Pipeline, copy_clone  # noqa: E402
from test_hostile_names import FORMULA, TAKEN, _Page  # noqa: E402

MODALITY = "=T1 <script>alert(1)</script> $(touch PWNED) | `x`"
CASES = 4
SIDE, BLOCK = 24, 4


def write_preset(path: Path) -> None:
    """The hippocampus' preset without its labels and modalities."""
    preset = json.loads((Path(presets.__file__).parent / "presets.json").read_text())["hippocampus"]
    path.write_text(json.dumps({name: value for name, value in preset.items() if name != "label_codes"} |
                               {"modalities": None, "label_sets": None, "default_labels": None}))


def write_dataset(folder: Path, labels: list[str], cases: list[str], modality: str) -> None:
    """A decathlon of noise in which every label is a few cubes."""
    rng = np.random.default_rng(0)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in cases[:CASES]:
        cubes = rng.permutation(np.arange((SIDE // BLOCK) ** 3) % (len(labels) + 1))
        label = cubes.reshape((SIDE // BLOCK,) * 3).repeat(BLOCK, 0).repeat(BLOCK, 1).repeat(BLOCK, 2)
        image = 100 + 10 * label + rng.normal(0, 1, label.shape)
        for name, values in (("imagesTr", image.astype(np.float32)), ("labelsTr", label.astype(np.uint8))):
            if "/" not in case and case.isascii() and case.isprintable() and len(case) < 200:
                nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / name / f"{case}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({
        "modality": {"0": modality}, "labels": {"0": "background"} | {str(n): name for n, name in enumerate(labels, 1)},
        "training": [{"image": f"imagesTr/{case}.nii.gz", "label": f"labelsTr/{case}.nii.gz"} for case in cases]}))


def faults_of_refused(root: Path, pipeline: Pipeline) -> Iterator[str]:
    """What is wrong with the run whose names are not all taken."""
    done = pipeline.run()
    if done.returncode == 0 or "exit status (3)" not in done.stdout:
        yield f"the check did not refuse: {done.stdout[-3000:]}"
    problems = [path.read_text() for path in (pipeline.folder / "work").rglob("problems.csv")]
    yield from (f"{name!r} is not in the one table of problems" for name in ("肿瘤", "-rf", "$(touch PWNED)", "=1+1")
                if len(problems) != 1 or name not in problems[0])
    yield from (f"a control character is printed: {done.stdout!r}" for sign in "\x1b\x00\u202e" if sign in done.stdout)
    made = [path for path in (pipeline.folder / "results").rglob("*") if path.is_file()]
    yield from (f"{path} was published" for path in made if path.parent.name != "pipeline_info")
    yield from strays(root)


def faults_of_taken(root: Path, pipeline: Pipeline) -> Iterator[str]:
    """What is wrong with the run whose names are all taken."""
    done = pipeline.run()
    if done.returncode:
        yield f"the run ended with {done.returncode}: {done.stdout[-3000:]}"
        return
    results = pipeline.folder / "results/mine"
    tables = [*results.rglob("*.csv")]
    for path in results.rglob("metrics.csv"):
        if set(table.read(path)["label"]) != set(TAKEN):
            yield f"{path} has not every label"
    for path in tables:
        with open(path, newline="") as handle:
            cells = [cell for row in csv.reader(handle) for cell in row]
        yield from (f"{path}: {cell!r} is a formula" for cell in cells
                    if cell.startswith(FORMULA) and not re.fullmatch(r"-?[\d.e+-]+", cell))
    page = (results / "report.html").read_text()
    if "<script>alert" in page or "<img src=x" in page or _Page(page).handlers:
        yield "the report runs a name"
    yield from (f"the report lacks {name}" for name in ("&lt;script&gt;alert(1)", "肿瘤", "ورم") if name not in page)
    manifest = json.loads((results / "dataset/manifest.json").read_text())
    if manifest["modalities"] != [MODALITY]:
        yield f"modalities: {manifest['modalities']}"
    with sqlite3.connect(pipeline.folder / "results/mlflow/mlflow.db") as store:
        rows = store.execute("SELECT run_uuid, COUNT(DISTINCT key) FROM latest_metrics WHERE key LIKE 'dice/%' "
                             "GROUP BY run_uuid").fetchall()
    if not rows or {count for _, count in rows} != {len(TAKEN) + 1}:
        yield f"tracked labels: {rows}"
    if {path.name for path in (pipeline.folder / "results").iterdir()} != {"mine", "mlflow"}:
        yield "results have something else"
    yield from strays(root)


def strays(root: Path) -> Iterator[str]:
    """What a name did outside of its place."""
    yield from (f"{path} was made" for path in root.rglob("PWNED*") if path.name != HOSTILE)
    expected = {"clone", "mine.json", "refused", "taken"}
    yield from (f"{path} was made" for path in root.iterdir() if path.name not in expected)


def main() -> int:
    """Run both; end with exit code 1 if there is a fault."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        clone = copy_clone(root / "clone")
        write_preset(root / "mine.json")
        common = ("-profile", "test", "--dataset", str(root / "mine.json"), "--width", "pocket", "--skip_profile")
        for kind, labels, cases, modality, check in (
                ("refused", list(NAMES), list(NAMES), "a\x1b[0m", faults_of_refused),
                ("taken", TAKEN, [f"case_{n}" for n in range(CASES)], MODALITY, faults_of_taken)):
            data = root / kind / HOSTILE / "data"
            write_dataset(data, labels, cases, modality)
            found = list(check(root, Pipeline(clone, root / kind / HOSTILE, (*common, "--input", str(data)))))
            faults += found
            print(f"{kind}: {len(labels)} labels, {len(cases)} cases; {len(found)} faults", *found, sep="\n  ",
                  file=sys.stderr)
    print(json.dumps({"fuzz": "hostile names through the pipeline", "refused_at_check": len(NAMES),
                      "taken_to_the_end": len(TAKEN) + 1, "faults": faults, "ok": not faults}))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
