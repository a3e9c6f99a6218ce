"""What a whole server has to serve: one state for all of its models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from lifecycle.serving.control import Desired, desired_from
from lifecycle.serving.settings import Settings

# settings that each request reads anew; all others are fixed when a worker starts
_IN_PLACE = frozenset(
    {"ports", "drain_s", "max_body", "max_rows", "max_in_flight", "max_pending_mb"}
    | {"access_log", "capture", "capture_mask", "capture_mb"}
    | {"auth", "api_keys", "jwt_issuer", "jwt_audience", "jwt_keys"}
)
# likewise, except by the processes that a pyfunc model has below its worker
_IN_PLACE_COMPILED = frozenset({"workers", "request_timeout_s"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker has to serve.

    Attributes:
        round: Grows with every plan of one supervisor.
        host: The deployment that owns the server; it answers when a path names no model.
        wanted: Desired states by deployment, the host's included.
    """

    round: int
    host: str
    wanted: Mapping[str, Desired]

    @property
    def settings(self) -> Settings:
        """The server's settings; guests have none of their own."""
        return self.wanted[self.host].settings

    @property
    def size(self) -> int:
        """Number of worker processes. With pyfunc alone it is one, which spreads the scoring over processes."""
        compiled = any(desired.compiled for desired in self.wanted.values())
        return self.settings.workers if compiled else 1

    def needs_new_processes(self, before: Plan) -> bool:
        """Whether a change from ``before`` needs new worker processes."""
        changed = {f.name for f in fields(Settings) if _of(self, f.name) != _of(before, f.name)}
        compiled = all(desired.compiled for desired in self.wanted.values())
        return bool(changed - _IN_PLACE - (_IN_PLACE_COMPILED if compiled else frozenset()))

    def changed(self, number: int, desired: Desired) -> Self:
        """The same plan with one deployment changed."""
        return replace(self, round=number, wanted={**self.wanted, desired.deployment: desired})

    def without(self, number: int, name: str) -> Self:
        """The same plan without a guest."""
        rest = {guest: desired for guest, desired in self.wanted.items() if guest != name}
        return replace(self, round=number, wanted=rest)

    def same(self, other: Plan) -> bool:
        """Whether both plans serve the same."""
        return _stripped(self) == _stripped(other)

    def as_message(self) -> dict[str, Any]:
        """As a message to a worker: each deployment with the server's settings."""
        wanted = [asdict(replace(desired, settings=self.settings)) for desired in self.wanted.values()]
        return {"round": self.round, "host": self.host, "wanted": wanted}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`as_message`."""
        wanted = [desired_from(one) for one in message["wanted"]]
        return cls(message["round"], message["host"], {desired.deployment: desired for desired in wanted})


def _of(plan: Plan, name: str) -> Any:
    return getattr(plan.settings, name)


def _stripped(plan: Plan) -> dict[str, Desired]:
    return {name: replace(desired, generation=0, timeout_s=0.0) for name, desired in plan.wanted.items()}
