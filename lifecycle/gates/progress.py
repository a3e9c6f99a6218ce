"""Callbacks while gates run, and their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lifecycle.domain.charts import Explanation
from lifecycle.domain.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks: a gate starts, and a gate has given its verdict."""

    on_start: Callable[[str], object] = lambda _: None
    on_verdict: Callable[[Verdict], object] = lambda _: None


@dataclass(frozen=True, slots=True)
class GateResults:
    """The results of a gate run.

    Attributes:
        verdicts: One for each gate, in the order of the policy.
        data: Fingerprints of the data that was read, by role.
        explain: Makes the charts and pages, one explanation for each verdict. Slow; never raises.
    """

    verdicts: tuple[Verdict, ...]
    data: Mapping[str, str]
    explain: Callable[[], Sequence[Explanation]] = field(default=tuple, compare=False)
