"""A registered version, and an immutable copy of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """What the registry says of a version.

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
    """What ``lifecycle.track()`` left in the training run.

    Attributes:
        reference: Parquet file with the reference rows: inputs, and the label where there is one.
        suite: Great Expectations suite as JSON.
        label: Name of the label column, or None.
    """

    reference: Path
    suite: Path
    label: str | None
