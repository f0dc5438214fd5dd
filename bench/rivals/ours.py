"""This project's commands."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import usage
from .schedule import Epochs, Schedule
from .tool import REPOSITORY, SEED, THREADS, Tool, Work

RECIPE = "best"


class Ours(Tool):
    """One pocket U-Net of recipe `best`."""

    name = kind = "ours"
    title = "ours, one network"
    notes = "recipe best, pocket U-Net; the epochs and steps are the budget's"

    def version(self) -> str:
        """Commit, and checksum of what trains."""
        def said(*words: object) -> str:
            return subprocess.run(words, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout.strip()
        return f"commit {said('git', 'rev-parse', '--short', 'HEAD')}, train {said('bin/pocket-code', 'train')}"

    def prepare(self, work: Work) -> usage.Usage:
        """Check, plan and preprocess."""
        folder, dataset = work.common, work.data.dataset
        used = [self._run("check", *dataset.check, "--input", work.data.folder, "-o", folder, log=folder)]
        used.append(self._plan(work, folder, SEED))
        used.append(self._run("preprocess", "--manifest", folder / "manifest.json", "--plan", folder / "plan.json",
                              "--input", work.data.folder, "-o", folder / "stores", log=folder))
        return usage.Usage(**usage.total([one.json() for one in used]))

    def epochs(self, work: Work) -> Epochs:
        """Epochs of the recipe's length; the schedule changes the learning rate at every step."""
        return Epochs(json.loads((work.common / "plan.json").read_text())["training"]["steps_per_epoch"])

    def trials(self, work: Work) -> tuple[Schedule, Schedule]:
        """One epoch, short and longer."""
        return Schedule(1, 10), Schedule(1, 60)

    def train(self, work: Work, schedule: Schedule) -> usage.Usage:
        """Plan for the schedule and train."""
        self._plan(work, work.run, SEED, schedule)
        plan = json.loads((work.run / "plan.json").read_text())
        plan["seed"] = work.seed
        (work.run / "member.json").write_text(json.dumps(plan))
        for folder in ("model", "checkpoints"):
            shutil.rmtree(work.run / folder, ignore_errors=True)
        return self._run("train", "--plan", work.run / "member.json", "--splits", work.common / "splits.json",
                         "--stores", work.common / "stores", "--width", "pocket", "--fold", work.fold, "--threads",
                         THREADS, "--checkpoints", work.run / "checkpoints", "-o", work.run / "model", log=work.run)

    def predict(self, work: Sequence[Work], output: Path) -> usage.Usage:
        """Segment with the folders of all members."""
        models = [word for one in work for word in ("--model", one.run / "model")]
        images = [work[0].data.image(case) for case in work[0].folds[work[0].fold].test]
        return self._run("infer", *models, "--threads", THREADS, "--no-extras", "--no-uncertainty", "--overwrite",
                         *images, "-o", output, log=work[0].run)

    def parameters(self, work: Work) -> int:
        """As the model's record says."""
        return json.loads((work.run / "model" / "provenance.json").read_text())["parameters"]

    def _plan(self, work: Work, folder: Path, seed: int, schedule: Schedule | None = None) -> usage.Usage:
        sizes = () if schedule is None else ("--epochs", schedule.epochs, "--steps-per-epoch", schedule.steps_per_epoch)
        further = [word.format(work.data.folder) for word in work.data.dataset.plan]
        return self._run("plan", "--manifest", work.common / "manifest.json", "--fingerprint",
                         work.common / "fingerprint.json", "--recipe", RECIPE, "--width", "pocket", "--seed", seed,
                         *further, *sizes, "--overwrite", "-o", folder, log=folder)

    def _run(self, name: str, *arguments: object, log: Path) -> usage.Usage:
        return usage.run([REPOSITORY / "bin" / f"pocket-{name}", "--quiet", *arguments], log / "log.txt",
                         self.environment())


class OursTwo(Ours):
    """Two of them, each with half of the budget."""

    name = "ours-2"
    title = "ours, two networks"
    members = 2
    notes = "recipe best, two pocket U-Nets of different seeds with half of the budget each, averaged"
