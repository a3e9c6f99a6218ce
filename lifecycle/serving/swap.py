"""The change from one plan to the next, in two phases: all workers load, then all switch.

Until the last worker has loaded, clients see no change. Once this returns, no worker answers by
the old plan.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, LifecycleError
from lifecycle.serving.member import Member
from lifecycle.serving.plan import Plan
from lifecycle.serving.pool import Pool

_DEATHS = 3
"""Workers that may die for other reasons while the others load."""


class Swap:
    """One change of plan.

    Args:
        still_wanted: Checked repeatedly until the switch.
        deadline: End of loading, on the monotonic clock.
    """

    def __init__(self, pool: Pool, plan: Plan, still_wanted: Callable[[], bool], deadline: float) -> None:
        self._pool = pool
        self._plan = plan
        self._still_wanted = still_wanted
        self._deadline = deadline
        self._fresh: list[Member] = []
        self._deaths = pool.deaths

    async def run(self) -> None:
        """Load and switch all workers.

        Raises:
            LifecycleError: a worker could not load it; all answer as before.
            Conflict: another plan is wanted by now; all answer as before.
        """
        pool, plan, before = self._pool, self._plan, self._pool.plan
        renewing = before is not None and plan.needs_new_processes(before)
        old = pool.standing
        try:
            await self._start_fresh(plan.size if renewing else plan.size - len(old))
            await pool.until(self._prepared)
        except BaseException:
            self._abandon()
            raise
        pool.follow(plan)
        for member in self._taking_part():
            member.commit(plan.round)
        await pool.until(self._committed)
        answering = [member for member in pool.standing if member not in self._fresh]
        pool.retire([m for m in answering if m in old] if renewing else pool.standing[plan.size :])

    async def _start_fresh(self, number: int) -> None:
        for _ in range(number):
            try:
                member = await self._pool.start()
            except OSError as exc:
                raise DeploymentFailed(f"cannot start a worker process: {exc.strerror}") from exc
            self._fresh.append(member)
            member.prepare(self._plan)

    def _taking_part(self) -> list[Member]:
        """All workers that answer or are about to, those that have joined meanwhile included."""
        answering = self._pool.answering
        return answering + [member for member in self._fresh if member not in answering]

    def _prepared(self) -> bool:
        number = self._plan.round
        for member in self._taking_part():
            if member.failed[0] == number:
                raise _error(member)
            if member.asked != number:
                member.prepare(self._plan)
        self._demand_progress()
        taking_part = self._taking_part()
        return bool(taking_part) and all(member.prepared == number for member in taking_part)

    def _demand_progress(self) -> None:
        for member in self._fresh:
            if member not in self._pool.members:
                raise DeploymentFailed(f"the process that loaded it {member.how_it_ended()}; see the server's log")
        if self._pool.deaths - self._deaths >= _DEATHS:
            raise DeploymentFailed(f"{_DEATHS} worker processes ended while loading it")
        if not self._still_wanted():
            raise Conflict("another version was requested while it was starting")
        if monotonic() > self._deadline:
            raise DeploymentFailed("it took too long to load; -C timeout_s= gives it more time")

    def _committed(self) -> bool:
        return all(member.committed == self._plan.round for member in self._pool.answering)

    def _abandon(self) -> None:
        """Tell the workers to drop the plan. A worker that still loads might never end, so it is replaced."""
        number = self._plan.round
        for member in self._fresh:
            member.leaving = monotonic()
            member.kill()
        for member in self._pool.answering:
            if member.asked == number:
                stuck = number not in (member.prepared, member.failed[0])
                member.abandon()
                if stuck:
                    self._pool.retire([member])


def _error(member: Member) -> LifecycleError:
    _, code, text = member.failed
    return {IntegrityError.code: IntegrityError, Conflict.code: Conflict}.get(code, DeploymentFailed)(text)
