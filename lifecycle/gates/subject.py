"""What gates judge, loaded only when a gate asks for it, and batches of its rows for a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.data.dataset import Dataset
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.scoring.signature import InvalidInput, Signature

if TYPE_CHECKING:
    import pandas as pd


class NotLoaded(Exception):
    """The model may not be loaded."""


class ModelRaised(Exception):
    """The model's own code raised an exception while scoring. The message names its type and quotes nothing."""


@dataclass(frozen=True)
class Candidate:
    """The version that is judged, or the champion that it is compared with."""

    version: ModelVersion
    snapshot: Snapshot
    load_scorer: Callable[[], Scorer]

    @cached_property
    def signature(self) -> Signature:
        """The model's signature. Raises NoSignature."""
        return Signature.from_snapshot(self.snapshot.path)

    @cached_property
    def scorer(self) -> Scorer:
        """The loaded model."""
        return self.load_scorer()


def _refuse_to_load() -> Scorer:
    raise NotLoaded("The model was not loaded, because it is not known to be safe to load")


@dataclass
class Subject:
    """A candidate and the data to judge it on. Each part is loaded once, when it is first used.

    The loaders return None for missing parts: no reference logged, no current data given,
    no suite, no version in the stage yet. ``load_current`` is given the source that a gate names in its
    options, or None; data given for the whole run beats it.
    """

    candidate: Candidate
    stage: str
    load_reference: Callable[[], Dataset | None]
    load_current: Callable[[str | None], Dataset | None]
    load_suite: Callable[[], dict[str, Any] | None]
    load_champion: Callable[[], Candidate | None]
    findings: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What each gate measured in ``evaluate``, by gate name, for ``explain``."""
    _current: dict[str | None, Dataset | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def reference(self) -> Dataset | None:
        """The rows logged with the training run."""
        return self.load_reference()

    def current(self, source: str | None = None) -> Dataset | None:
        """The current rows, from ``source`` unless rows were given for the whole run."""
        if source not in self._current:
            self._current[source] = self.load_current(source)
        return self._current[source]

    @cached_property
    def suite(self) -> dict[str, Any] | None:
        """The Great Expectations suite logged with the training run, as its JSON."""
        return self.load_suite()

    @cached_property
    def champion(self) -> Candidate | None:
        """The version that holds the stage now."""
        return self.load_champion()

    def forbid_loading(self) -> None:
        """Make every later attempt to load the candidate fail."""
        self.candidate = replace(self.candidate, load_scorer=_refuse_to_load)

    def fingerprints(self) -> Mapping[str, str]:
        """Fingerprints of the data that the gates have read so far, by role, for the evidence.

        Different current data of several gates get one role each: ``current``, ``current 2`` ...
        """
        reference = self.__dict__.get("reference")
        current = dict.fromkeys(d.fingerprint for d in self._current.values() if d is not None)
        roles = {"current" if i == 1 else f"current {i}": fp for i, fp in enumerate(current, start=1)}
        return ({"reference": reference.fingerprint} if reference is not None else {}) | roles


_CHUNK_ROWS = 20_000


def batches_of(frame: pd.DataFrame, signature: Signature) -> Iterator[Batch]:
    """The rows in order, 20,000 at a time. Raises InvalidInput if they do not fit the signature."""
    from lifecycle.scoring.frames import batch_from_frame

    for start in range(0, len(frame), _CHUNK_ROWS):
        yield batch_from_frame(frame.iloc[start : start + _CHUNK_ROWS], signature)


def ask(scorer: Scorer, batch: Batch) -> Predictions:
    """The model's predictions. Raises ModelRaised if the model raises on rows that fit its signature."""
    try:
        return scorer.predict(batch)
    except InvalidInput:
        raise
    except Exception as exc:  # a model's code may raise anything
        raise ModelRaised(f"the model raises {type(exc).__name__} on rows that fit its signature") from exc


def has_values(columns: Mapping[str, NDArray[Any]]) -> bool:
    """Whether any value is not missing."""
    return any(_present(values).any() for values in columns.values())


def _present(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "O":
        return np.array([value is not None and value == value for value in values], dtype=bool)  # noqa: PLR0124
    return np.asarray(values == values)  # noqa: PLR0124  # only NaN and NaT are not themselves
