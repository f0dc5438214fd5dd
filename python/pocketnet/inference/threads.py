"""Run NumPy operations on all threads: each thread processes a slab of the window's first axis."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Share = Callable[[Callable[[slice], object], int], None]
"""Calls a function with slices that together cover `range(length)`, and returns when all calls have finished."""


def alone(work: Callable[[slice], object], length: int) -> None:
    """Process the whole range in one call, on the calling thread."""
    work(slice(0, length))


def share(threads: int | None) -> Share:
    """Return a `Share` for a number of threads; None for one thread per core."""
    number = threads or len(os.sched_getaffinity(0))
    if number == 1:
        return alone
    pool = ThreadPoolExecutor(number, thread_name_prefix="slabs")

    def shared(work: Callable[[slice], object], length: int) -> None:
        ends = [length * part // number for part in range(number + 1)]
        list(pool.map(work, map(slice, ends[:-1], ends[1:])))

    return shared
