"""Two followers of one registry from two homes, and deployments that both of them see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.controller.follower import ScopeLeases
from lifecycle.controller.reconciler import Reconciler
from lifecycle.domain.deployment import FOLLOWER_LEASE
from lifecycle.targets.memory_target import MemoryTarget

STAGE = "models:/flights-delay/Production"


class SharedTarget(MemoryTarget):
    """A cluster, as far as followers can tell: its deployments are not in any home."""

    scope = "cluster-1"

    def __init__(self, context) -> None:
        super().__init__(context)
        self.deployed: list[int] = []

    def deploy(self, spec):
        self.deployed.append(spec.version)
        return super().deploy(spec)


class Clock:
    """Moves for both followers and for the registry alike."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._start = datetime.now(UTC)

    def seconds(self) -> float:
        return self.now_s

    def utc(self) -> datetime:
        return self._start + timedelta(seconds=self.now_s)


@pytest.fixture
def clock(world) -> Clock:
    clock = Clock()
    world.registry._clock = clock.utc
    return clock


@pytest.fixture
def cluster(world) -> SharedTarget:
    target = SharedTarget(world.context)
    world.targets["memory"] = target
    return target


@pytest.fixture
def followers(world, cluster, clock) -> list[Reconciler]:
    def follower(name: str) -> Reconciler:
        leases = ScopeLeases(world.registry, name, clock.seconds)
        return Reconciler(world.deployer, lambda: [cluster], leases, clock.seconds)

    return [follower("home-a:1"), follower("home-b:2")]


def run(followers, clock, seconds: int) -> None:
    """Each steps once a second."""
    for _ in range(seconds):
        clock.now_s += 1
        for follower in followers:
            follower.step()


def test_one_works_and_when_it_dies_the_other_takes_over_within_the_lease(world, cluster, followers, clock):
    world.promote(1)
    world.create(STAGE)
    run(followers, clock, 3)
    world.promote(2)
    run(followers, clock, 120)
    assert cluster.deployed == [1, 2]

    _, survivor = followers
    world.promote(1)
    died_s = clock.now_s
    while cluster.deployed == [1, 2]:
        run([survivor], clock, 1)
        assert clock.now_s - died_s <= FOLLOWER_LEASE.total_seconds() + 1
    run([survivor], clock, 60)
    assert cluster.deployed == [1, 2, 1]
    assert cluster.describe("flights").version == 1


def test_one_that_ends_in_order_leaves_the_work_to_the_other_at_once(world, cluster, followers, clock):
    world.promote(1)
    world.create(STAGE)
    run(followers, clock, 3)
    world.promote(2)
    followers[0].close()
    run(followers[1:], clock, 1)
    assert cluster.deployed == [1, 2]


def test_one_that_was_away_finds_the_work_taken_and_does_not_do_it_again(world, cluster, followers, clock, caplog):
    world.promote(1)
    world.create(STAGE)
    run(followers, clock, 3)
    run(followers[1:], clock, 60)
    world.promote(2)
    run(followers[:1], clock, 5)
    assert cluster.deployed == [1]
    assert "home-b:2 has the lease" in caplog.text
    run(followers, clock, 5)
    assert cluster.deployed == [1, 2]


def test_deployments_of_a_home_need_no_lease(world, clock):
    world.promote(1)
    world.create(STAGE)
    world.promote(2)
    world.reconciler().step()
    assert world.serving() == 2
    assert world.registry._leases == {}
