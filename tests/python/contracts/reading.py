"""The commands that read each kind of file, on a made-up dataset: for faults put into one file at a time."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import checked
import fake_run
import made
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from contracts.examples import example
from contracts.mutations import mutations, table_mutations
from pocketnet.contracts.case import StoredCase
from pocketnet.contracts.reading import CaseList, ReadingRules
from pocketnet.datasets import reading
from pocketnet.datasets.folder import Case
from pocketnet.errors import PocketError
from pocketnet.evaluation import table
from pocketnet.planning.folds import split_into_subsets
from pocketnet.planning.splits import splits as with_constants
from pocketnet.preprocessing import geometry, store
from pocketnet.report import figures

REPOSITORY = Path(__file__).parents[3]
DOCUMENTED = {0, 2, 3, 4, 5}
"""Exit codes that a faulty file may have."""
WORKS: set[tuple[object, ...]] = set()
"""Commands that work in their folder with all files as they are."""


def make(root: Path) -> Path:
    """A made-up dataset with everything that the commands take: files, stores, model folders, predictions."""
    manifest = tiny.dataset(root / "data")
    manifest.write(root / "manifest.json")
    prints = made.fingerprint({case.case: {"shape": [20, 12, 24], "spacing_mm": [1, 1, 1]} for case in manifest.cases},
                              manifest.modalities)
    prints.write(root / "fingerprint.json")
    rules = ReadingRules("segmentation", {"ball": (1,), "core": (2,)}, (0, 1, 2), "own", 10)
    CaseList(rules, tuple(reading.listed(root / "data", Case(
        case.case, dict(zip(manifest.modalities, case.images, strict=True)), case.label))
        for case in manifest.cases)).write(root / "cases.json")
    tiny.plan().write(root / "plan.json")
    tiny.splits().write(root / "splits.json")
    rule, sets = split_into_subsets(manifest, [1, 2], 7)
    with_constants(tiny.plan(), rule, sets, prints).write(root / "sizes.json")
    for index in range(6):
        image, label = tiny.volume(index)
        store.write_store(root / "stores", f"case_{index}", ["t1", "t2"], tiny.prepared(image), label,
                          {"ball": 1, "core": 2})
    shutil.copytree(root / "stores", root / "damaged")
    (root / "damaged/case_3/image.b2nd").write_bytes(b"damaged")
    (root / "predictions").mkdir()
    for index, case in enumerate(manifest.cases):
        _, label = tiny.volume(index)
        geometry.write_image(root / f"predictions/{case.case}.nii.gz", label, geometry.Grid(label.shape, np.eye(4)))
    fake_run.write_model(root / "model")
    checked.write_json(root / "model/labels.json", {"modalities": ["t1", "t2"], "labels": tiny.LABELS}, "labels")
    fake_run.record_anew(root / "model/labels.json")
    fake_run.write_run(root / "run")
    fake_run.write_profile(root / "profile.json")
    for kind in ("activations", "device"):
        (root / f"{kind}.json").write_text(json.dumps(example(kind)))
    shutil.copytree(REPOSITORY / "models/hippocampus/fold1", root / "network")
    (root / "scans").mkdir()
    shutil.copy(root / "data/case_0_t1.nii.gz", root / "scans/one.nii.gz")
    made.manifest([{"case": "one", "images": ["one.nii.gz"], "label": None, "sha256": {}}],
                  labels=fake_run.LABELS).write(root / "scans.json")
    return root


def texts(file: str, number: int, seed: int) -> Iterator[bytes]:
    """`number` faulty contents of a JSON file or a table."""
    good = Path(file).read_text(encoding="utf-8")
    return table_mutations(good, number, seed) if file.endswith(".csv") else mutations(json.loads(good), number, seed)


def survivors(command: list[str], file: str, contents: Iterable[bytes],
              codes: Counter[int] | None = None) -> Iterator[tuple[bytes, str]]:
    """Run a command in the current folder once for each content of a file; yield those that it ends badly on.

    Each run writes to a new folder `out`. With the file as it is, the command must work; tried once for each command.

    Args:
        command: The command with its options.
        file: The file.
        contents: Its contents.
        codes: Counts the exit codes.

    Yields:
        The content, and what happened: a traceback, or an exit code that is not documented.
    """
    main = import_module(f"pocketnet.cli.{command[0]}").main
    good = Path(file).read_bytes()

    def run(content: bytes) -> tuple[int, str, bool]:
        Path(file).write_bytes(content)
        _seal(Path(file).absolute())
        shutil.rmtree("out", ignore_errors=True)
        Path("out").mkdir()
        done = CliRunner().invoke(main, [*command[1:], "--quiet"])
        raw = done.exception is not None and not isinstance(done.exception, SystemExit)
        said = f"exit code {done.exit_code}: {done.exc_info and done.exc_info[1]!r}\n{done.output}"
        return done.exit_code, said, raw or done.exit_code not in DOCUMENTED or "Error: [" in done.output

    try:
        if (Path.cwd(), *command) not in WORKS:
            code, said, _ = run(good)
            assert code == (3 if command[0] == "train" else 0), f"{file} in pocket-{command[0]}: {said}"
            WORKS.add((Path.cwd(), *command))
        for content in contents:
            code, said, bad = run(content)
            if codes is not None:
                codes[code] += 1
            if bad:
                yield content, said
    finally:
        Path(file).write_bytes(good)
        _seal(Path(file).absolute())


def _seal(path: Path) -> None:
    """Record the checksum of a changed file anew; otherwise the file is refused as altered and not parsed."""
    fake_run.record_anew(path)
    if path.name == "case.json":
        try:
            stored = StoredCase.read(path)
        except PocketError:
            return
        replace(stored, checksum=stored.own_checksum()).write(path)


@contextmanager
def done_once() -> Iterator[None]:
    """Do again only what differs: most faults change no panel of the report (0.2 s each) and one table of several."""
    panels: dict[Any, str] = {}
    tables: dict[bytes, Any] = {}
    read = table.read

    def read_once(path: Path) -> Any:
        try:
            content = Path(path).read_bytes()
        except OSError:
            return read(path)
        if content not in tables:
            tables[content] = read(path)
        return tables[content].copy()

    def once(draw: Callable[..., str], key: Callable[..., Any]) -> Callable[..., str]:
        @wraps(draw)
        def drawn(*given: Any) -> str:
            data = pickle.dumps((draw.__name__, key(*given)))
            if data not in panels:
                panels[data] = draw(*given)
            return panels[data]
        return drawn

    def histories(groups: Any, *more: Any) -> Any:
        return {name: [model.history for model in models] for name, models in groups.items()}, *more

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_box_panel", once(figures._box_panel, lambda *given: given))
        patch.setattr(figures, "_learning_panel", once(figures._learning_panel, histories))
        patch.setattr(table, "read", read_once)
        yield


DATASET = ["--manifest", "manifest.json", "--input", "data"]
EXPERIMENT = ["--manifest", "manifest.json", "--plan", "plan.json", "--splits", "splits.json", "-o", "out"]
SATURATION = ["sizes.json" if word == "splits.json" else word for word in EXPERIMENT]
DRAWN = ["--comparison", "run/comparison", "--evaluations", "run/evaluation", "--models", "run/models"]
PATCHES = ["picture", "--plan", "plan.json", "--splits", "splits.json", "--stores", "stores", "-o", "out/picture.png"]
EVALUATE = ["evaluate", *DATASET, "--predictions", "predictions", "--model", "model", "-o", "out"]
REPORT = ["report", "--comparison", "run/comparison", "--models", "run/models", "--evaluations", "run/evaluation",
          "--profiles", "profile.json", "-o", "out/report.html"]
TRAIN = ["train", "--plan", "plan.json", "--splits", "splits.json", "--stores", "damaged", "--fold", "0", "--width",
         "pocket", "-o", "out/model", "--checkpoints", "out/checkpoints"]
"""It reads everything and stops at the damaged image of a store."""
INFER = ["infer", "--model", "network", "--manifest", "scans.json", "--input", "scans", "--threads", "1", "-o", "out"]
COLLECT = ["collect", *DRAWN[:2], *DRAWN[4:], *DRAWN[2:4], "--manifest", "manifest.json", "--mlflow-uri",
           "sqlite:///mlflow.db"]
MODEL = "run/models/unet-pocket/fold0"


CONTRACTS = [
    ("cases.json", ["read", "--cases", "cases.json", "--input", "data", "-o", "out/read.json"]),
    ("manifest.json", ["plan", "--manifest", "manifest.json", "--fingerprint", "fingerprint.json", "-o", "out"]),
    ("fingerprint.json", ["plan", "--manifest", "manifest.json", "--fingerprint", "fingerprint.json", "-o", "out"]),
    ("plan.json", ["plan", "--manifest", "manifest.json", "--fingerprint", "fingerprint.json", "--edited", "plan.json",
                   "-o", "out"]),
    ("manifest.json", ["preprocess", *DATASET, "--plan", "plan.json", "-o", "out"]),
    ("plan.json", ["preprocess", *DATASET, "--plan", "plan.json", "-o", "out"]),
    ("manifest.json", ["picture", *DATASET, "--fingerprint", "fingerprint.json", "-o", "out/picture.png"]),
    ("fingerprint.json", ["picture", *DATASET, "--fingerprint", "fingerprint.json", "-o", "out/picture.png"]),
    ("plan.json", PATCHES), ("splits.json", PATCHES), ("stores/case_2/case.json", PATCHES),
    ("manifest.json", EVALUATE), ("model/provenance.json", EVALUATE), ("model/labels.json", EVALUATE),
    (f"{MODEL}/provenance.json", REPORT), (f"{MODEL}/plan.json", REPORT), ("profile.json", REPORT),
    ("run/comparison/comparison.json", REPORT), ("run/evaluation/unet-pocket/fold0/overlays.json", REPORT),
    ("manifest.json", ["experiment", "accuracy", *EXPERIMENT, *DRAWN]),
    ("plan.json", ["experiment", "ablation", *EXPERIMENT, *DRAWN]),
    ("sizes.json", ["experiment", "saturation", *SATURATION, *DRAWN]),
    ("run/comparison/comparison.json", ["experiment", "accuracy", *EXPERIMENT, *DRAWN]),
    ("run/comparison/comparison.json", ["experiment", "ablation", *EXPERIMENT, *DRAWN]),
    ("profile.json", ["experiment", "profile", *EXPERIMENT, "--measured", "profile.json"]),
    ("activations.json", ["experiment", "activations", *EXPERIMENT, "--measured", "activations.json"]),
    ("device.json", ["profile", "--predict", "--depth", "1", "--patch", "8", "--device", "device.json"]),
    ("plan.json", TRAIN), ("splits.json", TRAIN), ("damaged/case_2/case.json", TRAIN),
    ("scans.json", INFER), ("network/plan.json", INFER), ("network/labels.json", INFER),
    ("network/provenance.json", INFER),
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
SLOW = [(file, COLLECT) for file in (f"{MODEL}/provenance.json", "run/comparison/comparison.json", "manifest.json",
                                     "run/evaluation/unet-pocket/fold0/overlays.json")]
SLOW_TABLES = [(METRICS, COLLECT), (f"{MODEL}/history.csv", COLLECT)]
"""Too slow for the tests: an MLflow store each."""
