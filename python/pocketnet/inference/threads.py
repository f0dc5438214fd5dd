"""NumPy on all threads: what goes through a whole window is shared out by slabs of its first axis."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Share = Callable[[Callable[[slice], object], int], None]
"""Calls a function with slices that together are `range(length)`, and returns when all are done."""


def alone(work: Callable[[slice], object], length: int) -> None:
    """All at once, on the thread that asks."""
    work(slice(0, length))


def share(threads: int | None) -> Share:
    """A `Share` on so many threads; None for one a core."""
    number = threads or len(os.sched_getaffinity(0))
    if number == 1:
        return alone
    pool = ThreadPoolExecutor(number, thread_name_prefix="slabs")

    def shared(work: Callable[[slice], object], length: int) -> None:
        ends = [length * part // number for part in range(number + 1)]
        list(pool.map(work, map(slice, ends[:-1], ends[1:])))

    return shared
