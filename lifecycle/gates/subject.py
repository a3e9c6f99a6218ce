"""What gates judge, loaded only when a gate asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lifecycle.data.dataset import Dataset
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.scoring.contract import Scorer
from lifecycle.scoring.signature import Signature


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
