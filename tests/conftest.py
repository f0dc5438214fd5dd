"""For the tests of every folder: the longest files come first; with `POCKET_NO_SKIPS`, nothing is skipped."""

from __future__ import annotations

import os

import pytest

LONGEST = ("pipeline/test_whole_run", "pipeline/test_stub_runs",
           "pipeline/test_own_preset", "pipeline/test_classification_run", "training/test_run", "pipeline/test_brats",
           "models/test_counts",
           "profiling/test_profile", "python/test_every_preset", "python/test_telemetry", "training/test_schedule",
           "inference/test_engines", "inference/test_bad_input", "training/test_precision", "tracking/test_live",
           "training/test_devices", "pipeline/test_parameters", "report/test_page", "training/test_less_memory",
           "cli/test_classification", "inference/test_ensembled", "inference/test_infer_command",
           "inference/test_bounded_memory", "python/test_documents")
"""The ends of the longest files' names, the longest first. `make test` gives a file to one of its processes: short ones
at the end let all of them end together. The first is also the one whose run `make test-browser` looks at."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; otherwise the order stays."""
    names = {path: str(path.with_suffix("")) for path in {item.path for item in items}}
    place = {path: next((number for number, end in enumerate(LONGEST) if name.endswith(f"/{end}")), len(LONGEST))
             for path, name in names.items()}
    items.sort(key=lambda item: place[item.path])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """Let a skipped test fail where `POCKET_NO_SKIPS` is set, as in `.ci/run`: there, what tests need is there."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("POCKET_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but POCKET_NO_SKIPS is set: {report.longrepr}"
