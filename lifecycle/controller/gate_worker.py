"""Runs queued gate runs, one version at a time.

The registry leases gate runs, so any number of workers may run. A worker that dies leaves only
its lease, after which another starts anew: evidence is complete or absent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lifecycle.controller.follower import LeaseHeartbeat, LeaseLost
from lifecycle.domain.gate_queue import LEASE, Claim, ClaimAction, QueuedGates
from lifecycle.domain.ledger import Action
from lifecycle.domain.model import ModelRef
from lifecycle.errors import Conflict, LifecycleError, NotFound, Unavailable, UsageError
from lifecycle.gates.run import GateJob, GateResults, Progress
from lifecycle.promotion.gate_runner import GateRunner
from lifecycle.registry.contract import ModelRegistry

if TYPE_CHECKING:
    from lifecycle.domain.verdict import Evidence
    from lifecycle.gates.report import GateReport


_LOG = logging.getLogger(__name__)
_TAKEN_S = LEASE.total_seconds() / 4
_LONGEST_WAIT_S = 60.0


class Stopped(BaseException):
    """The worker was asked to end while it did what can be begun anew."""


@dataclass(frozen=True, slots=True)
class Done:
    """Result of one queued gate run.

    Attributes:
        outcome: Outcome of the gates; None without evidence.
        promoted: Whether the waiting promotion was completed.
        broke: Whether the gates could not be run.
        detail: Why there is no evidence, or why nothing was promoted.
        evidence_id, run_id: Ids of the evidence and of the MLflow run with the reports.
        seconds: Duration.
    """

    model: str
    version: int
    stage: str
    outcome: str | None = None
    promoted: bool = False
    broke: bool = False
    detail: str = ""
    evidence_id: str | None = None
    run_id: str | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self) | {"seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        outcome = f"{self.outcome} in {self.seconds:.1f} s" if self.outcome else "no verdict"
        said = "; ".join(part for part in (outcome, "promoted" if self.promoted else "", self.detail) if part)
        return f"models:/{self.model}/{self.version} for {self.stage}: {said}"


@dataclass
class GateWorker:
    """Takes queued gate runs and runs them.

    Attributes:
        name: Name shown by the registry.
        report: Called with each result.
        clock, sleep: Seconds, monotonic.
        jitter: A number between 0 and 1.
        renew_every_s: Seconds between renewals of its lease.
    """

    registry: ModelRegistry
    gate_runner: GateRunner
    name: str
    report: Callable[[Done], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = lambda: 1.0
    renew_every_s: float = _TAKEN_S
    _not_before: dict[tuple[str, int, str], float] = field(default_factory=dict)
    _stopping: bool = False
    _may_interrupt: bool = False

    def serve(self, every_s: float) -> None:
        """Run what is queued, then check every ``every_s`` seconds, until :meth:`stop`.

        While the registry does not answer, it is asked less often, down to once a minute.

        Raises:
            UsageError: the registry has no guard, so there is no queue.
        """
        wait_s, failed_s = 0.0, every_s
        with suppress(Stopped):
            while not self._stopping:
                with self._interruptible():
                    self.sleep(wait_s)
                try:
                    wait_s, failed_s = (0.0 if self.step() else every_s), every_s
                except Unavailable as exc:
                    wait_s = failed_s * (1 + self.jitter()) / 2
                    failed_s = min(2 * failed_s, max(_LONGEST_WAIT_S, every_s))
                    _LOG.warning("%s; asking again in %.0f s", exc, wait_s)

    def drain(self) -> bool:
        """Run everything that is queued now; returns whether all gates could be run."""
        sound = True
        with suppress(Stopped):
            while not self._stopping and (done := self.step()):
                sound = sound and not done.broke
        return sound

    def step(self) -> Done | None:
        """Run the gates of one version; None if nothing can be done now.

        Raises:
            Unavailable: the registry does not answer.
        """
        if not self.registry.guarded:
            raise UsageError(
                "this registry has no guard, so it has no queue of gate runs. Serve it with "
                "--registry-store-uri lifecycle+…"
            )
        now = self.clock()
        self._not_before = {key: then for key, then in self._not_before.items() if now < then}
        for gates in self.registry.queued():
            if self._stopping:
                break
            if _key(gates) in self._not_before:
                continue
            claim = Claim(f"{self.name}:{uuid4().hex[:8]}")
            if self._taken(gates, claim):
                done, report = self._run(gates, claim)
                self.report(done)
                if report is not None:
                    with self._interruptible():  # the evidence is valid without charts
                        self.gate_runner.explain(report)
                return done
        return None

    def stop(self) -> None:
        """End from a signal handler: at once, unless evidence is being delivered.

        Raises:
            Stopped: during work that can be repeated.
        """
        self._stopping = True
        if self._may_interrupt:
            self._may_interrupt = False
            raise Stopped

    def _taken(self, gates: QueuedGates, claim: Claim) -> bool:
        try:
            self.registry.claim(gates, claim)
        except (Conflict, NotFound) as exc:
            _LOG.debug("%s", exc)
            self._not_before[_key(gates)] = self.clock() + _TAKEN_S * (1 + self.jitter()) / 2
            return False
        return True

    def _run(self, gates: QueuedGates, claim: Claim) -> tuple[Done, GateReport | None]:
        """Run the gates of a claim. The result is reported to the registry, or the lease ends."""
        started = self.clock()
        done, report = Done(gates.model, gates.version, gates.stage), None
        try:
            report = self._judged(gates, claim)
        except LeaseLost as exc:
            done = replace(done, detail=str(exc))
        except Stopped:
            self._give_back(gates, replace(claim, action=ClaimAction.RELEASED))
            raise
        except Exception as exc:  # a model's libraries may raise anything
            ours = isinstance(exc, LifecycleError)
            _LOG.debug("no verdict", exc_info=True)
            reason = str(exc) if ours else f"internal error ({type(exc).__name__})"
            self._give_back(gates, replace(claim, action=ClaimAction.FAILED, reason=reason))
            done = replace(done, broke=True, detail=reason)
        else:
            done = self._with_result(done, report.evidence)
        return replace(done, seconds=self.clock() - started), report

    def _judged(self, gates: QueuedGates, claim: Claim) -> GateReport:
        heartbeat = LeaseHeartbeat(lambda: self.registry.claim(gates, claim), self.renew_every_s)
        with self._interruptible(), heartbeat as renewal:

            def run(job: GateJob, progress: Progress) -> GateResults:
                results = self.gate_runner.execute(job, progress)
                renewal.check()
                self._may_interrupt = False  # from here on evidence is delivered
                return results

            progress = Progress(lambda _: renewal.check(), lambda _: renewal.check())
            gate_runner = replace(self.gate_runner, execute=run, progress=progress)
            return gate_runner.judge(ModelRef(gates.model, version=gates.version), gates.stage)

    def _with_result(self, done: Done, evidence: Evidence) -> Done:
        done = replace(
            done, outcome=str(evidence.outcome), evidence_id=evidence.evidence_id, run_id=evidence.run_id
        )
        with suppress(LifecycleError):  # the result is recorded, even if it cannot be read now
            about = [
                e
                for e in self.registry.history(done.model)
                if (e.version, e.stage, e.evidence_id) == (done.version, done.stage, evidence.evidence_id)
            ]
            if about and about[-1].moved:
                return replace(done, promoted=True)
            if about and about[-1].action is Action.REFUSED:
                return replace(done, detail=about[-1].why)
        return done

    def _give_back(self, gates: QueuedGates, claim: Claim) -> None:
        """Return the gate run if the registry answers; else its lease ends by itself."""
        try:
            self.registry.claim(gates, claim)
        except LifecycleError as exc:
            _LOG.debug("not given back: %s", exc)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        self._may_interrupt = True
        try:
            if self._stopping:
                raise Stopped
            yield
        finally:
            self._may_interrupt = False


def _key(gates: QueuedGates) -> tuple[str, int, str]:
    return gates.model, gates.version, gates.stage
