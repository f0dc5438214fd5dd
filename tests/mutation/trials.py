"""The pytest plugin that tries mutants: it collects the tests once, and forks a process for each mutant.

The first process runs all tests on the code as it is, and records which functions each test reaches, by itself or by
its fixtures, and its time. Then each mutant gets a process, which runs the tests that reach the mutated function until
one fails: first those of the module's own test file, then the others, quick ones first. Tests that take more than
`MUTANT_SECONDS` are left out. The parent runs no test: libraries with threads of their own (TensorFlow) do not survive
a fork.
"""

from __future__ import annotations

import collections
import contextlib
import inspect
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mutmut.mutation import trampoline

CPU_FACTOR, CPU_SECONDS = 4, 30
"""A mutant may take this many times the CPU time that its tests take without it, and this many seconds more."""
WALL_FACTOR = 6
"""A mutant that waits takes no CPU time: the limit of its wall-clock time is this many times the other."""
QUICK_SECONDS = 2


_wrap = trampoline.wrap_in_trampoline


def _wrap_with_signature(*arguments, **options):
    """mutmut's wrapper; that of an `__init__` has its signature, which Keras looks at."""
    wrap = _wrap(*arguments, **options)

    def wrapped(function):
        wrapper = wrap(function)
        if function.__name__ == "__init__":
            wrapper.__signature__ = inspect.signature(function)
        return wrapper

    return wrapped


trampoline.wrap_in_trampoline = _wrap_with_signature


class Trials:
    """Try mutants, given by name, and write the results to a file.

    Each result is `killed`, `survived`, `timeout` or `unreached`, with the test that failed.

    Args:
        mutants: Their names.
        results: The JSON file to write.
        longest: CPU time in seconds of the longest test to run on a mutant.
    """

    def __init__(self, mutants: list[str], results: Path, longest: float):
        self.mutants, self.results, self.longest = mutants, results, longest
        self.failed: str | None = None
        self.reason = ""

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failed, self.reason = report.nodeid, report.longreprtext

    def pytest_runtestloop(self, session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests could not be collected")
        recorder = Recorder()
        session.config.pluginmanager.register(recorder)
        notes = self.results.with_suffix(".reached")
        if self.fork(lambda: self.record(session.items, recorder, notes), 3600) != "survived":
            raise session.Interrupted(f"the tests fail without a mutant: {self.failed}\n{notes.read_text()[-3000:]}")
        session.config.pluginmanager.unregister(recorder)
        reached, seconds = json.loads(notes.read_text())
        done = {}
        for mutant in self.mutants:
            module, _, function = mutant.partition("__mutmut_")[0].rpartition(".")
            own = f"test_{module.rpartition('.')[2]}.py"
            tests = [item for item in session.items if f"{module}.{function}" in reached[item.nodeid]
                     and seconds[item.nodeid] <= self.longest]
            tests.sort(key=lambda item: ((cost := seconds[item.nodeid]) > QUICK_SECONDS, item.path.name != own, cost))
            limit = CPU_SECONDS + CPU_FACTOR * sum(seconds[item.nodeid] for item in tests)
            outcome = "unreached"
            if tests:
                outcome = self.fork(lambda tests=tests, mutant=mutant: self.run(tests, mutant), limit)
            done[mutant] = {"outcome": outcome, "test": self.failed, "tests": len(tests)}
            self.results.write_text(json.dumps(done, indent=1))
        return True

    def record(self, items: list[pytest.Item], recorder: Recorder, notes: Path) -> bool:
        """Run all tests without a mutant; write down what each reaches and its time."""
        trampoline.record_trampoline_hit = lambda name, caller=None: recorder.hits.add(name)
        trampoline._mutant_under_test = "stats"  # in this process alone, not in the programs that tests start
        passed = self.run(items)
        reached = {item.nodeid: sorted(recorder.of(item)) for item in items}
        seconds = {item.nodeid: recorder.seconds_of(item) for item in items}
        notes.write_text(json.dumps([reached, seconds] if passed else self.reason))
        return passed

    def run(self, items: list[pytest.Item], mutant: str | None = None) -> bool:
        """Whether all tests pass, with a mutant if one is named; the first that fails ends it."""
        if mutant:
            trampoline.set_mutant_under_test(mutant)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return False
        return True

    def fork(self, work: Callable[[], bool], limit: float) -> str:
        """Work in a process of its own, with its own children, until it ends or has used up its CPU time in seconds."""
        self.failed = None
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setsid()
                resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
                status = 0 if work() else 1
                os.write(writing, (self.failed or "").encode())
            finally:
                os._exit(status)
        os.close(writing)
        end = time.monotonic() + WALL_FACTOR * limit
        while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what is left of it and of the programs it started
        if not ended[0]:
            os.waitpid(child, 0)
        with open(reading) as pipe:
            self.failed = pipe.read() or None
        if not ended[0] or os.WIFSIGNALED(ended[1]) and os.WTERMSIG(ended[1]) in (signal.SIGXCPU, signal.SIGKILL):
            return "timeout"
        return "survived" if ended[1] == 0 else "killed"


class Recorder:
    """Which functions the running test or fixture reaches, and the time each takes."""

    def __init__(self):
        self.hits: set[str] = set()
        self.reached: dict[object, set[str]] = collections.defaultdict(set)
        self.seconds: dict[object, float] = collections.defaultdict(float)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        yield from self.around(item.nodeid)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        yield from self.around(fixturedef)

    def around(self, key: object):
        before, self.hits, start = self.hits, set(), time.process_time()
        yield
        self.reached[key] |= self.hits
        self.seconds[key] = max(self.seconds[key], time.process_time() - start)
        self.hits |= before

    def fixtures(self, item: pytest.Item) -> list[object]:
        """The shared fixtures of a test: another test may have set them up."""
        return [definitions[-1] for definitions in item._fixtureinfo.name2fixturedefs.values()
                if definitions[-1].scope != "function"]

    def of(self, item: pytest.Item) -> set[str]:
        return self.reached[item.nodeid].union(*(self.reached[fixture] for fixture in self.fixtures(item)))

    def seconds_of(self, item: pytest.Item) -> float:
        return max(self.seconds[item.nodeid], sum(self.seconds[fixture] for fixture in self.fixtures(item)))


def pytest_configure(config) -> None:
    """Read what to try from the file named by `MUTANTS`, and write the results beside it."""
    mutants = Path(os.environ["MUTANTS"])
    config.pluginmanager.register(Trials(json.loads(mutants.read_text()), mutants.with_name("results.json"),
                                         float(os.environ["MUTANT_SECONDS"])))
