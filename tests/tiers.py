"""pytest plugin: which tests run in which tier, and how long they took against their folder's budget.

``make test`` leaves out tests marked ``proof`` and runs on a database server only those marked ``database``: SQL
decides their outcome. ``make proof`` runs everything. A folder over its budget gets a line at the end and fails
nothing, because seconds depend on what else the machine does.
"""

from __future__ import annotations

import gc
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.proof import FULL

FOLDERS = Path(__file__).parent
BUDGETS_S = {
    "e2e": 700,
    "docs": 60,
    "faults": 350,
    "browser": 300,
    "adapter": 270,
    "contracts": 300,
    "unit": 380,
}
"""Seconds of test time that ``make test`` may take on 2 idle cores, summed over its processes: half as
much again as was measured.

Files are handed out in this order, the longest first, so that no core waits at the end for another one's longest.
"""
TOGETHER = ("tests/e2e/stack/", "tests/browser/", "tests/faults/test_promotion_")
"""Tests whose files begin so run first, each group in one process: its server and models take up to a minute."""
SLOWEST = 10
NOT_TESTED = "not tested: "
"""A skip for want of something on this machine begins with this, and is summed up in one line at the end."""


# OpenBLAS's threads wait for each other in a loop: with two, small models take three times the processor's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
gc.disable()  # until everything is imported: a fifth of what collecting the tests takes


def pytest_collection_finish() -> None:
    """Look for garbage in what the tests make, and not every time in all libraries and tests."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest first, and leave out what is for ``make proof``."""
    order = list(BUDGETS_S)
    items.sort(key=lambda item: (not item.nodeid.startswith(TOGETHER), order.index(_folder(item.nodeid))))
    left_out = [] if FULL else [item for item in items if _is_for_proof(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]


def _is_for_proof(item: pytest.Item) -> bool:
    on_a_server = item.path.name.startswith("test_on_")
    return bool(item.get_closest_marker("proof") or (on_a_server and not item.get_closest_marker("database")))


class Report:
    """Adds up what tests took, and says it at the end."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.not_tested: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.skipped and isinstance(report.longrepr, tuple):
            _, found, reason = report.longrepr[2].partition(NOT_TESTED)
            self.not_tested.update([reason] if found else [])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.seconds:
            terminalreporter.section("time by folder")
            for line in self._lines():
                terminalreporter.write_line(line)
        for reason, count in self.not_tested.items():
            terminalreporter.write_line(f"NOT TESTED: {reason} ({count} tests)", red=True)

    def _lines(self) -> list[str]:
        folders: dict[str, float] = defaultdict(float)
        for nodeid, seconds in self.seconds.items():
            folders[_folder(nodeid)] += seconds
        lines = [_line(name, folders[name]) for name in BUDGETS_S if name in folders]
        slowest = sorted(self.seconds.items(), key=lambda pair: -pair[1])[:SLOWEST]
        return [
            *lines,
            f"The {len(slowest)} slowest:",
            *(f"{seconds:8.1f} s  {name}" for name, seconds in slowest),
        ]


def _line(folder: str, seconds: float) -> str:
    budget = BUDGETS_S[folder]
    if FULL:
        return f"{seconds:8.1f} s  {folder}"
    over = "   OVER BUDGET" if seconds > budget else ""
    return f"{seconds:8.1f} s of {budget:4d}  {folder}{over}"


def _folder(nodeid: str) -> str:
    """The folder below ``tests`` that a test lies in."""
    return nodeid.removeprefix(f"{FOLDERS.name}/").partition("/")[0]


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that shows the results adds up."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(), "time by folder")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files, and each group of :data:`TOGETHER` as if it were one."""
    from xdist.scheduler import LoadFileScheduling

    class FilesAndFolders(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            groups = (group for group in TOGETHER if nodeid.startswith(group))
            return next(groups, super()._split_scope(nodeid))

    return FilesAndFolders(config, log)
