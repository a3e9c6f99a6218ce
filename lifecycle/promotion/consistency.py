"""Whether a registry's stages and aliases hold what its ledger says: what was changed behind the guard's back.

Pure. A client asks with what it sees of a model, the audit with what is in MLflow's tables.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.model import ModelState
from lifecycle.domain.policy import ModelPolicy, StagePolicy
from lifecycle.domain.stage_history import StageHolders


class Mismatch(StrEnum):
    """Kinds of differences. Stable values."""

    UNPROMOTED = "unpromoted"
    """A stage holds a version that no promotion put there."""
    SEVERAL = "several"
    """A stage holds more than one version."""
    LEFT = "left"
    """A version is no longer where the ledger says."""
    ALIAS = "alias"
    """A stage's alias does not point to the version in the stage."""
    OVERRIDE_ENDED = "override_ended"
    """A version is still in a stage although its override has ended."""
    HISTORY = "history"
    """The history that is shown is not what was recorded."""
    NO_COPY = "no_copy"
    """A model that is an environment has a version that was not copied into it."""
    UNPROVEN = "unproven"
    """The promotion of a version is not signed by a key that is trusted on this machine."""


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """One difference.

    Attributes:
        what: The kind.
        message: Readable, without advice.
        mend: The command to run, or what to do.
    """

    model: str
    what: Mismatch
    message: str
    mend: str

    def as_dict(self) -> dict[str, str]:
        """As JSON types."""
        return asdict(self) | {"what": str(self.what)}

    def __str__(self) -> str:
        return f"{self.message}. {self.mend}"


def standing_move(state: ModelState, policies: ModelPolicy, stage: StagePolicy) -> LedgerEntry | None:
    """The entry that promoted the version that holds the stage by the ledger; None if there is none."""
    told = StageHolders.after(state.history, policies.aliases_alone)
    moves = [entry for entry in told.of(stage.name) if entry.moved]
    return moves[-1] if moves else None


def inconsistencies(state: ModelState, policies: ModelPolicy, now: datetime) -> list[Inconsistency]:
    """Where what a registry shows of a model does not agree with the ledger, by the stages that are guarded today.

    Args:
        now: UTC.
    """
    broken = [
        Inconsistency(state.model, Mismatch.HISTORY, text, "Run: lifecycle audit verify")
        for text in _broken(state.history)
    ]
    told = StageHolders.after(state.history, policies.aliases_alone)
    aliases = {alias: v.version for v in state.versions for alias in v.aliases}
    staged = [(v.version, v.stage) for v in state.versions]
    found = [*broken, *stage_inconsistencies(state.model, policies, staged, aliases, told, now)]
    return found + (_strangers(state, policies.stage(policies.environment)) if policies.environment else [])


def stage_inconsistencies(
    model: str,
    policies: ModelPolicy,
    staged: Iterable[tuple[int, str]],
    aliases: Mapping[str, int],
    told: StageHolders,
    now: datetime | None = None,
) -> Iterator[Inconsistency]:
    """Whether each guarded stage, and its alias, holds what the ledger says. Asked by clients and by the audit.

    Args:
        staged: Versions with MLflow's stage that each is in.
        aliases: Where the model's aliases point.
        told: The holders of each stage by the ledger.
        now: UTC; None: overrides that have ended are not looked for.
    """
    holders = policies.holders(staged, aliases)
    for policy in policies.stages:
        entries = {entry.version: entry for entry in told.of(policy.name)}
        points = aliases.get(policy.alias or "") if policy.stage else None
        stage = _Stage(model, policy, holders[policy.name], points, entries)
        for what, message, mend in stage.differences(now):
            yield Inconsistency(model, what, message, mend)


_Difference = tuple[Mismatch, str, str]


