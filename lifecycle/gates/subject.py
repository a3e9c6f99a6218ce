"""What the gates look at, loaded only when a gate asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lifecycle.domain.model_version import ModelVersion, Snapshot
from lifecycle.scoring.contract import Scorer
from lifecycle.scoring.signature import Signature

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Dataset:
    """Rows to judge on.

    Attributes:
        frame: Inputs, and the label column where there is one.
        label: Name of the label column, or None.
        fingerprint: sha256 of the rows, for the evidence.
        source: Where they came from, for people.
    """

    frame: pd.DataFrame
    label: str | None
    fingerprint: str
    source: str

    @property
    def inputs(self) -> pd.DataFrame:
        """The rows without the label."""
        return self.frame.drop(columns=[self.label]) if self.label in self.frame else self.frame

    @property
    def labels(self) -> pd.Series[Any] | None:
        """The label column, where these rows have it."""
        return self.frame.get(self.label)


@dataclass(frozen=True)
class Candidate:
    """One version under judgement, or the champion that it is compared with."""

    version: ModelVersion
    snapshot: Snapshot
    load_scorer: Callable[[], Scorer]

    @cached_property
    def signature(self) -> Signature:
        """Raises NoSignature."""
        return Signature.from_snapshot(self.snapshot.path)

    @cached_property
    def scorer(self) -> Scorer:
        """The loaded model."""
        return self.load_scorer()


@dataclass(frozen=True)
class Subject:
    """A candidate and the data to judge it on; each part is loaded when first asked for.

    The loaders return None where there is no such thing: no reference logged, no current data given,
    no suite, no version in the stage yet.
    """

    candidate: Candidate
    stage: str
    load_reference: Callable[[], Dataset | None]
    load_current: Callable[[], Dataset | None]
    load_suite: Callable[[], dict[str, Any] | None]
    load_champion: Callable[[], Candidate | None]

    @cached_property
    def reference(self) -> Dataset | None:
        """The rows logged with the training run."""
        return self.load_reference()

    @cached_property
    def current(self) -> Dataset | None:
        """The rows of today."""
        return self.load_current()

    @cached_property
    def suite(self) -> dict[str, Any] | None:
        """The Great Expectations suite logged with the training run, as its JSON."""
        return self.load_suite()

    @cached_property
    def champion(self) -> Candidate | None:
        """The version that holds the stage now."""
        return self.load_champion()
