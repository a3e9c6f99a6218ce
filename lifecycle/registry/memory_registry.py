"""A registry in memory, for tests and experiments. It passes the registry contract."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from lifecycle.domain.deployment import RELEASED, apply_lease
from lifecycle.domain.gate_queue import QUEUED, Claim, Lease, QueuedGates, WaitingPromotion, apply_claim
from lifecycle.domain.ledger import UNAUTHENTICATED, LedgerEntry
from lifecycle.domain.model import ModelRef, ModelState, ModelVersion, Snapshot, TrackedData, check_model_name
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.promotion.request import (
    ApprovalRequest,
    PromotionContext,
    PromotionRequest,
    RequestKind,
    StageRequest,
)
from lifecycle.domain.promotion.transition import Transition, carry_out, complete, transition
from lifecycle.domain.text import sha256_of
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import NotFound, NotTrusted, PromotionRefused, unknown
from lifecycle.registry.contract import version_meant
from lifecycle.registry.snapshot import SnapshotStore, digest_of


class MemoryRegistry:
    """Models by name in memory, with one lock around every write."""

    guarded = True

    def __init__(self, snapshots: SnapshotStore, policies: PolicyBook, clock: Callable[[], datetime]) -> None:
        self._snapshots = snapshots
        self._policies = policies
        self._clock = clock
        self._lock = threading.Lock()
        self._versions: dict[str, list[ModelVersion]] = {}
        self._files: dict[tuple[str, int], Path] = {}
        self._tracked: dict[str, TrackedData] = {}
        self._evidence: dict[str, list[Evidence]] = {}
        self._ledger: dict[str, list[LedgerEntry]] = {}
        self._authors: dict[tuple[str, int], str] = {}
        self._queue = MemoryQueue()
        self._leases: dict[tuple[str, str], str] = {}
        self.actor = UNAUTHENTICATED
        """The signed-in user; None until it is set."""
        self.may_override = False
        """Whether the client has a key with the override permission."""
        self.documents: dict[str, dict[str, str]] = {}
        """Published reports, by evidence id."""

    def add(self, model: str, folder: Path, tracked: TrackedData | None = None) -> ModelVersion:
        """Register the next version of a model, whose files are (and stay) in ``folder``."""
        with self._lock:
            versions = self._versions.setdefault(check_model_name(model), [])
            number = len(versions) + 1
            run_id = f"{model}-{number}" if tracked else None
            version = ModelVersion(
                model, number, run_id=run_id, created_at_ms=int(self._clock().timestamp() * 1000)
            )
            versions.append(version)
            self._files[model, number] = folder
            if self.actor != UNAUTHENTICATED:
                self._authors[model, number] = self.actor
            if run_id and tracked:
                self._tracked[run_id] = tracked
            return version

    def get(self, ref: ModelRef) -> ModelVersion:
        """The version that ``ref`` means now."""
        return version_meant(ref, self.versions(ref.name), self._policies.of(ref.name))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """All versions, oldest first."""
        if model not in self._versions:
            raise NotFound(unknown("model", model, self._versions))
        return tuple(self._versions[model])

    def snapshot(self, version: ModelVersion, digest: str | None = None) -> Snapshot:
        """An immutable local copy of the version's files."""
        source = self._files[version.model, version.version]
        copy = partial(shutil.copytree, source, symlinks=True, dirs_exist_ok=True)
        return self._snapshots.obtain(version.uri, copy, digest)

    def fetched(self, version: ModelVersion) -> Snapshot:
        """A snapshot without downloading, if it is here."""
        return self.snapshot(version)

    def tracked(self, version: ModelVersion) -> TrackedData | None:
        """What ``lifecycle.track()`` logged with the training run, or None."""
        return self._tracked.get(version.run_id or "")

    def publish(self, evidence: Evidence, documents: Mapping[str, str]) -> Evidence:
        """Record evidence."""
        self.get(ModelRef(evidence.model, version=evidence.version))
        with self._lock:
            self._evidence.setdefault(evidence.model, []).append(evidence)
            self.documents[evidence.evidence_id] = dict(documents)
            self._complete(evidence)
        return evidence

    def attach(self, evidence: Evidence, documents: Mapping[str, str]) -> None:
        """Add reports to the MLflow run of published evidence."""
        with self._lock:
            self.documents[evidence.evidence_id] |= documents

    def evidence(self, version: ModelVersion) -> Sequence[Evidence]:
        """The newest evidence of each stage, for display."""
        return self._shown(version.model, version.version)

    def promote(self, request: PromotionRequest) -> LedgerEntry:
        """Move a version to a stage, once."""
        self.get(ModelRef(request.model, version=request.version))
        with self._lock:
            if request.kind is RequestKind.OVERRIDE and not self.may_override:
                raise NotTrusted("no key that may override has signed it")
            found = self._carry_out(request, self.actor)
        if found.refused:
            raise PromotionRefused(found.entry.detail)
        return found.entry

    def approve(self, version: ModelVersion, stage: str, reason: str) -> LedgerEntry:
        """Approve a version for a stage as the authenticated user."""
        with self._lock:
            request = ApprovalRequest(version.model, version.version, stage, reason)
            return self._carry_out(request, self.actor).entry

    def history(self, model: str) -> Sequence[LedgerEntry]:
        """The model's ledger, oldest first."""
        self.versions(model)
        return tuple(self._ledger.get(model, ()))

    def models(self) -> Sequence[str]:
        """Names of the most recently changed models."""
        return tuple(self._versions)[-100:]

    def state(self, model: str) -> ModelState:
        """Versions and history of a model at one moment."""
        with self._lock:
            return ModelState(model, self.versions(model), self.history(model), lambda v: self._shown(model, v))

    def etag(self, model: str) -> str:
        """Change token of :meth:`state`."""
        state = self.state(model)
        return sha256_of([[v.version, v.stage, v.aliases] for v in state.versions] + [len(state.history)])

    def verify(self, version: ModelVersion, move: LedgerEntry) -> None:
        """Accept any entry of the ledger, since only this object writes it."""
        if move not in self._ledger.get(version.model, ()):
            raise NotTrusted(f"what put version {version.version} of {version.model} into {move.stage} is forged")

    def queued(self) -> Sequence[QueuedGates]:
        """Open gate runs."""
        return self._queue.all()

    def hold_lease(self, model: str, scope: str, holder: str) -> None:
        """Take or renew a follower's lease."""
        self._lease(model, scope, holder)

    def release_lease(self, model: str, scope: str, holder: str) -> None:
        """Release a follower's lease."""
        self._lease(model, scope, f"{holder} {RELEASED}")

    def _lease(self, model: str, scope: str, said: str) -> None:
        self.versions(model)
        with self._lock:
            kept = self._leases.get((model, scope), "")
            self._leases[model, scope] = apply_lease(kept, said, self._clock())

    def claim(self, gates: QueuedGates, claim: Claim) -> None:
        """Take, keep or return a gate run as a worker."""
        with self._lock:
            self._queue.claim(gates, claim, self._clock())

    def _shown(self, model: str, version: int) -> Sequence[Evidence]:
        newest = {e.stage: e for e in self._evidence.get(model, ()) if e.version == version}
        return [newest[stage] for stage in sorted(newest)]

    def _carry_out(self, request: StageRequest, actor: str) -> Transition:
        """Decide about a request and write its effects; the answer has the entry as the ledger has it."""
        policies = self._policies.of(request.model)
        found = transition(self._context(request), request, policies, actor, self._clock())
        return replace(found, entry=carry_out(found, _MemoryExecutor(self, request.model)))

    def _complete(self, evidence: Evidence) -> None:
        """Close the gate run of this evidence, and promote if the policy says so."""
        policies = self._policies.of(evidence.model)
        waiting = self._queue.finish(evidence.model, evidence.version, policies.stage(evidence.stage).name)
        if waiting:
            found = complete(self._context(waiting.request), waiting, evidence.outcome, policies, self._clock())
            if found:
                carry_out(found, _MemoryExecutor(self, evidence.model))

    def _context(self, request: StageRequest) -> PromotionContext:
        policies = self._policies.of(request.model)
        versions, ledger = self._versions[request.model], tuple(self._ledger.get(request.model, ()))
        aliases = {alias: v.version for v in versions for alias in v.aliases}
        place, key = (request.model, request.version), getattr(request, "key", "")
        wanted = (request.version, policies.stage(request.stage).name)
        return PromotionContext(
            evidence=[e for e in self._evidence.get(request.model, ()) if (e.version, e.stage) == wanted],
            ledger=ledger,
            holders=policies.holders(((v.version, v.stage) for v in versions), aliases),
            aliases=aliases,
            digest=digest_of(self._files[place]),
            author=self._authors.get(place),
            earlier=next((e for e in ledger if key and e.key == key), None),
        )

    def _change(self, model: str, change: Callable[[ModelVersion], ModelVersion]) -> None:
        self._versions[model] = [change(version) for version in self._versions[model]]


