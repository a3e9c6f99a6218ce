"""The reconciler: each step compares deployments with their stages and updates those that differ.

Level-triggered: each step starts from the whole state, so a lost event, a restart or a failed step costs
only time. A deployment that fails backs off and does not delay others. Changes that bypassed the guard
are logged and not followed: the deployed version keeps answering.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field

from lifecycle.controller.deployer import Deployer
from lifecycle.controller.follower import ScopeLeases
from lifecycle.domain.deployment import Deployment, Status
from lifecycle.domain.model import ModelState
from lifecycle.domain.policy import StagePolicy
from lifecycle.errors import LifecycleError, NotFound, Unavailable
from lifecycle.promotion.consistency import Inconsistency, inconsistencies
from lifecycle.promotion.promoter import HeldVersion, Promoter
from lifecycle.targets.contract import SharedDeployments, Target

_LOG = logging.getLogger(__name__)

_Key = tuple[str, str]


@dataclass
class Reconciler:
    """Updates deployments that follow a stage or alias.

    Attributes:
        targets: The targets with deployments.
        leases: Leases against other followers of deployments that several homes share.
        clock: Seconds, monotonic.
    """

    deployer: Deployer
    targets: Callable[[], Iterable[Target]]
    leases: ScopeLeases
    clock: Callable[[], float]
    _backoffs: dict[_Key, Backoff] = field(default_factory=dict)
    _said: dict[_Key, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._view = RegistryView(self.deployer.promoter, self.clock)

    def step(self) -> int:
        """Check every following deployment once; returns their number."""
        following = self._following()
        self._view.new_round()
        for deployment, scope in following:
            self._follow(deployment, scope)
        return len(following)

    def following(self) -> list[Deployment]:
        """Deployments that follow a stage or an alias."""
        return [deployment for deployment, _ in self._following()]

    def close(self) -> None:
        """Release the leases, so that other followers take over at once."""
        self.leases.release()

    def _following(self) -> list[tuple[Deployment, str]]:
        """Following deployments, each with the scope that its target shares with other homes, or empty."""
        return [
            (deployment, target.scope if isinstance(target, SharedDeployments) else "")
            for target in self.targets()
            for deployment in target.list()
            if not deployment.ref.pinned
        ]

    def _follow(self, deployment: Deployment, scope: str) -> None:
        key = (deployment.target, deployment.name)
        try:
            if scope:
                self.leases.hold(deployment.ref.name, scope)
            policy = self.deployer.stage_of(deployment.ref)
            held = self._view.held(deployment.ref.name, policy)
        except Exception as exc:  # one deployment must not hold up another, and each reason is logged once
            if self._said.get(key) != str(exc):
                self._said[key] = str(exc)
                self._say(deployment, exc)
            return
        self._said.pop(key, None)
        wanted = (Status.READY, held.version.version, held.digest)
        if wanted == (deployment.status, deployment.version, deployment.digest):
            self._backoffs.pop(key, None)
        elif self.clock() >= self._backoffs.setdefault(key, Backoff()).not_before:
            self._converge(deployment, scope)

    def _converge(self, deployment: Deployment, scope: str) -> None:
        key = (deployment.target, deployment.name)
        try:
            with self.leases.heartbeat(deployment.ref.name, scope) if scope else nullcontext():
                changed = self.deployer.converge(deployment)
        except Exception as exc:  # a model's libraries or a full disk may raise anything
            if self._is_gone(deployment):
                self._backoffs.pop(key)
                return
            self._backoffs[key].failed(self.clock())
            self._say(deployment, exc)
        else:
            self._backoffs.pop(key)
            _LOG.info("%s on %s answers with version %s", *key[::-1], changed.version)

    def _is_gone(self, deployment: Deployment) -> bool:
        """Whether it was deleted since it was listed."""
        try:
            self.deployer.target(deployment.target).describe(deployment.name)
        except NotFound:
            return True
        except LifecycleError:
            return False
        return False

    @staticmethod
    def _say(deployment: Deployment, error: Exception) -> None:
        ours = isinstance(error, LifecycleError)
        said, where = error if ours else type(error).__name__, (deployment.name, deployment.target)
        message = "%s on %s stays at version %s: %s"
        _LOG.warning(message, *where, deployment.version, said, exc_info=None if ours else error)


_LOOK_AGAIN_S = 60.0
"""Seconds until a state is read again: the change token misses some changes, and changes of trusted keys."""

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


@dataclass
class Backoff:
    """Waiting times that grow with each failure, up to a minute."""

    wait_s: float = FIRST_WAIT_S
    not_before: float = 0.0

    def failed(self, now: float) -> None:
        """Record a failure."""
        self.not_before, self.wait_s = now + self.wait_s, min(2 * self.wait_s, LONGEST_WAIT_S)


@dataclass
class _Seen:
    """The last known state of a model, and what its stages hold."""

    glance: str
    at_s: float
    state: ModelState
    held: dict[str, HeldVersion | LifecycleError] = field(default_factory=dict)


@dataclass
class RegistryView:
    """Cached stage holders: one request per model and step. Logs changes that bypassed the guard.

    Attributes:
        clock: Seconds, monotonic.
    """

    promoter: Promoter
    clock: Callable[[], float]
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _asked: dict[str, LifecycleError | None] = field(default_factory=dict)
    _away: Unavailable | None = None
    _backoff: Backoff = field(default_factory=Backoff)
    _known: dict[str, list[Inconsistency]] = field(default_factory=dict)

    def new_round(self) -> None:
        """Start a step, in which each model is read once. An unreachable registry is asked less often."""
        if self._away is None:  # models that are not followed any more are forgotten
            self._seen = {model: seen for model, seen in self._seen.items() if model in self._asked}
            self._known = {model: known for model, known in self._known.items() if model in self._asked}
        self._asked.clear()
        if self._away is not None and self.clock() >= self._backoff.not_before:
            self._away = None

    def held(self, model: str, policy: StagePolicy) -> HeldVersion:
        """What the stage holds in this step.

        Raises:
            LifecycleError: as :meth:`lifecycle.promotion.promoter.Promoter.held`.
        """
        if self._away is not None:
            raise _again(self._away)
        try:
            return self._held(self._current(model), policy)
        except Unavailable as exc:
            self._away = exc
            self._backoff.failed(self.clock())
            raise

    def _held(self, seen: _Seen, policy: StagePolicy) -> HeldVersion:
        known = seen.held.get(policy.name)
        if isinstance(known, LifecycleError):
            raise _again(known)
        if known is None or (known.until and known.until <= self.promoter.clock()):
            try:
                known = self.promoter.held_in(seen.state, policy)
            except Unavailable:
                raise
            except LifecycleError as exc:
                seen.held[policy.name] = exc
                raise
            seen.held[policy.name] = known
        return known

    def _current(self, model: str) -> _Seen:
        """The state of the model in this step, with at most one request."""
        if model not in self._asked:
            self._asked[model] = None
            try:
                self._ask(model)
            except LifecycleError as exc:
                self._asked[model] = exc
        error = self._asked[model]
        if error is not None:
            raise _again(error)
        return self._seen[model]

    def _ask(self, model: str) -> None:
        registry, seen = self.promoter.registry, self._seen.get(model)
        glance = registry.etag(model)
        self._backoff = Backoff()
        if seen is None or glance != seen.glance or self.clock() - seen.at_s >= _LOOK_AGAIN_S:
            self._seen[model] = _Seen(glance, self.clock(), registry.state(model))
            self._compare(self._seen[model].state)

    def _compare(self, state: ModelState) -> None:
        policies = self.promoter.policies.of(state.model)
        found, known = inconsistencies(state, policies, self.promoter.clock()), self._known.get(state.model, [])
        for one in found:
            if one not in known:
                _LOG.warning("behind the registry's back: %s", one)
        for one in known:
            if one not in found:
                _LOG.info("put right: %s", one.message)
        self._known[state.model] = found


def _again(error: LifecycleError) -> LifecycleError:
    """A copy of an error; raised every second, the same one would grow by a traceback each time."""
    return error.with_traceback(None)
