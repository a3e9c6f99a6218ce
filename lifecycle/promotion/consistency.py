"""What a registry shows against what its ledger tells: whatever was changed behind the guard's back.

Pure, and from the client's side: by stages, aliases and the histories in tags, which is all that a client sees.
Whoever reaches the database itself has :mod:`lifecycle.promotion.audit`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.model import ModelState
from lifecycle.domain.policy import ModelPolicy, StagePolicy
from lifecycle.domain.stage_history import StageHolders


class Mismatch(StrEnum):
    """What can differ. Stable words for machines."""

    UNPROMOTED = "unpromoted"
    """A stage holds a version that no promotion put there."""
    SEVERAL = "several"
    """A stage holds more than one version."""
    LEFT = "left"
    """A version is no longer where the ledger says."""
    ALIAS = "alias"
    """A stage's alias does not point to the version in the stage."""
    OVERRIDE_ENDED = "override_ended"
    """A version is still in a stage that it was let into for a time."""
    HISTORY = "history"
    """What is shown as history is not what was recorded."""
    NO_COPY = "no_copy"
    """A model that is an environment has a version that no copy brought."""
    UNPROVEN = "unproven"
    """What put a version into its stage is signed by no key that counts on this machine."""


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """One thing that differs.

    Attributes:
        what: The kind.
        message: For people, without the advice.
        mend: What to run, or to do.
    """

    model: str
    what: Mismatch
    message: str
    mend: str

    def as_dict(self) -> dict[str, str]:
        """JSON types only."""
        return asdict(self) | {"what": str(self.what)}

    def __str__(self) -> str:
        return f"{self.message}. {self.mend}"


def standing_move(state: ModelState, policy: StagePolicy) -> LedgerEntry | None:
    """What put the version into the stage that is there by the ledger; None: none is, or it was adopted."""
    moves = [entry for entry in _occupancy(state.history).of(policy.name) if entry.moved]
    return moves[-1] if moves else None


def inconsistencies(state: ModelState, policies: ModelPolicy, now: datetime) -> list[Inconsistency]:
    """Where a model's stages, aliases and histories do not tell one story, by the stages that are guarded today.

    Args:
        now: UTC.
    """
    found = [(Mismatch.HISTORY, text, "Run: lifecycle audit verify") for text in _broken(state.history)]
    for policy in policies.stages:
        found += _Stage(state, policy).differences(now)
    if policies.environment:
        found += _strangers(state, policies.stage(policies.environment))
    return [Inconsistency(state.model, *finding) for finding in found]


_Found = tuple[Mismatch, str, str]


class _Stage:
    """One stage, shown and told."""

    def __init__(self, state: ModelState, policy: StagePolicy) -> None:
        self._state, self._policy = state, policy
        self._where = f"{policy.stage} of {state.model}"
        self._held = [v.version for v in state.versions if v.stage == policy.stage]
        self._told = {entry.version: entry for entry in _occupancy(state.history).of(policy.name)}

    def differences(self, now: datetime) -> Iterator[_Found]:
        """Everything that differs."""
        if len(self._held) > 1:
            yield Mismatch.SEVERAL, f"{self._where} holds versions {_listed(self._held)} at once", self._mend()
        for version in self._held:
            if version not in self._told:
                yield Mismatch.UNPROMOTED, self._unpromoted(version), self._mend(version)
            elif (entry := self._told[version]).moved and not entry.stands(now):
                said = f"the override of version {version} in {self._where} has ended"
                yield Mismatch.OVERRIDE_ENDED, said, self._mend(version)
        if not self._held:
            for entry in self._told.values():
                if entry.moved:
                    said = f"version {entry.version} left {self._where}, and nothing on record says so"
                    yield Mismatch.LEFT, said, self._mend(entry.version)
        yield from self._alias()

    def _alias(self) -> Iterator[_Found]:
        """What was adopted may have had its alias elsewhere, or none, before the guard came."""
        alias, holder = self._policy.alias, max(self._held, default=None)
        points = [v.version for v in self._state.versions if alias in v.aliases]
        if alias is None or points == ([holder] if holder else []) or self._adopted(holder):
            return
        subject = f"alias {alias} of {self._state.model} " + (
            f"points to version {points[0]}" if points else "points to nothing"
        )
        holds = f"version {holder} holds" if holder else "no version holds"
        mend = self._mend(holder) if holder else "Delete the alias, in MLflow's UI or with its client"
        yield Mismatch.ALIAS, f"{subject}, and {holds} {self._policy.stage}", mend

    def _unpromoted(self, version: int) -> str:
        told = f"; by the ledger it is version {_listed(list(self._told))}" if self._told else ""
        return f"{self._where} holds version {version}, which no promotion put there{told}"

    def _mend(self, version: int | None = None) -> str:
        """Back to what the ledger says, which needs no new gates; else let the gates decide."""
        earned = [e for e in self._told.values() if e.action in (Action.PROMOTED, Action.ROLLED_BACK)]
        model, stage = shlex.quote(self._state.model), self._policy.name
        if earned:
            return f"Run: lifecycle rollback {model} --stage {stage} --to {earned[-1].version} --reason …"
        subject = version or max(self._held)
        uri = shlex.quote(f"models:/{self._state.model}/{subject}")
        return (
            f"Run: lifecycle gate run {uri} --stage {stage}, then lifecycle promote {uri} --stage {stage}; "
            f"or move version {subject} to Archived"
        )

    def _adopted(self, version: int | None) -> bool:
        entry = self._told.get(version or 0)
        return entry is not None and entry.action is Action.ADOPTED


def _strangers(state: ModelState, policy: StagePolicy) -> Iterator[_Found]:
    """Versions of an environment that are in no stage of it, and never came in."""
    arrived = {entry.version for entry in state.history if entry.moved or entry.action is Action.ADOPTED}
    for version in state.versions:
        if version.version not in arrived and version.stage != policy.stage:
            yield (
                Mismatch.NO_COPY,
                f"{state.model} is the environment {policy.name}, and no copy brought version {version.version}",
                "Delete it, and copy a version that has passed its gates with MlflowClient.copy_model_version",
            )


def _broken(history: Sequence[LedgerEntry]) -> Iterator[str]:
    """Entries that are not what they were sealed as. Versions show their newest entries, so gaps prove nothing."""
    for entry in history:
        if entry.with_hash(entry.previous_hash) != entry:
            yield f"entry {entry.sequence} in the history of version {entry.version} is not what was recorded"
    for before, after in pairwise(history):
        if after.sequence == before.sequence or (
            after.sequence == before.sequence + 1 and after.previous_hash != before.hash
        ):
            yield f"entry {after.sequence} in the history of version {after.version} does not follow the last one"


def _occupancy(history: Sequence[LedgerEntry]) -> StageHolders:
    occupancy = StageHolders()
    for entry in history:
        occupancy.follow(entry)
    return occupancy


def _listed(versions: Sequence[int]) -> str:
    return " and ".join(map(str, versions))