@dataclass(frozen=True, slots=True)
class _MemoryExecutor:
    """Writes a transition's effects into a registry's lists, under its lock."""

    registry: MemoryRegistry
    model: str

    def place(self, version: int, stage: str) -> None:
        def change(held: ModelVersion) -> ModelVersion:
            if held.version == version:
                return replace(held, stage=stage)
            return replace(held, stage="Archived") if held.stage == stage else held

        self.registry._change(self.model, change)

    def point(self, alias: str, version: int | None) -> None:
        def change(held: ModelVersion) -> ModelVersion:
            others = tuple(name for name in held.aliases if name != alias)
            return replace(held, aliases=(*others, alias) if held.version == version else others)

        self.registry._change(self.model, change)

    def enqueue(self, request: PromotionRequest, actor: str) -> None:
        stage = self.registry._policies.of(self.model).stage(request.stage).name
        self.registry._queue.add(request, stage, actor)

    def append(self, entry: LedgerEntry) -> LedgerEntry:
        ledger = self.registry._ledger.setdefault(self.model, [])
        ledger.append(entry.chained(ledger[-1] if ledger else None))
        return ledger[-1]

    def show(self, entry: LedgerEntry, signed: str) -> None:
        """There are no tags: the ledger is what is shown."""


@dataclass(frozen=True, slots=True)
class _Open:
    actor: str
    request: PromotionRequest
    gates: QueuedGates
    lease: Lease = field(default_factory=Lease)


