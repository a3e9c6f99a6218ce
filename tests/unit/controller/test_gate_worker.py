"""What refused promotions wait for is run once, by one worker at a time, whatever happens to the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.controller.follower import LeaseHeartbeat, LeaseLost
from lifecycle.controller.gate_worker import Done, GateWorker, Stopped
from lifecycle.domain.gate_queue import LEASE, MOST_STARTS, Claim, QueuedGates
from lifecycle.domain.ledger import Action
from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import GateSpec, ModelPolicy, OnMissing, PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.errors import Conflict, NotFound, PromotionRefused, Unavailable
from lifecycle.gates.run import GateJob, GateResults, Progress
from lifecycle.processes.process import wait_until
from lifecycle.promotion.gate_runner import GateRunner
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.snapshot import SnapshotStore

GATES = (GateSpec("signature"),)
STAGING = StagePolicy("staging", "Staging", GATES, on_missing=OnMissing.ENQUEUE)
PRODUCTION = StagePolicy(
    "production", "Production", GATES, alias="champion", on_missing=OnMissing.ENQUEUE, auto_promote=True
)
POLICIES = PolicyBook(ModelPolicy((STAGING, PRODUCTION)))


class FlakyRegistry(MemoryRegistry):
    """A registry that does not answer for as many questions as ``down_for`` says."""

    down_for = 0

    def queued(self):
        if self.down_for:
            self.down_for -= 1
            raise Unavailable("no MLflow server answers")
        return super().queued()


@dataclass
class Scene:
    """A registry with versions 1 to 3 of wine, whose clock the test moves, and workers that ask it."""

    registry: FlakyRegistry
    now: list[datetime]
    done: list[Done] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    outcome: Outcome = Outcome.PASSED
    meanwhile: Callable[[], object] = lambda: None
    policies: PolicyBook = POLICIES

    def run(self, job: GateJob, progress: Progress) -> GateResults:
        """Stands for the process in which gates run."""
        progress.on_start("signature")
        self.meanwhile()
        verdict = Verdict("signature", self.outcome, "signature.x", "as the test says")
        progress.on_verdict(verdict)
        return GateResults((verdict,), {})

    def worker(self, name: str = "w", **kwargs) -> GateWorker:
        gate_runner = GateRunner(self.registry, self.policies, self.run, lambda: self.now[0], "worker")
        return GateWorker(
            self.registry,
            gate_runner,
            name,
            self.done.append,
            clock=self._seconds,
            sleep=self.waits.append,
            **kwargs,
        )

    def ask(self, version: int = 1, stage: str = "production") -> None:
        with pytest.raises(PromotionRefused):
            self.registry.promote(PromotionRequest("wine", version, stage, requested_by="ada"))

    def later(self, by: timedelta) -> None:
        self.now[0] += by

    def stage_of(self, version: int) -> str:
        return self.registry.get(ModelRef("wine", version=version)).stage

    def shown(self) -> list[str]:
        return [gates.shown for gates in self.registry.queued()]

    def _seconds(self) -> float:
        return self.now[0].timestamp()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    now = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    registry = FlakyRegistry(SnapshotStore(tmp_path / "snapshots"), POLICIES, lambda: now[0])
    for number in (1, 2, 3):
        folder = tmp_path / f"version-{number}"
        folder.mkdir()
        (folder / "weights").write_bytes(bytes([number]))
        registry.add("wine", folder)
    return Scene(registry, now)


# What comes of it


def test_nothing_queued_is_nothing_done(scene):
    assert scene.worker().step() is None
    assert scene.worker().drain()
    assert scene.done == []


def test_a_refused_promotion_is_completed_in_the_name_of_who_asked(scene):
    scene.registry.actor = "ada"
    scene.ask()
    scene.registry.actor = "worker"
    assert scene.worker().drain()
    assert scene.stage_of(1) == "Production"
    entries = scene.registry.history("wine")
    assert [(e.action, e.actor) for e in entries] == [(Action.REFUSED, "ada"), (Action.PROMOTED, "ada")]
    (done,) = scene.done
    assert (done.version, done.outcome, done.promoted) == (1, "PASSED", True)
    assert done.evidence_id == entries[-1].evidence_id
    assert str(done).startswith("models:/wine/1 for production: PASSED in ")


def test_gates_that_do_not_pass_promote_nothing_and_are_not_run_again(scene):
    scene.ask()
    scene.outcome = Outcome.FAILED
    assert scene.worker().drain()
    assert scene.stage_of(1) == "None"
    assert [(d.outcome, d.promoted) for d in scene.done] == [("FAILED", False)]
    assert scene.shown() == []


def test_without_auto_promote_the_version_stays_and_a_second_try_goes_through(scene):
    scene.ask(stage="staging")
    scene.worker().drain()
    assert scene.stage_of(1) == "None"
    assert [(d.outcome, d.promoted) for d in scene.done] == [("PASSED", False)]
    assert scene.registry.promote(PromotionRequest("wine", 1, "staging")).action is Action.PROMOTED


def test_everything_queued_is_run(scene):
    for version in (1, 2, 3):
        scene.ask(version)
    assert scene.worker().drain()
    assert [d.version for d in scene.done] == [1, 2, 3]
    assert scene.shown() == []


def test_evidence_that_does_not_count_at_the_registry_ends_the_gate_run_all_the_same(scene):
    """A worker with another policy than the registry's: else it would go round for ever."""
    scene.ask()
    other = replace(PRODUCTION, gates=(*GATES, GateSpec("safety")))
    scene.policies = PolicyBook(ModelPolicy((other,)))
    assert scene.worker().drain()
    (done,) = scene.done
    assert (done.promoted, scene.shown()) == (False, [])


