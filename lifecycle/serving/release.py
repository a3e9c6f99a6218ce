"""The versions that answer. Used by the event loop's thread only, so nothing here needs a lock."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from lifecycle.scoring.signature import Signature
from lifecycle.serving.control import Desired
from lifecycle.serving.engine import Engine


class Release:
    """One loaded version. Each request that uses it enters it; it is closed after the last one has left."""

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
        """Name in URLs: the deployment's name."""
        return self.desired.deployment

    @property
    def signature(self) -> Signature:
        """The model's inputs and outputs."""
        return self.engine.signature

    def __enter__(self) -> Release:
        self._in_use += 1
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._in_use -= 1
        self._close_when_unused()

    def retire(self) -> None:
        """Give it to no new request, and close it after the last one."""
        self._retired = True
        self._close_when_unused()

    def serves(self, desired: Desired) -> bool:
        """Whether it serves exactly the desired files, name and version."""
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
    """The versions that answer, by name.

    Attributes:
        default: Deployment that answers when the path names no model.
    """

    def __init__(self, default: str) -> None:
        self.default = default
        self._by_name: Mapping[str, Release] = {}

    def get(self, name: str | None) -> Release | None:
        """The version under a name (None for the default); None when it is unknown or not loaded yet."""
        return self._by_name.get(self.default if name is None else name)

    def all(self) -> list[Release]:
        """All versions, ordered by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def switch(self, release: Release) -> None:
        """Let this version answer under its name from the next request on."""
        old = self._by_name.get(release.name)
        self._by_name = {**self._by_name, release.name: release}
        if old is not None:
            old.retire()

    def drop(self, name: str) -> None:
        """Let no version answer under this name from the next request on."""
        old = self._by_name.get(name)
        self._by_name = {key: release for key, release in self._by_name.items() if key != name}
        if old is not None:
            old.retire()
