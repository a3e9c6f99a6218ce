"""What the guard needs of a registered model: one transaction that nobody else can write it in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.orm import Session

from lifecycle.domain.policy import ModelPolicy, StagePolicy


class ModelTransaction(Protocol):
    """A registered model inside one transaction that nobody else can write this model in.

    Every method raises the store's own error for a version that does not exist.
    """

    @property
    def name(self) -> str:
        """As the database spells it."""
        ...

    @property
    def uid(self) -> str:
        """See :func:`lifecycle.promotion.tables.model_uid`."""
        ...

    @property
    def session(self) -> Session:
        """The open transaction."""
        ...

    def stage_of(self, version: int) -> str:
        """MLflow's stage of a version."""
        ...

    def holders(self, stage: str) -> Sequence[int]:
        """Versions in MLflow's stage, ascending."""
        ...

    def place(self, version: int, stage: str) -> None:
        """Put a version into a stage and archive every other version there."""
        ...

    def aliases(self) -> Sequence[str]:
        """Every alias of the model."""
        ...

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""
        ...

    def show(self, version: int, key: str, value: str) -> None:
        """Set a tag of a version, for people."""
        ...

    def hide(self, version: int, key: str) -> None:
        """Remove a tag of a version, if it is there."""
        ...


def holder_of(model: ModelTransaction, policy: StagePolicy) -> int | None:
    """The version in the stage; the newest where a time before the guard left several."""
    return max(model.holders(policy.stage), default=None)


def align_aliases(model: ModelTransaction, policy: ModelPolicy) -> None:
    """Each guarded stage's alias points to the version in the stage, or to none."""
    for stage in policy.stages:
        if stage.alias:
            model.point(stage.alias, holder_of(model, stage))
