"""One run that ends early three times, each time for another reason, and is started again with -resume."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager

from faults import until

WORK_MIB = 32


@contextmanager
def small_disk(folder):
    """A disk of a few MiB at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={WORK_MIB}m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def end_early(run) -> dict:
    """Run it on a small disk: cancelled, its head killed, its disk full, then to its end. Gives what was seen."""
    seen = {"run": run}
    with small_disk(run.folder / "work"):
        head = run.launch("cancelled")
        training = run.training(0, head=head)
        run.slurm.ask("scancel", training.job)
        seen["cancelled"] = run.ended(head, "cancelled"), head.returncode, training.step()

        head = run.launch("killed", "-resume")
        orphan = run.training(0, step=training.step() + 10, head=head, after=training)
        head.send_signal(signal.SIGKILL)
        head.wait()
        orphan.send(signal.SIGSTOP)  # so that it does not end before the next one has found it

        head = run.launch("full", "-resume")
        until(lambda: any("Another process is training this run" in text for text in trainings(run)),
              "the second training to find the first")
        seen["jobs"] = [job["id"] for job in run.jobs() if "TRAIN" in job["name"]]
        fill(run.folder / "work", leave=400_000)
        orphan.send(signal.SIGCONT)
        seen["full"] = run.ended(head, "full"), head.returncode
        (run.folder / "work/ballast").unlink()

        head = run.launch("log", "-resume")
        seen["log"] = run.ended(head, "log"), head.returncode
    return seen


def trainings(run) -> list[str]:
    """What the run's trainings have said."""
    return [path.read_text() for path in (run.folder / "work").glob("*/*/.command.err")]


def fill(folder, leave: int) -> None:
    """Write to a disk until only `leave` bytes are free."""
    free = os.statvfs(folder)
    with open(folder / "ballast", "wb") as handle:
        handle.write(bytes(free.f_bavail * free.f_frsize - leave))
