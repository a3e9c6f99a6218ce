"""One step of following: look at everything, change what differs.

Level-triggered: each round starts from the whole state, so a lost hint, a restart or a failed round costs
time and nothing else. A deployment that fails backs off on its own and never holds up another. What was changed
behind the registry's back is logged and not followed: whatever answers goes on answering.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lifecycle.controller.deployer import Deployer
from lifecycle.controller.watch import Backoff, Watch
from lifecycle.domain.deployment import Deployment, Status
from lifecycle.errors import LifecycleError
from lifecycle.targets.contract import Target

_LOG = logging.getLogger(__name__)

_Key = tuple[str, str]


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
    _backoffs: dict[_Key, Backoff] = field(default_factory=dict)
    _said: dict[_Key, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._watch = Watch(self.deployer.promoter, self.clock)

    def step(self) -> int:
        """Look at every following deployment once; returns how many there are."""
        following = self.following()
        self._watch.new_round()
        for deployment in following:
            self._follow(deployment)
        return len(following)

    def following(self) -> list[Deployment]:
        """Deployments that follow a stage or an alias."""
        return [d for target in self.targets() for d in target.list() if not d.ref.pinned]

    def _follow(self, deployment: Deployment) -> None:
        key = (deployment.target, deployment.name)
        try:
            policy = self.deployer.stage_of(deployment.ref)
            held = self._watch.held(deployment.ref.name, policy)
        except Exception as exc:  # whatever it is, it holds up no other
            self._say_once(deployment, exc)
            return
        self._said.pop(key, None)
        wanted = (Status.READY, held.version.version, held.digest)
        if wanted == (deployment.status, deployment.version, deployment.digest):
            self._backoffs.pop(key, None)
        elif self.clock() >= self._backoffs.setdefault(key, Backoff()).not_before:
            self._converge(deployment)

    def _converge(self, deployment: Deployment) -> None:
        key = (deployment.target, deployment.name)
        try:
            changed = self.deployer.converge(deployment)
        except Exception as exc:  # a model's libraries and a full disk raise what they like
            self._backoffs[key].failed(self.clock())
            _say(deployment, exc)
        else:
            self._backoffs.pop(key)
            _LOG.info("%s on %s answers with version %s", *key[::-1], changed.version)

    def _say_once(self, deployment: Deployment, error: Exception) -> None:
        """Once for each reason: it is asked about every second."""
        key = (deployment.target, deployment.name)
        if self._said.get(key) != str(error):
            self._said[key] = str(error)
            _say(deployment, error)


def _say(deployment: Deployment, error: Exception) -> None:
    ours = isinstance(error, LifecycleError)
    _LOG.warning(
        "%s on %s stays at version %s: %s",
        deployment.name,
        deployment.target,
        deployment.version,
        error if ours else type(error).__name__,
        exc_info=None if ours else error,
    )
