"""What a whole server is to answer with: one state, however many models it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from lifecycle.serving.control import Desired, desired_from
from lifecycle.serving.settings import Settings

# What every request looks up anew. Everything else was built into a worker when it started.
_IN_PLACE = frozenset(
    {"ports", "drain_s", "max_body", "max_rows", "max_in_flight", "max_pending_mb"}
    | {"access_log", "capture", "capture_mask", "capture_mb"}
    | {"auth", "api_keys", "jwt_issuer", "jwt_audience", "jwt_keys"}
)
# The same, but for the processes that a pyfunc model has below its worker.
_IN_PLACE_COMPILED = frozenset({"workers", "request_timeout_s"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker is to answer with.

    Attributes:
        round: Grows with every plan of one supervisor.
        host: The deployment whose server it is; it answers where a path names no model.
        wanted: By deployment, the host's among them.
    """

    round: int
    host: str
    wanted: Mapping[str, Desired]

    @property
    def settings(self) -> Settings:
        """The server's: its guests have none of their own."""
        return self.wanted[self.host].settings

    @property
    def size(self) -> int:
        """Worker processes. Where pyfunc alone serves, the scoring is spread below a single one."""
        compiled = any(desired.compiled for desired in self.wanted.values())
        return self.settings.workers if compiled else 1

    def needs_new_processes(self, before: Plan) -> bool:
        """Whether workers that follow ``before`` cannot just change over."""
        changed = {f.name for f in fields(Settings) if _of(self, f.name) != _of(before, f.name)}
        compiled = all(desired.compiled for desired in self.wanted.values())
        return bool(changed - _IN_PLACE - (_IN_PLACE_COMPILED if compiled else frozenset()))

    def changed(self, number: int, desired: Desired) -> Self:
        """The same but for one deployment."""
        return replace(self, round=number, wanted={**self.wanted, desired.deployment: desired})

    def without(self, number: int, name: str) -> Self:
        """The same but for a guest that is gone."""
        rest = {guest: desired for guest, desired in self.wanted.items() if guest != name}
        return replace(self, round=number, wanted=rest)

    def same(self, other: Plan) -> bool:
        """Whether both mean the same answers."""
        return _stripped(self) == _stripped(other)

    def as_message(self) -> dict[str, Any]:
        """For a worker: each deployment with the server's settings."""
        wanted = [asdict(replace(desired, settings=self.settings)) for desired in self.wanted.values()]
        return {"round": self.round, "host": self.host, "wanted": wanted}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """What :meth:`as_message` said."""
        wanted = [desired_from(one) for one in message["wanted"]]
        return cls(message["round"], message["host"], {desired.deployment: desired for desired in wanted})


def _of(plan: Plan, name: str) -> Any:
    return getattr(plan.settings, name)


def _stripped(plan: Plan) -> dict[str, Desired]:
    return {name: replace(desired, generation=0, timeout_s=0.0) for name, desired in plan.wanted.items()}
