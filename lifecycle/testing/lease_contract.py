"""Contract tests for a registry's leases. Inherit the class and supply its fixtures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lifecycle.domain.follower_lease import FOLLOWER_LEASE
from lifecycle.errors import Conflict, LifecycleError, NotFound
from lifecycle.registry.contract import FollowerLeases

Later = Callable[[float], None]


class FollowerLeaseContract:
    """Tests of the leases that decide which follower works.

    A subclass supplies these fixtures:

    - ``leases``: a registry with two registered models, ``wine`` and ``flights``.
    - ``later``: moves the clock that decides by so many seconds.
    """

    def test_one_has_it_and_the_others_are_told_who(self, leases: FollowerLeases) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        for _ in range(2):
            with pytest.raises(Conflict, match="ada:1"):
                leases.hold_lease("wine", "shop", "grace:2")
        leases.hold_lease("wine", "shop", "ada:1")

    def test_who_says_nothing_any_more_loses_it_and_the_next_one_keeps_it(
        self, leases: FollowerLeases, later: Later
    ) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        later(FOLLOWER_LEASE.total_seconds() - 5)
        with pytest.raises(Conflict):
            leases.hold_lease("wine", "shop", "grace:2")
        later(10)
        leases.hold_lease("wine", "shop", "grace:2")
        with pytest.raises(Conflict, match="grace:2"):
            leases.hold_lease("wine", "shop", "ada:1")

    def test_who_goes_on_keeps_it(self, leases: FollowerLeases, later: Later) -> None:
        for _ in range(5):
            leases.hold_lease("wine", "shop", "ada:1")
            later(FOLLOWER_LEASE.total_seconds() / 2)
            with pytest.raises(Conflict):
                leases.hold_lease("wine", "shop", "grace:2")

    def test_who_gives_it_back_leaves_it_to_the_next_at_once(self, leases: FollowerLeases) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        with pytest.raises(Conflict):
            leases.release_lease("wine", "shop", "grace:2")
        leases.release_lease("wine", "shop", "ada:1")
        leases.release_lease("wine", "shop", "ada:1")
        leases.hold_lease("wine", "shop", "grace:2")

    def test_every_model_and_every_scope_has_its_own(self, leases: FollowerLeases) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        leases.hold_lease("wine", "factory", "grace:2")
        leases.hold_lease("flights", "shop", "grace:2")

    def test_what_is_no_name_or_no_model_is_refused(self, leases: FollowerLeases) -> None:
        for name in ("", "two words", "x" * 101, "ada\n"):
            with pytest.raises(LifecycleError):
                leases.hold_lease("wine", "shop", name)
        with pytest.raises(NotFound):
            leases.hold_lease("beer", "shop", "ada:1")
