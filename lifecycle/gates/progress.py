"""Whom to tell while gates run, and what they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lifecycle.domain.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom to tell."""

    on_start: Callable[[str], object] = lambda _: None
    on_verdict: Callable[[Verdict], object] = lambda _: None


@dataclass(frozen=True, slots=True)
class GateResults:
    """What came of a gate run.

    Attributes:
        verdicts: One for each gate, in the order of the policy.
        data: Fingerprints of the data that was looked at, by role.
    """

    verdicts: tuple[Verdict, ...]
    data: Mapping[str, str]
