"""The commands that read each kind of file, on a made-up dataset: for faults put into one file at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import checked
import fake_run
import made
import tiny
from click.testing import CliRunner
from contracts.examples import example
from pocketnet.preprocessing import store

DOCUMENTED = {0, 2, 3, 4, 5}
"""Exit codes that a faulty file may have."""


def make(root: Path) -> Path:
    """A made-up dataset with everything that the commands take: files, stores, a model folder, predictions."""
    manifest = tiny.dataset(root / "data")
    manifest.write(root / "manifest.json")
    made.fingerprint({case.case: {"shape": [20, 12, 24], "spacing_mm": [1, 1, 1]} for case in manifest.cases},
                     manifest.modalities).write(root / "fingerprint.json")
    tiny.plan().write(root / "plan.json")
    tiny.splits().write(root / "splits.json")
    for index in range(3):
        image, label = tiny.volume(index)
        prepared = tiny.prepared(image)
        store.write_store(root / "stores", f"case_{index}", ["t1", "t2"], prepared, label,
                          {"ball": 1, "core": 2})
    (root / "predictions").mkdir()
    for case in manifest.cases:
        shutil.copy(root / "data" / case.label, root / "predictions" / f"{case.case}.nii.gz")
    fake_run.write_model(root / "model")
    checked.write_json(root / "model/labels.json", {"modalities": ["t1", "t2"], "labels": tiny.LABELS}, "labels")
    fake_run.record_anew(root / "model/labels.json")
    fake_run.write_run(root / "run")
    fake_run.write_profile(root / "profile.json")
    for kind in ("activations", "device"):
        (root / f"{kind}.json").write_text(json.dumps(example(kind)))
    return root



def survivors(command: list[str], file: str, texts: Iterator[bytes]) -> Iterator[tuple[bytes, str]]:
    """Run a command in the current folder once for each content of a file; yield those that it ends badly on.

    Yields:
        The content, and what happened: a traceback, or an exit code that is not documented.
    """
    main = import_module(f"pocketnet.cli.{command[0]}").main
    good = Path(file).read_bytes()
    try:
        for text in texts:
            Path(file).write_bytes(text)
            fake_run.record_anew(Path(file).absolute())  # else it is refused as altered, unread
            done = CliRunner().invoke(main, [*command[1:], "--quiet"])
            raw = done.exception is not None and not isinstance(done.exception, SystemExit)
            if raw or done.exit_code not in DOCUMENTED:
                yield text, f"exit code {done.exit_code}: {done.exc_info and done.exc_info[1]!r}\n{done.output}"
    finally:
        Path(file).write_bytes(good)
        fake_run.record_anew(Path(file).absolute())


DATASET = ["--manifest", "manifest.json", "--input", "data"]
EXPERIMENT = ["--manifest", "manifest.json", "--plan", "plan.json", "--splits", "splits.json", "-o", "out"]
DRAWN = ["--comparison", "run/comparison", "--evaluations", "run/evaluation", "--models", "run/models"]
PATCHES = ["picture", "--plan", "plan.json", "--splits", "splits.json", "--stores", "stores", "-o", "out.png"]
EVALUATE = ["evaluate", *DATASET, "--predictions", "predictions", "--model", "model", "-o", "out"]
REPORT = ["report", "--comparison", "run/comparison", "--models", "run/models", "--evaluations", "run/evaluation",
          "--profiles", "profile.json", "-o", "out.html"]
MODEL = "run/models/unet-pocket/fold0"


CONTRACTS = [
    ("manifest.json", ["plan", "--manifest", "manifest.json", "--fingerprint", "fingerprint.json", "-o", "out"]),
    ("fingerprint.json", ["plan", "--manifest", "manifest.json", "--fingerprint", "fingerprint.json", "-o", "out"]),
    ("plan.json", ["plan", "--manifest", "manifest.json", "--fingerprint", "fingerprint.json", "--edited", "plan.json",
                   "-o", "out"]),
    ("manifest.json", ["preprocess", *DATASET, "--plan", "plan.json", "-o", "out"]),
    ("plan.json", ["preprocess", *DATASET, "--plan", "plan.json", "-o", "out"]),
    ("manifest.json", ["picture", *DATASET, "--fingerprint", "fingerprint.json", "-o", "out.png"]),
    ("fingerprint.json", ["picture", *DATASET, "--fingerprint", "fingerprint.json", "-o", "out.png"]),
    ("plan.json", PATCHES), ("splits.json", PATCHES), ("stores/case_2/case.json", PATCHES),
    ("manifest.json", EVALUATE), ("model/provenance.json", EVALUATE), ("model/labels.json", EVALUATE),
    (f"{MODEL}/provenance.json", REPORT), (f"{MODEL}/plan.json", REPORT), ("profile.json", REPORT),
    ("run/comparison/comparison.json", REPORT), ("run/evaluation/unet-pocket/fold0/overlays.json", REPORT),
    ("manifest.json", ["experiment", "accuracy", *EXPERIMENT, *DRAWN]),
    ("plan.json", ["experiment", "ablation", *EXPERIMENT, *DRAWN]),
    ("splits.json", ["experiment", "saturation", *EXPERIMENT, *DRAWN]),
    ("run/comparison/comparison.json", ["experiment", "accuracy", *EXPERIMENT, *DRAWN]),
    ("run/comparison/comparison.json", ["experiment", "ablation", *EXPERIMENT, *DRAWN]),
    ("profile.json", ["experiment", "profile", *EXPERIMENT, "--measured", "profile.json"]),
    ("activations.json", ["experiment", "activations", *EXPERIMENT, "--measured", "activations.json"]),
    ("device.json", ["profile", "--predict", "--depth", "1", "--patch", "8", "--device", "device.json"]),
]
"""A file, and a command that reads it."""
METRICS = "run/evaluation/unet-pocket/fold0/metrics.csv"
TABLES = [
    (METRICS, ["compare", METRICS, "run/evaluation/unet-full/fold0/metrics.csv", "-o", "out"]),
    (METRICS, REPORT),
    (METRICS, ["experiment", "accuracy", *EXPERIMENT, *DRAWN]),
    (f"{MODEL}/history.csv", REPORT), (f"{MODEL}/system.csv", REPORT),
]
"""A table, and a command that reads it."""
