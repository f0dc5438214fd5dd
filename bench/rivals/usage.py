"""What a command costs: processor time and peak memory, of it and of every process that it starts."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""
EVERY_SECONDS = 0.5
LINGERING_SECONDS = 20.0
"""How long processes that outlive their command may take to end."""
MIB = 2**20


@dataclass(frozen=True)
class Usage:
    """What a command and all its descendants used.

    Attributes:
        cpu_seconds: User and system time.
        wall_seconds: Time from start to end.
        peak_mib: Most memory at a time in MiB: the largest sum of the processes' proportional set sizes (pages that
            processes share count once), sampled twice a second, or the largest resident set of a single process, which
            the kernel records, if that is more.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_mib: float

    def json(self) -> dict[str, float]:
        """As rounded numbers."""
        return {name: round(value, 1) for name, value in asdict(self).items()}


def total(usages: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return what commands used that ran one after the other."""
    return {"cpu_seconds": round(sum(one["cpu_seconds"] for one in usages), 1),
            "wall_seconds": round(sum(one["wall_seconds"] for one in usages), 1),
            "peak_mib": max(one["peak_mib"] for one in usages)}


def run(command: Sequence[object], log: Path, environment: Mapping[str, str]) -> Usage:
    """Run a command to its end and measure it. Its output is appended to `log`.

    A descendant whose parent does not wait for it becomes a child of this process (a "subreaper"), which does; its time
    counts, too. Only one command may run at a time.

    Raises:
        RuntimeError: The command failed; the message names the log and quotes its end.
    """
    ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
    begin, before = time.monotonic(), os.times()
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        out.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        out.flush()
        started = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, env=dict(environment))
    peak, ended = 0.0, False
    while not ended:
        peak = max(peak, tree_mib(started.pid))
        found, status, used = os.wait4(started.pid, os.WNOHANG)
        ended = found == started.pid
        if not ended:
            time.sleep(EVERY_SECONDS)
    started.returncode = os.waitstatus_to_exitcode(status)
    _wait_for_the_rest()
    after = os.times()
    if started.returncode:
        raise RuntimeError(f"{command[0]} ended with {started.returncode}; the end of {log}:\n{_end(log)}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(cpu, time.monotonic() - begin, max(peak, used.ru_maxrss * 1024 / MIB))


def tree_mib(pid: int) -> float:
    """Return the sum of the proportional set sizes of a process and its descendants in MiB."""
    found = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in processes:
        try:
            found += process.memory_full_info().pss
        except (psutil.Error, OSError):
            continue
    return found / MIB


def _wait_for_the_rest() -> None:
    """Wait for descendants that outlived the command, so that their time counts; end those that do not end."""
    until = time.monotonic() + LINGERING_SECONDS
    while True:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            if time.monotonic() > until:
                for child in psutil.Process().children():
                    child.terminate()
                until = time.monotonic() + LINGERING_SECONDS
            time.sleep(EVERY_SECONDS / 5)


def _end(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
