"""One step of following: look at everything, change what differs.

Level-triggered: each round starts from the whole state, so a lost hint, a restart or a failed round costs
time and nothing else. A deployment that fails backs off on its own and never holds up another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lifecycle.controller.deployer import Deployer
from lifecycle.domain.deployment import Deployment, Status
from lifecycle.errors import LifecycleError
from lifecycle.targets.contract import Target

_LOG = logging.getLogger(__name__)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0


@dataclass
class _Backoff:
    wait_s: float = _FIRST_WAIT_S
    not_before: float = 0.0

    def failed(self, now: float) -> None:
        self.not_before, self.wait_s = now + self.wait_s, min(2 * self.wait_s, _LONGEST_WAIT_S)


@dataclass
class Reconciler:
    """Keeps following deployments equal to their stages.

    Attributes:
        targets: Every target that may hold deployments.
        clock: Seconds, monotonic.
    """

    deployer: Deployer
    targets: Callable[[], Iterable[Target]]
    clock: Callable[[], float]
    _backoffs: dict[tuple[str, str], _Backoff] = field(default_factory=dict)

    def step(self) -> int:
        """Look at every following deployment once; returns how many there are."""
        following = self.following()
        for deployment in following:
            self._converge(deployment)
        return len(following)

    def following(self) -> list[Deployment]:
        """Deployments that follow a stage or an alias."""
        return [d for target in self.targets() for d in target.list() if not d.ref.pinned]

    def _converge(self, deployment: Deployment) -> None:
        key = (deployment.target, deployment.name)
        backoff = self._backoffs.setdefault(key, _Backoff())
        if self.clock() < backoff.not_before:
            return
        try:
            if self._differs(deployment):
                changed = self.deployer.converge(deployment)
                _LOG.info("%s on %s answers with version %s", *key[::-1], changed.version)
            self._backoffs.pop(key)
        except Exception as exc:  # a model's libraries and a full disk raise what they like
            backoff.failed(self.clock())
            ours = isinstance(exc, LifecycleError)
            why = exc if ours else type(exc).__name__
            _LOG.warning(
                "%s on %s stays at version %s: %s", *key[::-1], deployment.version, why, exc_info=not ours
            )

    def _differs(self, deployment: Deployment) -> bool:
        held = self.deployer.wanted(deployment.ref)
        wanted = (Status.READY, held.version.version, held.digest)
        return wanted != (deployment.status, deployment.version, deployment.digest)
