"""A registry in this process's memory, for tests and for trying things out. Passes the same contract."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from lifecycle.domain.canonical import sha256_of
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.follower_lease import RELEASED, apply_lease
from lifecycle.domain.gate_queue import QUEUED, Claim, Lease, QueuedGates, apply_claim
from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.model import ModelRef, ModelState, ModelVersion, Snapshot, TrackedData, check_model_name
from lifecycle.domain.policy import OnMissing, PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.domain.promotion.transition import Transition, approval, chained, rule
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import NotFound, NotTrusted, PromotionRefused, unknown
from lifecycle.registry.resolve import version_meant
from lifecycle.registry.snapshot import SnapshotStore, digest_of


class MemoryRegistry:
    """Models by name, each a list of versions; one lock around every write."""

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
        """Who is signed in: nobody, until somebody says so here."""
        self.may_override = False
        """Whether whoever asks has a key that may override."""
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
        """See the contract."""
        return version_meant(ref, self.versions(ref.name), self._policies.of(ref.name))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """See the contract."""
        if model not in self._versions:
            raise NotFound(unknown("model", model, self._versions))
        return tuple(self._versions[model])

    def snapshot(self, version: ModelVersion, digest: str | None = None) -> Snapshot:
        """See the contract."""
        source = self._files[version.model, version.version]
        return self._snapshots.obtain(version.uri, lambda folder: _copy(source, folder), digest)

    def tracked(self, version: ModelVersion) -> TrackedData | None:
        """See the contract."""
        return self._tracked.get(version.run_id or "")

    def publish(self, evidence: Evidence, documents: Mapping[str, str]) -> Evidence:
        """See the contract."""
        self.get(ModelRef(evidence.model, version=evidence.version))
        with self._lock:
            self._evidence.setdefault(evidence.model, []).append(evidence)
            self.documents[evidence.evidence_id] = dict(documents)
            self._complete(evidence)
        return evidence

    def attach(self, evidence: Evidence, documents: Mapping[str, str]) -> None:
        """See the contract."""
        with self._lock:
            self.documents[evidence.evidence_id] |= documents

    def evidence(self, version: ModelVersion) -> Sequence[Evidence]:
        """See the contract."""
        own = (e for e in self._evidence.get(version.model, ()) if e.version == version.version)
        newest = {evidence.stage: evidence for evidence in own}
        return [newest[stage] for stage in sorted(newest)]

    def promote(self, request: PromotionRequest) -> LedgerEntry:
        """See the contract."""
        policy = self._policies.of(request.model).stage(request.stage)
        self.get(ModelRef(request.model, version=request.version))
        with self._lock:
            if request.kind is RequestKind.OVERRIDE and not self.may_override:
                raise NotTrusted("no key that may override has signed it")
            entry = self._promote(request, policy, self.actor)
        if entry.action is Action.REFUSED:
            raise PromotionRefused(entry.detail)
        return entry

    def approve(self, version: ModelVersion, stage: str, reason: str) -> LedgerEntry:
        """See the contract."""
        policy = self._policies.of(version.model).stage(stage)
        request = PromotionRequest(version.model, version.version, policy.name, reason=reason)
        with self._lock:
            context = self._context(request, policy)
            return self._append(approval(request, policy, context, self.actor, self._clock()))

    def history(self, model: str) -> Sequence[LedgerEntry]:
        """See the contract."""
        self.versions(model)
        return tuple(self._ledger.get(model, ()))

    def models(self) -> Sequence[str]:
        """See the contract."""
        return tuple(self._versions)[-100:]

    def state(self, model: str) -> ModelState:
        """See the contract."""
        with self._lock:
            return ModelState(model, self.versions(model), self.history(model))

    def etag(self, model: str) -> str:
        """See the contract."""
        state = self.state(model)
        return sha256_of([[v.version, v.stage, v.aliases] for v in state.versions] + [len(state.history)])

    def verify(self, version: ModelVersion, move: LedgerEntry) -> None:
        """See the contract. Nobody but this object writes the ledger, so an entry of it is proof enough."""
        if move not in self._ledger.get(version.model, ()):
            raise NotTrusted(f"what put version {version.version} of {version.model} into {move.stage} is forged")

    def queued(self) -> Sequence[QueuedGates]:
        """See the contract."""
        return self._queue.all()

    def hold_lease(self, model: str, scope: str, holder: str) -> None:
        """See the contract."""
        self._lease(model, scope, holder)

    def release_lease(self, model: str, scope: str, holder: str) -> None:
        """See the contract."""
        self._lease(model, scope, f"{holder} {RELEASED}")

    def _lease(self, model: str, scope: str, said: str) -> None:
        self.versions(model)
        with self._lock:
            kept = self._leases.get((model, scope), "")
            self._leases[model, scope] = apply_lease(kept, said, self._clock())

    def claim(self, gates: QueuedGates, claim: Claim) -> None:
        """See the contract."""
        with self._lock:
            self._queue.claim(gates, claim, self._clock())

    def _promote(self, request: PromotionRequest, policy: StagePolicy, actor: str) -> LedgerEntry:
        ruling = self._ruling(request, policy, actor)
        if ruling.unjudged and policy.on_missing is OnMissing.ENQUEUE:
            self._queue.add(request, policy.name, actor)
        return self._append(ruling.entry) if ruling.is_new else ruling.entry

    def _complete(self, evidence: Evidence) -> None:
        """Close the gate run whose evidence this is, and promote where the policy says so."""
        policy = self._policies.of(evidence.model).stage(evidence.stage)
        waiting = self._queue.finish(evidence.model, evidence.version, policy.name)
        if waiting and policy.auto_promote and evidence.outcome is Outcome.PASSED:
            request, actor = waiting
            ruling = self._ruling(request, policy, actor)
            if ruling.is_new:
                self._append(ruling.entry)

    def _ruling(self, request: PromotionRequest, policy: StagePolicy, actor: str) -> Transition:
        context = self._context(request, policy)
        earlier = next((e for e in context.ledger if request.key and e.key == request.key), None)
        ruling = rule(request, policy, context, actor, self._clock(), earlier)
        if ruling.places:
            self._place(request, policy)
        return ruling

    def _context(self, request: PromotionRequest, policy: StagePolicy) -> PromotionContext:
        key = (request.model, request.version)
        return PromotionContext(
            evidence=self._evidence_for(request, policy),
            ledger=tuple(self._ledger.get(request.model, ())),
            holder=self._holder(request.model, policy),
            digest=digest_of(self._files[key]),
            author=self._authors.get(key),
        )

    def _append(self, entry: LedgerEntry) -> LedgerEntry:
        ledger = self._ledger.setdefault(entry.model, [])
        ledger.append(chained(entry, ledger[-1] if ledger else None))
        return ledger[-1]

    def _evidence_for(self, request: PromotionRequest, policy: StagePolicy) -> list[Evidence]:
        wanted = (request.version, policy.name)
        return [e for e in self._evidence.get(request.model, ()) if (e.version, e.stage) == wanted]

    def _holder(self, model: str, policy: StagePolicy) -> int | None:
        return next((v.version for v in self._versions[model] if v.stage == policy.stage), None)

    def _place(self, request: PromotionRequest, entered: StagePolicy) -> None:
        """The version enters the stage, its holder is archived, and each alias follows its stage."""
        alias_of = {p.stage: p.alias for p in self._policies.of(request.model).stages if p.alias}
        moved = []
        for version in self._versions[request.model]:
            stage = version.stage
            if version.version == request.version:
                stage = entered.stage
            elif stage == entered.stage:
                stage = "Archived"
            aliases = (alias_of[stage],) if stage in alias_of else ()
            moved.append(replace(version, stage=stage, aliases=aliases))
        self._versions[request.model] = moved


def _copy(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)


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
        answered = apply_claim(run.lease, claim, now)
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
        return replace(run.request, kind=RequestKind.PROMOTE, expected=None, key=""), run.actor
