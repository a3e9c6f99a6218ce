"""The versions that answer. Touched by the event loop's thread only, so nothing here needs a lock."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from lifecycle.scoring.signature import Signature
from lifecycle.serving.control import Desired
from lifecycle.serving.engine import Engine


class Release:
    """One version that answers. Entered by each request that uses it; closed after the last one left."""

    def __init__(self, desired: Desired, engine: Engine) -> None:
        self.desired = desired
        self.engine = engine
        self.headers = (
            (b"x-lifecycle-model", desired.model.encode()),
            (b"x-lifecycle-version", b"%d" % desired.version),
            (b"x-lifecycle-digest", desired.digest.encode()),
        )
        self._in_use = 0
        self._retired = False

    @property
    def name(self) -> str:
        """What clients call it: the deployment's name."""
        return self.desired.deployment

    @property
    def signature(self) -> Signature:
        """The inputs that it takes."""
        return self.engine.signature

    def __enter__(self) -> Release:
        self._in_use += 1
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._in_use -= 1
        self._close_when_unused()

    def retire(self) -> None:
        """No new request will use it."""
        self._retired = True
        self._close_when_unused()

    def serves(self, desired: Desired) -> bool:
        """Whether these are the very files that are desired, under the same name and version."""
        mine = self.desired
        return (mine.model, mine.version, mine.digest, mine.compiled) == (
            desired.model,
            desired.version,
            desired.digest,
            desired.compiled,
        )

    def _close_when_unused(self) -> None:
        if self._retired and not self._in_use:
            self.engine.close()


class Releases:
    """The one mapping that a swap changes.

    Attributes:
        default: The deployment that answers where the path names no model.
    """

    def __init__(self, default: str) -> None:
        self.default = default
        self._by_name: Mapping[str, Release] = {}

    def get(self, name: str | None) -> Release | None:
        """What answers under a name; the default's for None. None when it is unknown or not up yet."""
        return self._by_name.get(self.default if name is None else name)

    def all(self) -> list[Release]:
        """By name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def switch(self, release: Release) -> None:
        """From the next request on, this one answers under its name."""
        old = self._by_name.get(release.name)
        self._by_name = {**self._by_name, release.name: release}
        if old is not None:
            old.retire()

    def drop(self, name: str) -> None:
        """From the next request on, nobody answers under a name."""
        old = self._by_name.get(name)
        self._by_name = {key: release for key, release in self._by_name.items() if key != name}
        if old is not None:
            old.retire()
