"""The open gate runs of a registry in memory, by the same rule as the guard's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lifecycle.domain.gate_claim import QUEUED, Claim, Lease, QueuedGates, answer
from lifecycle.domain.promotion import Kind, PromotionRequest
from lifecycle.errors import NotFound


@dataclass(frozen=True, slots=True)
class _Open:
    actor: str
    request: PromotionRequest
    gates: QueuedGates
    lease: Lease = field(default_factory=Lease)


@dataclass
class MemoryQueue:
    """At most one open gate run for each version and stage."""

    _open: dict[tuple[str, int, str], _Open] = field(default_factory=dict)

    def add(self, request: PromotionRequest, stage: str, actor: str) -> None:
        """Queue a gate run, unless one is queued already."""
        key = (request.model, request.version, stage)
        self._open.setdefault(key, _Open(actor, request, QueuedGates(*key, QUEUED)))

    def all(self) -> Sequence[QueuedGates]:
        """Every open one."""
        return [run.gates for run in self._open.values()]

    def claim(self, gates: QueuedGates, claim: Claim, now: datetime) -> None:
        """Raises NotFound and Conflict, as the guard does."""
        key = (gates.model, gates.version, gates.stage)
        run = self._open.get(key)
        if run is None:
            raise NotFound(f"no gate run of version {gates.version} is queued for {gates.stage}")
        answered = answer(run.lease, claim, now)
        if answered.lease is None:
            del self._open[key]
        else:
            shown = replace(run.gates, shown=answered.shown)
            self._open[key] = replace(run, lease=answered.lease, gates=shown)
        if not answered.granted:
            raise NotFound(f"the gate run of version {gates.version} for {gates.stage} is given up")

    def finish(self, model: str, version: int, stage: str) -> tuple[PromotionRequest, str] | None:
        """Close a gate run whose evidence has come in; the promotion that waited for it, and whose it was."""
        run = self._open.pop((model, version, stage), None)
        if run is None:
            return None
        return replace(run.request, kind=Kind.PROMOTE, expected=None, key=""), run.actor
