"""nnU-Net's commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import usage
from .schedule import Epochs, Schedule
from .tool import INSIDE, THREADS, Tool, Work

TRAINER, CONFIGURATION = "nnUNetTrainerBudget", "3d_fullres"
STEPS, FEWEST = 250, 20
"""nnU-Net's steps of an epoch, and the fewest epochs, because it changes the learning rate once an epoch."""


class NnUNet(Tool):
    """nnU-Net 3D with its default plans and trainer."""

    name = kind = "nnunet"
    title = "nnU-Net, 3D"
    notes = ("3d_fullres, default planner; a subclass of the default trainer sets epochs, steps, 1 thread and 1 "
             "validation batch an epoch; no worker processes (nnUNet_n_proc_DA=0); last checkpoint")

    def version(self) -> str:
        """Of the package."""
        return self.installed("nnunetv2")

    def prepare(self, work: Work) -> usage.Usage:
        """Link the images under nnU-Net's names, plan and preprocess; then give it the folds."""
        raw = work.common / "raw" / self._dataset(work)
        shutil.rmtree(raw, ignore_errors=True)
        for name in ("imagesTr", "labelsTr"):
            (raw / name).mkdir(parents=True)
        for case in work.data.cases:
            (raw / "imagesTr" / f"{case}_0000.nii.gz").symlink_to(work.data.image(case))
            (raw / "labelsTr" / f"{case}.nii.gz").symlink_to(work.data.label(case))
        labels = {"background": 0} | {name: value for value, name in enumerate(work.data.labels, 1)}
        (raw / "dataset.json").write_text(json.dumps({
            "channel_names": {"0": "MRI"}, "labels": labels, "numTraining": len(work.data.cases),
            "file_ending": ".nii.gz"}))
        used = self._run(work, "nnUNetv2_plan_and_preprocess", "-d", work.data.dataset.number, "-c", CONFIGURATION,
                         "-np", 1, "-npfp", 1, "--no_pbar", log=work.common,
                         nnUNet_n_proc_DA=THREADS)  # its planner computes with so many threads
        plans = json.loads((self._preprocessed(work) / "nnUNetPlans.json").read_text())
        (work.common / "plan.json").write_text(json.dumps(plans["configurations"][CONFIGURATION], indent=1))
        splits = [{"train": fold.train, "val": fold.test} for fold in work.folds]
        (self._preprocessed(work) / "splits_final.json").write_text(json.dumps(splits))
        return used

    def epochs(self, work: Work) -> Epochs:
        """nnU-Net's 250 steps, or fewer so that there are 20 epochs."""
        return Epochs(STEPS, FEWEST)

    def trials(self, work: Work) -> tuple[Schedule, Schedule]:
        """One epoch, short and longer."""
        return Schedule(1, 3), Schedule(1, 15)

    def train(self, work: Work, schedule: Schedule) -> usage.Usage:
        """Train by `nnUNetv2_train`."""
        shutil.rmtree(work.run / "results", ignore_errors=True)
        return self._run(work, "nnUNetv2_train", work.data.dataset.number, CONFIGURATION, work.fold, "-tr", TRAINER,
                         "-device", "cpu", log=work.run, BENCH_EPOCHS=schedule.epochs, BENCH_SEED=work.seed,
                         BENCH_STEPS=schedule.steps_per_epoch)

    def predict(self, work: Sequence[Work], output: Path) -> usage.Usage:
        """Segment by `nnUNetv2_predict`, mirrored, without further processes."""
        (one,) = work
        images = one.run / "images"
        shutil.rmtree(images, ignore_errors=True)
        images.mkdir(parents=True)
        for case in one.folds[one.fold].test:
            (images / f"{case}_0000.nii.gz").symlink_to(one.data.image(case))
        return self._run(one, "nnUNetv2_predict", "-i", images, "-o", output, "-d", one.data.dataset.number, "-c",
                         CONFIGURATION, "-tr", TRAINER, "-f", one.fold, "-device", "cpu", "-npp", 0, "-nps", 0,
                         "--disable_progress_bar", log=one.run)

    def parameters(self, work: Work) -> int:
        """Count those of the last checkpoint."""
        checkpoint = next((work.run / "results").rglob(f"fold_{work.fold}/checkpoint_final.pth"))
        return self.counted(checkpoint, "network_weights")

    def _dataset(self, work: Work) -> str:
        return f"Dataset{work.data.dataset.number:03}_{work.data.dataset.name}"

    def _preprocessed(self, work: Work) -> Path:
        return work.common / "preprocessed" / self._dataset(work)

    def _run(self, work: Work, name: str, *arguments: object, log: Path, **further: object) -> usage.Usage:
        variables = self.environment(
            nnUNet_raw=work.common / "raw", nnUNet_preprocessed=work.common / "preprocessed",
            nnUNet_results=work.run / "results", nnUNet_def_n_proc=THREADS,
            nnUNet_extTrainer=INSIDE / "nnunet", BENCH_THREADS=THREADS, **{"nnUNet_n_proc_DA": 0} | further)
        return usage.run([self.program(name), *arguments], log / "log.txt", variables)
