"""A registered model inside one transaction, as the guard needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sqlalchemy.orm import Session


class ModelTransaction(Protocol):
    """A registered model inside a transaction that holds its exclusive lock.

    Every method raises the store's own error for a version that does not exist.
    """

    @property
    def name(self) -> str:
        """The model's name as the database spells it."""

    @property
    def uid(self) -> str:
        """Key of the model's evidence and ledger (:func:`lifecycle.promotion.tables.model_uid`)."""

    @property
    def session(self) -> Session:
        """The open transaction."""

    def stage_of(self, version: int) -> str:
        """MLflow's stage of a version."""

    def staged(self) -> Sequence[tuple[int, str]]:
        """Versions that are in one of MLflow's active stages, with that stage."""

    def place(self, version: int, stage: str) -> None:
        """Place a version in a stage and archive the other versions there."""

    def aliases(self) -> Mapping[str, int]:
        """Where every alias of the model points."""

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""

    def show(self, version: int, key: str, value: str) -> None:
        """Set a tag of a version, for display."""

    def hide(self, version: int, key: str) -> None:
        """Remove a tag of a version, if it exists."""

    def describe(self, version: int, change: Callable[[str], str]) -> None:
        """Change a version's description."""
