"""What holds for every test: a machine that promises a tool may not skip for want of it.

``LODESTAR_REQUIRE`` holds words, for example ``chromium Rscript shared``. A test or module that
skips with one of these words in its reason fails instead.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest

REQUIRED = os.environ.get("LODESTAR_REQUIRE", "").lower().split()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, pytest.TestReport]:
    return _fail_if_required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    return _fail_if_required((yield))


def _fail_if_required(report: Any) -> Any:
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    missing = [word for word in REQUIRED if word in reason.lower()]
    if missing:
        report.outcome = "failed"
        report.longrepr = f"{', '.join(missing)} must be here (LODESTAR_REQUIRE), but: {reason}"
    return report
