"""What a command costs: processor time and peak memory, of it and of every process that it starts."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""
EVERY_SECONDS, MOST_SHARE = 0.5, 0.01
"""How often memory is sampled, and the most of the time that this may take: it walks all pages of the processes."""
LINGERING_SECONDS = 20.0
"""How long processes that outlive their command may take to end."""
MIB = 2**20


@dataclass(frozen=True)
class Usage:
    """What a command and all its descendants used.

    Attributes:
        cpu_seconds: User and system time.
        wall_seconds: Time from start to end.
        peak_mib: Most memory at a time in MiB: the largest resident set of a process, which the kernel records; if
            there are several processes at a time, the largest sum of their proportional set sizes (pages that processes
            share count once), sampled at most twice a second, if that is more.
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
        sampled = time.monotonic()
        peak = max(peak, tree_mib(started.pid))
        found, status, used = os.wait4(started.pid, os.WNOHANG)
        ended = found == started.pid
        if not ended:
            time.sleep(max(EVERY_SECONDS, (time.monotonic() - sampled) / MOST_SHARE))
    started.returncode = os.waitstatus_to_exitcode(status)
    _wait_for_the_rest()
    after = os.times()
    if started.returncode:
        raise RuntimeError(f"{command[0]} ended with {started.returncode}; the end of {log}:\n{_end(log)}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(cpu, time.monotonic() - begin, max(peak, used.ru_maxrss * 1024 / MIB))


def tree_mib(pid: int) -> float:
    """Return the sum of the proportional set sizes of a process and its descendants in MiB; 0 if it is alone."""
    processes = [pid]
    for known in processes:
        processes += _children(known)
    return sum(map(_pss, processes)) / MIB if len(processes) > 1 else 0.0


def _children(pid: int) -> list[int]:
    """Return the children of a process, as Linux lists them."""
    try:
        return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    except OSError:
        return []


def _pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


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
                for child in _children(os.getpid()):
                    os.kill(child, signal.SIGTERM)
                until = time.monotonic() + LINGERING_SECONDS
            time.sleep(EVERY_SECONDS / 5)


def _end(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
