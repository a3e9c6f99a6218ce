"""The two tiers: what each ``make test`` runs, and what only ``make proof`` does (``LIFECYCLE_PROOF=full``).

A long test runs in ``make test`` with smaller numbers (:func:`rounds`) or a few of its cases (:func:`some`). Where
that would show nothing it is marked ``proof`` and runs in ``make proof`` alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

FULL = os.environ.get("LIFECYCLE_PROOF") == "full"


def rounds(full: int, usual: int) -> int:
    """``full`` in ``make proof``, else ``usual``."""
    return full if FULL else usual


def some(cases: Iterable[Any], *often: Any) -> list[Any]:
    """All cases as parameters; those that are not among ``often`` are for ``make proof`` alone."""
    tuples = [(case, case if isinstance(case, tuple) else (case,)) for case in cases]
    return [case if case in often else pytest.param(*values, marks=pytest.mark.proof) for case, values in tuples]
