"""Great Expectations suites as plain JSON, and results of expectations. Imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from lifecycle.errors import NotFound, UsageError

Suite = dict[str, Any]
Expectation = Mapping[str, Any]
TABLE = "table"
"""Subject of an expectation that names no column."""
HOW_TO_RUN = {"batch_id", "result_format", "catch_exceptions", "include_config"}
"""Arguments that Great Expectations leaves in a suite and that are not part of the expectation."""
_MOST_BYTES = 16 << 20
_COLUMNS = ("column", "column_A", "column_B")


def read_suite(path: Path) -> Suite:
    """The suite in a file, as Great Expectations 1.x writes it.

    Raises:
        NotFound: no such file.
        UsageError: it cannot be read, or is not a suite.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as exc:
        raise NotFound(f"{path}: no such file") from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        raise UsageError(f"{path}: cannot be read ({reason})") from exc
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{path}: larger than 16 MB, which no suite is")
    try:
        suite = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{path}: not a JSON file") from exc
    try:
        expectations_of(suite)
    except UsageError as exc:
        raise UsageError(f"{path}: {exc}") from exc
    return dict(suite)


def expectations_of(suite: object) -> Sequence[object]:
    """The expectations of a suite. Each may still be any JSON value. Raises UsageError if it is not a suite."""
    if not isinstance(suite, Mapping) or not isinstance(suite.get("expectations"), list):
        raise UsageError("not a Great Expectations suite: it needs a list of 'expectations'")
    expectations: list[object] = suite["expectations"]
    return expectations


def kwargs_of(expectation: object) -> Mapping[str, Any]:
    """An expectation's arguments; empty where it is malformed."""
    kwargs = expectation.get("kwargs") if isinstance(expectation, Mapping) else None
    return kwargs if isinstance(kwargs, Mapping) else {}


def columns_of(expectation: object) -> list[str]:
    """The columns that the expectation is about."""
    kwargs = kwargs_of(expectation)
    listed = kwargs.get("column_list")
    named = [kwargs.get(key) for key in _COLUMNS] + (listed if isinstance(listed, list) else [])
    return [name for name in named if isinstance(name, str)]


def subject_of(expectation: object) -> str:
    """The expectation's column or columns as text, or :data:`TABLE`."""
    return ", ".join(columns_of(expectation)) or TABLE


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


class ExpectationStatus(StrEnum):
    """Result of judging one expectation."""

    MET = "met"
    UNMET = "not met"
    VACUOUS = "met, for want of values"
    BROKE = "broke on these rows"
    UNREADABLE = "not readable"
    UNJUDGED = "needs all rows at once"


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One expectation and its result.

    Attributes:
        expectation: ``type`` and ``kwargs``; for an unreadable one, its raw content.
        details: Great Expectations' own ``result``: counts and shares. No row values.
        note: Why it is unreadable.
        sampled: Whether it was judged on a sample of the rows.
    """

    expectation: Expectation
    finding: ExpectationStatus
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    sampled: bool = False

    @property
    def subject(self) -> str:
        """The column or columns that it is about, or ``table``."""
        return subject_of(self.expectation)