# Two workers


def test_two_workers_never_run_the_same(scene):
    scene.ask(1)
    scene.ask(2)
    first, second = scene.worker("first"), scene.worker("second")
    scene.meanwhile = lambda: setattr(scene, "meanwhile", lambda: None) or second.drain()
    first.drain()
    assert sorted(d.version for d in scene.done) == [1, 2]


def test_what_another_worker_has_is_left_alone_until_its_lease_is_over(scene):
    scene.ask()
    (gates,) = scene.registry.queued()
    scene.registry.claim(gates, Claim("killed:1"))
    worker = scene.worker()
    assert worker.step() is None
    scene.later(LEASE - timedelta(seconds=1))
    assert worker.step() is None
    scene.later(timedelta(minutes=1))
    assert worker.step().promoted


def test_a_busy_gate_run_is_not_asked_for_at_every_look(scene):
    scene.ask()
    (gates,) = scene.registry.queued()
    scene.registry.claim(gates, Claim("busy:1"))
    asked = []
    claim = scene.registry.claim
    scene.registry.claim = lambda *args: asked.append(args) or claim(*args)
    worker = scene.worker()
    for _ in range(20):
        worker.step()
        scene.later(timedelta(seconds=1))
    assert len(asked) == 1


# Keeping it


def test_the_lease_is_renewed_while_a_gate_takes_its_time(scene):
    scene.ask()
    rival = scene.worker("rival")

    def hang() -> None:
        """For longer than a lease, by the registry's clock; the rival looks all the time."""
        for _ in range(3):
            scene.later(LEASE / 2)
            wait_until(lambda: _renewed(scene), 30, "the lease is renewed")
            assert rival.step() is None

    scene.meanwhile = hang
    assert scene.worker(renew_every_s=0.01).step().promoted


def _renewed(scene: Scene) -> bool:
    """Whether the lease ends a whole lease from now."""
    (run,) = scene.registry._queue._open.values()
    return run.lease.until == scene.now[0] + LEASE


def test_a_worker_that_lost_its_lease_hands_in_nothing(scene):
    scene.ask()

    claim, sleeping = scene.registry.claim, threading.Event()

    def unless_asleep(gates: QueuedGates, said: Claim) -> None:
        if sleeping.is_set() and said.run.startswith("asleep"):
            raise Unavailable("the whole machine sleeps")
        claim(gates, said)

    def sleep_too_long() -> None:
        scene.meanwhile = lambda: None
        sleeping.set()
        scene.later(LEASE)
        assert scene.worker("awake").step().promoted
        sleeping.clear()
        wait_until(lambda: not _alive("lease"), 30, "the sleeper has learnt that its lease is lost")

    scene.registry.claim, scene.meanwhile = unless_asleep, sleep_too_long
    done = scene.worker("asleep", renew_every_s=0.01).step()
    assert (done.outcome, done.broke, done.promoted) == (None, False, False)
    assert "no gate run of version 1 is queued" in done.detail
    assert len(scene.registry.evidence(scene.registry.get(ModelRef("wine", version=1)))) == 1


def _alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_a_registry_that_is_away_for_a_moment_costs_no_lease():
    gates, answers = QueuedGates("wine", 1, "production", ""), iter([Unavailable("away"), None, Conflict("gone")])
    told = []

    class Registry:
        def claim(self, *claim):
            told.append(claim)
            answer = next(answers)
            if answer is not None:
                raise answer

    with LeaseHeartbeat(lambda: Registry().claim(gates, Claim("w:1")), 0.001) as renewal:
        wait_until(lambda: len(told) >= 2, 30, "it was asked twice")
        wait_until(lambda: len(told) == 3 and not _alive("lease"), 30, "the claim is lost")
        with pytest.raises(LeaseLost, match="gone"):
            renewal.check()


