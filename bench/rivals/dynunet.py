"""MONAI's DynUNet, trained and run by `inside/dynunet.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from . import usage
from .schedule import Epochs, Schedule
from .tool import INSIDE, THREADS, Tool, Work

PATCHES = {"hippocampus": {"patch": [40, 56, 40], "spacing_mm": [1.0, 1.0, 1.0], "batch": 9}}
"""The tutorial's parameters of task 04. It has none for other datasets than the Decathlon's and takes its own from
nnU-Net's plans; so do other datasets here."""
LEARNING_RATE = 0.01
FEWEST = 20


class DynUNet(Tool):
    """DynUNet with the settings of MONAI's tutorial."""

    name = kind = "dynunet"
    title = "MONAI DynUNet"
    notes = ("settings of MONAI's tutorial dynunet_pipeline in a script of this project, since MONAI has no command; "
             f"polynomial schedule from {LEARNING_RATE}; no validation during the training, last network")

    def version(self) -> str:
        """Of the package."""
        return self.installed("monai")

    def prepare(self, work: Work) -> usage.Usage:
        """Nothing: the cases are preprocessed when a training or a prediction begins, as in the tutorial."""
        return usage.Usage(0.0, 0.0, 0.0)

    def epochs(self, work: Work) -> Epochs:
        """One pass over the cases, or less so that there are 20 epochs."""
        return Epochs(len(work.folds[work.fold].train) // self._sizes(work)["batch"], FEWEST)

    def trials(self, work: Work) -> tuple[Schedule, Schedule]:
        """One epoch, short and longer."""
        return Schedule(1, 3), Schedule(1, 15)

    def train(self, work: Work, schedule: Schedule) -> usage.Usage:
        """Train by the script."""
        fold, data = work.folds[work.fold], work.data
        cases = {case: {"image": str(data.image(case)), "label": str(data.label(case))}
                 for case in (*fold.train, *fold.test)}
        (work.run / "settings.json").write_text(json.dumps(self._sizes(work) | {
            "cases": cases, "train": fold.train, "test": fold.test, "channels": data.channels,
            "classes": len(data.labels) + 1, "deep_supervision": data.dataset.deep_supervision,
            "learning_rate": LEARNING_RATE, "epochs": schedule.epochs, "steps_per_epoch": schedule.steps_per_epoch,
            "seed": work.seed, "threads": THREADS}))
        return self._run(work, "train")

    def predict(self, work: Sequence[Work], output: Path) -> usage.Usage:
        """Segment by the script."""
        (one,) = work
        return self._run(one, "predict", output)

    def parameters(self, work: Work) -> int:
        """Count those of the weights."""
        return self.counted(work.run / "model.pt")

    def _sizes(self, work: Work) -> dict:
        """Patch, spacing and batch: the tutorial's, else of nnU-Net's plan, whose axes are z, y, x."""
        name = work.data.dataset.name
        if name in PATCHES:
            return PATCHES[name]
        plan = json.loads((work.common.parent / "nnunet" / "plan.json").read_text())
        return {"patch": plan["patch_size"][::-1], "spacing_mm": plan["spacing"][::-1], "batch": plan["batch_size"]}

    def _run(self, work: Work, way: str, *further: object) -> usage.Usage:
        return usage.run([self.program("python"), INSIDE / "dynunet.py", way, work.run / "settings.json",
                          work.run / "model.pt", *further], work.run / "log.txt", self.environment())