@dataclass(frozen=True)
class _Stage:
    """One stage: what it holds, where its alias points, and what the ledger says."""

    model: str
    policy: StagePolicy
    held: Sequence[int]
    points: int | None
    told: Mapping[int, LedgerEntry]

    def differences(self, now: datetime | None) -> Iterator[_Difference]:
        """All differences of the stage."""
        where = f"{self.policy.where} of {self.model}"
        for version in self.held:
            if version not in self.told:
                told = f"; by the ledger it is version {_listed(list(self.told))}" if self.told else ""
                said = f"{where} holds version {version}, which no promotion put there{told}"
                yield Mismatch.UNPROMOTED, said, self._mend(version)
            elif now and (entry := self.told[version]).moved and not entry.stands(now):
                said = f"the override of version {version} in {where} has ended"
                yield Mismatch.OVERRIDE_ENDED, said, self._mend(version)
        if len(self.held) > 1 and not self.told.keys() >= set(self.held):
            yield Mismatch.SEVERAL, f"{where} holds versions {_listed(self.held)} at once", self._mend()
        for entry in () if self.held else self.told.values():
            if entry.moved:
                said = f"version {entry.version} left {where}, and nothing on record says so"
                yield Mismatch.LEFT, said, self._mend(entry.version)
        yield from self._alias()

    def _alias(self) -> Iterator[_Difference]:
        """What was adopted may have had its alias elsewhere, or none, before the guard was installed."""
        alias, points, holder = self.policy.alias, self.points, max(self.held, default=None)
        if alias is None or self.policy.stage is None or points == holder:
            return
        known = points is None or points in self.told
        if known and (holder is None or (holder in self.told and self.told[holder].action is Action.ADOPTED)):
            return
        to = f"version {points}" if points else "nothing"
        holds = f"version {holder} holds" if holder else "no version holds"
        mend = self._mend(holder) if holder else "Delete the alias, in MLflow's UI or with its client"
        said = f"alias {alias} of {self.model} points to {to}, and {holds} {self.policy.stage}"
        yield Mismatch.ALIAS, said, mend

    def _mend(self, version: int | None = None) -> str:
        """The advice: roll back to what the ledger says, without new gates; else run the gates."""
        earned = [e for e in self.told.values() if e.action in (Action.PROMOTED, Action.ROLLED_BACK)]
        model, stage = shlex.quote(self.model), self.policy.name
        if earned:
            return f"Run: lifecycle rollback {model} --stage {stage} --to {earned[-1].version} --reason …"
        subject = version or max(self.held)
        uri = shlex.quote(f"models:/{self.model}/{subject}")
        leave = f"move version {subject} to Archived" if self.policy.stage else f"delete alias {self.policy.alias}"
        return (
            f"Run: lifecycle gate run {uri} --stage {stage}, then lifecycle promote {uri} --stage {stage}; "
            f"or {leave}"
        )


def _strangers(state: ModelState, policy: StagePolicy) -> list[Inconsistency]:
    """Versions of an environment that were never copied into it and are in no stage."""
    arrived = {entry.version for entry in state.history if entry.moved or entry.action is Action.ADOPTED}
    return [
        Inconsistency(
            state.model,
            Mismatch.NO_COPY,
            f"{state.model} is the environment {policy.name}, and no copy brought version {version.version}",
            "Delete it, and copy a version that has passed its gates with MlflowClient.copy_model_version",
        )
        for version in state.versions
        if version.version not in arrived and (policy.stage is None or version.stage != policy.stage)
    ]


def _broken(history: Sequence[LedgerEntry]) -> Iterator[str]:
    """Entries whose hash is wrong. Versions show only their newest entries, so gaps prove nothing."""
    for entry in history:
        if entry.with_hash(entry.previous_hash) != entry:
            yield f"entry {entry.sequence} in the history of version {entry.version} is not what was recorded"
    for before, after in pairwise(history):
        if after.sequence == before.sequence or (
            after.sequence == before.sequence + 1 and after.previous_hash != before.hash
        ):
            yield f"entry {after.sequence} in the history of version {after.version} does not follow the last one"


def _listed(versions: Sequence[int]) -> str:
    return " and ".join(map(str, versions))