@dataclass
class MemoryQueue:
    """At most one open gate run per version and stage."""

    _open: dict[tuple[str, int, str], _Open] = field(default_factory=dict)

    def add(self, request: PromotionRequest, stage: str, actor: str) -> None:
        """Queue a gate run, unless one is queued already."""
        key = (request.model, request.version, stage)
        self._open.setdefault(key, _Open(actor, request, QueuedGates(*key, QUEUED)))

    def all(self) -> Sequence[QueuedGates]:
        """All open gate runs."""
        return [run.gates for run in self._open.values()]

    def claim(self, gates: QueuedGates, claim: Claim, now: datetime) -> None:
        """Apply a worker's report. Raises NotFound and Conflict, as the guard does."""
        key = (gates.model, gates.version, gates.stage)
        run = self._open.get(key)
        if run is None:
            raise NotFound(f"no gate run of version {gates.version} is queued for {gates.stage}")
        answered = apply_claim(run.lease, claim, now)
        if answered.lease is None:
            del self._open[key]
        else:
            shown = replace(run.gates, shown=answered.shown)
            self._open[key] = replace(run, lease=answered.lease, gates=shown)
        if not answered.granted:
            raise NotFound(f"the gate run of version {gates.version} for {gates.stage} is given up")

    def finish(self, model: str, version: int, stage: str) -> WaitingPromotion | None:
        """Close a gate run whose evidence has come in; returns the promotion that waited for it."""
        run = self._open.pop((model, version, stage), None)
        return WaitingPromotion(run.request, run.actor) if run else None
