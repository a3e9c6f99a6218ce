"""Registered models: references, versions, snapshots of files and tracked data."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model version in the registry.

    Attributes:
        stage: MLflow's stage (``None``, ``Staging``, ``Production``, ``Archived``).
        aliases: The aliases that point to it.
        run_id: The training run, where known.
        created_at_ms: Milliseconds since the epoch; tells a version from a deleted namesake.
    """

    model: str
    version: int
    stage: str = "None"
    aliases: tuple[str, ...] = ()
    run_id: str | None = None
    created_at_ms: int = 0

    @property
    def uri(self) -> str:
        """``models:/name/version``."""
        return f"models:/{self.model}/{self.version}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable local copy of one version's files, named by its sha256 digest."""

    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class TrackedData:
    """The data that ``lifecycle.track()`` logged with the training run.

    Attributes:
        reference: Parquet file with the reference rows: inputs, and the label where there is one.
        suite: Great Expectations suite as JSON.
        label: Name of the label column, or None.
    """

    reference: Path
    suite: Path
    label: str | None


_FORMS = "models:/NAME/VERSION, models:/NAME/STAGE or models:/NAME@ALIAS"
# Deny by default: MLflow names may hold almost anything, but ours end up in messages, paths and URLs.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_. \-]{0,248}[A-Za-z0-9_\-])?")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_SELECTOR = re.compile(r"[A-Za-z0-9_\-]{1,255}")


def is_model_name(name: str) -> bool:
    """Whether ``name`` is safe to use in messages, URLs and file names."""
    return bool(_NAME.fullmatch(name)) and ".." not in name


def check_model_name(name: str) -> str:
    """Return ``name`` when it is safe to use in messages, URLs and file names, or raise UsageError."""
    if not is_model_name(name):
        raise UsageError(
            f"{name[:80]!r} is not a usable model name: use letters, digits, '_', '-', '.' and spaces"
        )
    return name


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model version, *pinned* by number or *followed* by stage or alias. Exactly one of the three is set."""

    name: str
    version: int | None = None
    stage: str | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, uri: str) -> ModelRef:
        """Parse a ``models:/`` URI.

        Raises:
            UsageError: another scheme, an unusable name, or ``latest``, which means "the newest number,
                checked or not" and is therefore never what a deployment or a gate should act on.
        """
        body = uri.removeprefix("models:/")
        if body == uri or body.startswith("/"):
            raise UsageError(f"{uri[:120]!r} does not name a registered model version; write {_FORMS}")
        if "@" in body:
            name, _, alias = body.partition("@")
            return cls(check_model_name(name), alias=_selector(alias, uri))
        name, _, selector = body.partition("/")
        check_model_name(name)
        if selector.isdecimal() and int(selector[:18]) > 0:
            return cls(name, version=int(selector[:18]))
        if selector.lower() == "latest":
            raise UsageError(f"{uri!r} is the newest version, checked or not; write {_FORMS}")
        return cls(name, stage=_selector(selector, uri))

    @property
    def pinned(self) -> bool:
        """Whether it names one version, not a stage or alias that may move."""
        return self.version is not None

    def __str__(self) -> str:
        if self.alias is not None:
            return f"models:/{self.name}@{self.alias}"
        return f"models:/{self.name}/{self.version if self.pinned else self.stage}"


def _selector(text: str, uri: str) -> str:
    if not _SELECTOR.fullmatch(text):
        raise UsageError(f"{uri[:120]!r} does not say which version; write {_FORMS}")
    return text


@dataclass(frozen=True, slots=True)
class ModelState:
    """Versions and ledger of a model at one moment.

    Attributes:
        versions: Oldest first.
        history: Oldest first.
        evidence_of: The newest evidence of a version for each stage, as it is shown; read when it is asked for.
    """

    model: str
    versions: Sequence[ModelVersion]
    history: Sequence[LedgerEntry]
    evidence_of: Callable[[int], Sequence[Evidence]] = field(
        default=lambda _version: (), compare=False, repr=False
    )
