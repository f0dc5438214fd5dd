"""Damage files at random, from a seed, and limit what reading them may take. `POCKET_FUZZ` sets how many are tried."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager

import psutil
from pocketnet.errors import DataError

COUNT = int(os.environ.get("POCKET_FUZZ", 100))
SECONDS, BYTES = 10, 2 * 2**30
"""Processor time and memory that reading one file may take."""


def damaged(content, draw, header):
    """The content with some bits flipped, bytes inserted or zeroed, or its end cut; mostly in `header` (from, to)."""
    content = bytearray(content)
    kind = draw.choice(("flip", "flip", "cut", "insert", "zero", "other"))
    for _ in range(draw.choice((1, 1, 3, 20))):
        low, high = header
        at = draw.randrange(len(content)) if draw.random() < 0.4 else draw.randrange(low, min(len(content), high))
        if kind == "flip":
            content[at] ^= 1 << draw.randrange(8)
        elif kind == "cut":
            return bytes(content[:at])
        elif kind == "insert":
            content[at:at] = draw.randbytes(draw.randrange(1, 9))
        elif kind == "zero":
            content[at: at + 8] = bytes(8)
        else:
            content[at] = draw.randrange(256)
    return bytes(content)


def _too_long(*_):
    raise TimeoutError(f"more than {SECONDS} seconds")


@contextmanager
def limited():
    """Limit the processor time and the memory of what runs within; a refusal for want of memory is an error."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + BYTES, before[1]))
    handler = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    except DataError as error:
        assert not isinstance(error.__context__, MemoryError | TimeoutError), error
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
