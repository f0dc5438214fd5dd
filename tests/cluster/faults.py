"""Doing harm to a run of the pipeline on SLURM at the moment when it hurts: while a training takes steps."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from running import Pipeline
from slurm import Slurm

FOLDS = 3
LIMIT_SECONDS = 3600  # for anything that is waited for, on a slow and busy machine
STEPS = 150
# Small enough for a few minutes, with a checkpoint after each step: what is lost is what no checkpoint holds.
OPTIONS = ("-profile", "test,slurm", "-c", "site.config", "--width", "pocket", "--folds", str(FOLDS),
           "--skip_profile", "--epochs", "3", "--steps_per_epoch", str(STEPS // 3), "--patch", "16",
           "--train_cpus", "1", "--slurm_partition", "cpu", "--slurm_account", "imaging")
ON_GPUS = ("--gpus", "1", "--gpu_type", "t4", "--slurm_gpu_partition", "gpu")
SITE = """
process {
    withName: TRAIN {
        ext.args   = '--checkpoint-seconds 0'
        ext.memory = 3.GB
    }
}
executor {
    queueSize         = 40
    pollInterval      = '1 sec'
    queueStatInterval = '2 sec'
    exitReadTimeout   = '10 sec'
}
"""


@dataclass(frozen=True)
class ClusterRun(Pipeline):
    """A run of the pipeline whose tasks are jobs of the test's SLURM."""

    slurm: Slurm | None = None

    @classmethod
    def prepared(cls, slurm: Slurm, clone: Path, folder: Path, data: Path, options: tuple[str, ...],
                 devices: tuple[str, ...] = ON_GPUS) -> ClusterRun:
        (folder / "site.config").write_text(SITE)
        return cls(clone, folder, (*OPTIONS, *devices, "--input", str(data), *options), slurm=slurm)

    def launch(self, log: str, *options: str) -> subprocess.Popen:
        """Start it on the cluster; what it says goes to the file `log`."""
        return self.start(log, *options, **self.slurm.environment)

    def said(self, log: str) -> str:
        return (self.folder / log).read_text()

    def ended(self, head: subprocess.Popen, log: str) -> str:
        """Wait for the end of a started run and give what it said; `head.returncode` says how it ended."""
        head.wait(LIMIT_SECONDS)
        return self.said(log)

    def training(self, fold: int, step: int = 10, head: subprocess.Popen | None = None,
                 after: Training | None = None) -> Training:
        """The running training of a fold, another job than `after`, as soon as it has a checkpoint of `step` or later.

        Raises:
            AssertionError: The run ended before, or the time is up.
        """
        def found():
            assert head is None or head.poll() is None, "the run ended before its training"
            for job in self.jobs():
                if f"-fold{fold})" in job["name"] and "TRAIN" in job["name"] and job["state"] == "R" \
                        and not (after and after.job == job["id"]):
                    training = Training(self, job["id"], Path(job["folder"]), fold)
                    if training.step() >= step and training.process():
                        return training
            return None
        return until(found, f"fold {fold} to take step {step}")

    def jobs(self) -> list[dict[str, str]]:
        """The run's own jobs that wait or run."""
        return [job for job in self.slurm.jobs() if Path(job["folder"]).is_relative_to(self.folder / "work")]

    def finished_jobs(self) -> list[dict[str, str]]:
        """What SLURM has recorded of the run's jobs, each with the name of its `step`."""
        found = []
        for job in self.slurm.record():
            if Path(job["WorkDir"]).is_relative_to(self.folder / "work"):
                found.append(job | {"step": re.search(r"nf-(?:\w+_)?([A-Z]+)", job["Name"])[1]})
        return found


@dataclass(frozen=True)
class Training:
    """A job that trains a fold."""

    run: ClusterRun
    job: str
    folder: Path
    fold: int

    def checkpoints(self) -> list[Path]:
        """Its checkpoints, the newest last."""
        log = self.folder / ".command.err"
        key = re.search(r"; run (\w+)", log.read_text()) if log.exists() else None
        return sorted((self.run.folder / "results/demo/checkpoints" / key[1]).glob("step-*.npz")) if key else []

    def step(self) -> int:
        """The step of its newest checkpoint, 0 without one."""
        return max((int(path.stem.split("-")[1]) for path in self.checkpoints()), default=0)

    def processes(self) -> list[psutil.Process]:
        """The processes of its job: the wrapper and what it has started."""
        found = []
        for process in psutil.process_iter(["pid"]):
            with suppress(psutil.Error):
                if process.cwd() == str(self.folder):
                    found.append(process)
        return found

    def process(self) -> psutil.Process | None:
        """The process that trains, on several nodes one of them."""
        return next(iter(self.workers()), None)

    def workers(self) -> list[psutil.Process]:
        """The processes that train, one per node."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                if "pocket-train" in process.cmdline() and "python" in process.name():
                    found.append(process)
        return found

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process().pid, number)

    def gone(self) -> None:
        """Wait until SLURM knows its job no longer as running."""
        until(lambda: self.job not in [job["id"] for job in self.run.jobs()], f"job {self.job} to end")


def until(ready, what: str, seconds: float = LIMIT_SECONDS):
    """The first true answer of `ready`."""
    deadline = time.monotonic() + seconds
    while not (answer := ready()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return answer
