"""MIST's commands."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Sequence, Set
from pathlib import Path

from . import usage
from .schedule import Epochs, Schedule
from .tool import Tool, Work

MODEL = "nnunet-pocket"
VALIDATION = 0.05
"""Share of the training cases that MIST chooses its network on. Its default, 0, chooses it on the test cases."""
WARM_UP = 0.02
"""Share of the epochs in which the learning rate rises: 20 of 1,000 in MIST."""


class Mist(Tool):
    """MIST's pocket version of nnU-Net."""

    name = kind = "mist"
    title = "MIST, nnunet-pocket"
    notes = ("nnunet-pocket; 5 % of the training cases choose the network (--val-percent; the default chooses on the "
             "test cases); warm-up 2 % of the epochs, as 20 of 1,000; epochs of one pass; no worker processes")

    def trials(self, work: Work) -> tuple[Schedule, Schedule]:
        """One and two epochs: MIST has no shorter ones than a pass over the cases."""
        return Schedule(1, self._pass(work)), Schedule(2, self._pass(work))

    def version(self) -> str:
        """Of the package."""
        return self.installed("mist-medical")

    def prepare(self, work: Work) -> usage.Usage:
        """Link the cases into MIST's layout, analyse, give it the folds, preprocess."""
        raw, results = work.common / "raw", work.common / "results"
        shutil.rmtree(raw, ignore_errors=True)
        for case in work.data.cases:
            (raw / case).mkdir(parents=True)
            (raw / case / "mr.nii.gz").symlink_to(work.data.image(case))
            (raw / case / "mask.nii.gz").symlink_to(work.data.label(case))
        classes = {name.replace(" ", "_"): [value] for value, name in enumerate(work.data.labels, 1)}
        index = work.common / "dataset.json"
        index.write_text(json.dumps({
            "task": work.data.dataset.name, "modality": "mr", "train-data": str(raw), "mask": ["mask.nii.gz"],
            "images": {"mr": ["mr.nii.gz"]}, "labels": [0, *(value for (value,) in classes.values())],
            "final_classes": classes}))
        used = [self._run("mist_analyze", "--data", index, "--results", results, "--nfolds", len(work.folds),
                          "--overwrite", log=work.common)]
        self._write_paths(work, results / "train_paths.csv")
        settings = json.loads((results / "config.json").read_text())
        settings["training"]["hardware"]["num_cpu_workers"] = 0
        settings["training"]["min_steps_per_epoch"] = 1
        (results / "config.json").write_text(json.dumps(settings, indent=1))
        used.append(self._run("mist_preprocess", "--results", results, "--numpy", work.common / "numpy",
                              "--overwrite", log=work.common))
        return usage.Usage(**usage.total([one.json() for one in used]))

    def epochs(self, work: Work) -> Epochs:
        """One pass over the training cases: the fewest steps that MIST allows."""
        steps = self._pass(work)
        return Epochs(steps, 1, steps)

    def train(self, work: Work, schedule: Schedule) -> usage.Usage:
        """Train by `mist_train`. It then segments the fold's test cases; here it knows only one of them, because
        `mist_predict` segments them all, and training and prediction are measured apart."""
        results = work.run / "results"
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir(parents=True)
        for name in ("config.json", "fg_bboxes.csv"):
            shutil.copy(work.common / "results" / name, results)
        self._write_paths(work, results / "train_paths.csv", set(work.folds[work.fold].test[1:]))
        settings = json.loads((results / "config.json").read_text())
        settings["training"]["seed"] = work.seed
        (results / "config.json").write_text(json.dumps(settings, indent=1))
        return self._run("mist_train", "--results", results, "--numpy", work.common / "numpy", "--model", MODEL,
                         "--folds", work.fold, "--epochs", schedule.epochs, "--warmup-epochs",
                         round(WARM_UP * schedule.epochs), "--val-percent", VALIDATION, log=work.run)

    def predict(self, work: Sequence[Work], output: Path) -> usage.Usage:
        """Segment by `mist_predict`, mirrored."""
        (one,) = work
        table = one.run / "test.csv"
        with open(table, "w", newline="") as handle:
            csv.writer(handle).writerows([("id", "mr"), *((case, one.data.image(case))
                                                          for case in one.folds[one.fold].test)])
        return self._run("mist_predict", "--models-dir", one.run / "results" / "models", "--config",
                         one.run / "results" / "config.json", "--paths-csv", table, "--output", output, "--device",
                         "cpu", log=one.run)

    def parameters(self, work: Work) -> int:
        """Count those of the model."""
        return self.counted(work.run / "results" / "models" / f"fold_{work.fold}.pt")

    def _pass(self, work: Work) -> int:
        settings = json.loads((work.common / "results" / "config.json").read_text())
        count = len(work.folds[work.fold].train)
        return math.ceil((count - math.ceil(VALIDATION * count)) / settings["training"]["batch_size_per_gpu"])

    def _write_paths(self, work: Work, table: Path, without: Set[str] = frozenset()) -> None:
        """Write MIST's table of paths with these folds instead of its own, and without some cases."""
        fold_of = {case: number for number, fold in enumerate(work.folds) for case in fold.test}
        with open(work.common / "results" / "train_paths.csv", newline="") as handle:
            rows = list(csv.DictReader(handle))
        with open(table, "w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0])
            writer.writeheader()
            writer.writerows(row | {"fold": fold_of[row["id"]]} for row in rows if row["id"] not in without)

    def _run(self, name: str, *arguments: object, log: Path) -> usage.Usage:
        return usage.run([self.program(name), *arguments], log / "log.txt", self.environment())
