"""What a tool does here: prepare a dataset once, train on a fold for so many steps, and segment the test cases."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from . import usage
from .datasets import Data, Fold
from .schedule import Epochs, Schedule

REPOSITORY = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).resolve().parent / "inside"
ENVIRONMENTS = REPOSITORY / ".tools" / "rivals"
SEED = 12345
THREADS = 1
"""Processor seconds mean little when threads wait for each other on a busy machine."""


@dataclass(frozen=True)
class Work:
    """Where a tool works.

    Attributes:
        data: The dataset.
        folds: All folds.
        common: The tool's folder for this dataset, with what it prepared.
        run: Folder of one training.
        fold: Number of the fold.
        member: Number of the training among those that are averaged; it changes the seed.
    """

    data: Data
    folds: Sequence[Fold]
    common: Path
    run: Path
    fold: int = 0
    member: int = 0

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return SEED + self.member


class Tool(ABC):
    """A tool in an environment of its own. Each method returns what its commands used.

    Attributes:
        name: Name of the rows.
        kind: Name of the environment in `.tools/rivals` and of what is prepared; tools of one kind share trials.
        title: Name in tables.
        members: Trainings of a fold, which share the budget and are averaged.
        notes: What differs from the tool's own defaults, for the rows.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    title: ClassVar[str]
    members: ClassVar[int] = 1
    notes: ClassVar[str]

    @abstractmethod
    def version(self) -> str:
        """The installed version."""

    @abstractmethod
    def prepare(self, work: Work) -> usage.Usage:
        """Plan and preprocess all cases of the dataset."""

    @abstractmethod
    def epochs(self, work: Work) -> Epochs:
        """The rule for epochs on this dataset."""

    @abstractmethod
    def trials(self, work: Work) -> tuple[Schedule, Schedule]:
        """Two short trainings, which tell the cost of a step."""

    @abstractmethod
    def train(self, work: Work, schedule: Schedule) -> usage.Usage:
        """Train one network on the fold, in `work.run`."""

    @abstractmethod
    def predict(self, work: Sequence[Work], output: Path) -> usage.Usage:
        """Segment the fold's test cases with the mean of the networks, into `output/<case>.nii.gz`."""

    @abstractmethod
    def parameters(self, work: Work) -> int:
        """Parameters of the trained network."""

    def environment(self, **further: object) -> dict[str, str]:
        """Variables of the tool's commands."""
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS",
                                 "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), str(THREADS))
        kept = {name: value for name, value in os.environ.items()
                if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")}
        return kept | threads | {"CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"} | {
            name: str(value) for name, value in further.items()}

    def program(self, name: str) -> Path:
        """Path of a program in the tool's environment."""
        return ENVIRONMENTS / self.kind / "bin" / name

    def installed(self, package: str) -> str:
        """Version of a package in the tool's environment."""
        code = f"from importlib.metadata import version; print(version({package!r}), version('torch'))"
        ran = subprocess.run([self.program("python"), "-c", code], check=True, capture_output=True, text=True,
                             env=self.environment())
        own, torch = ran.stdout.split()
        return f"{package} {own}, torch {torch}"

    def counted(self, *words: object) -> int:
        """Count the parameters of a PyTorch checkpoint in the tool's environment."""
        ran = subprocess.run([self.program("python"), INSIDE / "count_parameters.py", *map(str, words)], check=True,
                             capture_output=True, text=True, env=self.environment())
        return int(ran.stdout.split()[-1])
