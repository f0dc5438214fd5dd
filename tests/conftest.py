"""Makes the modules beside it importable for the tests of every folder; with `POCKET_NO_SKIPS`, nothing is skipped."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """Let a skipped test fail where `POCKET_NO_SKIPS` is set, as in `.ci/run`: there, what tests need is there."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("POCKET_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but POCKET_NO_SKIPS is set: {report.longrepr}"
