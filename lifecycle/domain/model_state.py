"""What a registry shows of a model at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.model_version import ModelVersion


@dataclass(frozen=True, slots=True)
class ModelState:
    """Versions and ledger of a model, as they were together.

    Attributes:
        versions: Oldest first.
        history: Oldest first.
    """

    model: str
    versions: Sequence[ModelVersion]
    history: Sequence[LedgerEntry]