# What goes wrong


def test_gates_that_cannot_be_run_are_reported_on_the_version_and_given_up_in_the_end(scene):
    scene.ask()

    def broken() -> None:
        raise NotFound("july.parquet: no such file")

    scene.meanwhile = broken
    worker = scene.worker()
    for number in (1, 2):
        assert not worker.drain()
        assert scene.shown() == [f"QUEUED, could not be run ({number} of 3 tries): july.parquet: no such file"]
        assert worker.step() is None
        scene.later(LEASE)
    assert not worker.drain()
    assert scene.shown() == []
    assert len(scene.done) == MOST_STARTS
    assert all(d.broke and d.detail == "july.parquet: no such file" for d in scene.done)
    scene.meanwhile = lambda: None
    scene.ask()
    assert worker.drain()
    assert scene.stage_of(1) == "Production"


def test_one_that_cannot_be_run_holds_up_no_other(scene):
    for version in (1, 2):
        scene.ask(version)

    def broken() -> None:
        scene.meanwhile = lambda: None
        raise RuntimeError("a library's own error, which may quote a row")

    scene.meanwhile = broken
    assert not scene.worker().drain()
    assert [(d.version, d.detail) for d in scene.done] == [(1, "internal error (RuntimeError)"), (2, "")]


def test_a_version_without_attempts_left_says_so(scene):
    scene.policies = PolicyBook(ModelPolicy((replace(PRODUCTION, max_attempts=1),)))
    scene.ask()
    scene.outcome = Outcome.FAILED
    scene.worker().drain()
    scene.later(timedelta(days=8))
    scene.ask()
    assert not scene.worker().drain()
    assert "max_attempts is 1" in scene.done[-1].detail


def test_a_registry_that_is_away_is_asked_less_and_less_often_and_then_as_before(scene):
    scene.registry.down_for = 6
    worker = scene.worker()
    worker.sleep = lambda s: (scene.waits.append(s), len(scene.waits) == 9 and worker.stop())
    worker.serve(5.0)
    assert scene.waits == [0.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 5.0, 5.0]


def test_workers_do_not_come_back_all_at_once(scene):
    scene.registry.down_for = 1
    worker = scene.worker(jitter=lambda: 0.0)
    worker.sleep = lambda s: (scene.waits.append(s), len(scene.waits) == 2 and worker.stop())
    worker.serve(5.0)
    assert scene.waits == [0.0, 2.5]


# Stopping


def test_told_to_stop_while_gates_run_it_gives_the_gate_run_back_at_once(scene):
    scene.ask()
    worker = scene.worker()
    scene.meanwhile = worker.stop
    worker.serve(5.0)
    assert scene.done == []
    assert scene.shown() == ["QUEUED"]
    scene.meanwhile = lambda: None
    assert scene.worker("next").step().promoted


def test_told_to_stop_while_evidence_is_handed_in_it_finishes_that(scene):
    scene.ask(1)
    scene.ask(2)
    worker = scene.worker()
    publish = scene.registry.publish
    scene.registry.publish = lambda *args: worker.stop() or publish(*args)
    worker.serve(5.0)
    assert [(d.version, d.promoted) for d in scene.done] == [(1, True)]
    assert scene.shown() == ["QUEUED"]


def test_told_to_stop_while_it_waits_it_stops(scene):
    worker = scene.worker()
    worker.sleep = lambda _: worker.stop()
    worker.serve(5.0)
    with pytest.raises(Stopped):
        worker._judged(QueuedGates("wine", 1, "production", ""), Claim("w:1"))


@pytest.mark.parametrize("point", ["claim", "state", "fetched", "publish"])
def test_killed_at_any_point_another_worker_brings_it_to_the_same_end(scene, point):
    """A worker that is killed says nothing more: so the registry does not hear its last words either."""
    scene.ask()
    step = getattr(scene.registry, point)

    class Killed(BaseException):
        pass

    def killed(*args):
        answer = step(*args) if point == "claim" else None
        scene.registry.claim = lambda *_: None
        raise Killed(answer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene.registry, "claim", scene.registry.claim)
        patch.setattr(scene.registry, point, killed)
        with pytest.raises(Killed):
            scene.worker("killed").step()
    assert scene.worker("early").step() is None
    scene.later(LEASE)
    assert scene.worker("next").step().promoted
    assert scene.stage_of(1) == "Production"
    assert [e.action for e in scene.registry.history("wine")] == [Action.REFUSED, Action.PROMOTED]
