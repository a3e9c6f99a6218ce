"""Policies: what each stage of a model demands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from lifecycle.domain.text import may_be_equal, sha256_of
from lifecycle.errors import NotFound, unknown

PLACES = ("current", "suite")
"""Gate options that are paths."""


class OnMissing(StrEnum):
    """What the guard does with a promotion that has no evidence."""

    REFUSE = "refuse"
    ENQUEUE = "enqueue"
    """Refuse, and queue a gate run for ``lifecycle worker``."""


@dataclass(frozen=True, slots=True)
class GateSpec:
    """A gate's name and the options that the policy gives it."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """The demands of one stage.

    Attributes:
        name: The policy's name of the stage, such as ``production``.
        stage: MLflow's word, such as ``Production``; None where the stage is an alias alone.
        alias: The alias that always moves together with MLflow's stage, or that is the stage.
        after: The policy stage that a version must have been promoted to before, with the same digest.
        gates: Every one of these must have PASSED.
        max_age: How long evidence is valid.
        max_attempts: Most gate runs of a version; evidence of later ones is not accepted. None for any number.
        approvals: Number of people who have to approve a version; its author does not count.
        approvers: Users who may approve; empty for every signed-in user.
        on_missing: Whether a promotion without evidence also queues a gate run.
        auto_promote: Whether a queued gate run that PASSED completes the promotion.
        inherited: Whether the model has no policy of its own and the defaults apply.
    """

    name: str
    stage: str | None
    gates: tuple[GateSpec, ...]
    alias: str | None = None
    after: str | None = None
    max_age: timedelta = timedelta(days=7)
    max_attempts: int | None = None
    approvals: int = 0
    approvers: frozenset[str] = frozenset()
    on_missing: OnMissing = OnMissing.REFUSE
    auto_promote: bool = False
    inherited: bool = False

    @property
    def is_alias_alone(self) -> bool:
        """Whether no stage of MLflow's belongs to it."""
        return self.stage is None

    def holds(self, stage: str, aliases: Collection[str]) -> bool:
        """Whether a version with MLflow's ``stage`` and these aliases is in it."""
        return self.alias in aliases if self.stage is None else stage.lower() == self.stage.lower()

    @property
    def where(self) -> str:
        """What a version enters, for people: ``Production``, or ``@challenger`` where it is an alias alone."""
        return self.stage or f"@{self.alias}"

    @property
    def digest(self) -> str:
        """sha256 of the demands; evidence under other demands is not accepted.

        Paths of data are not demands (they change every week and on every machine), so the
        options :data:`PLACES` are left out; evidence holds the data's own fingerprint. Approvals are counted
        when a version moves, and ask nothing of its gates.
        """
        return sha256_of(
            {
                "name": self.name,
                "stage": self.stage,
                "alias": self.alias,
                "after": self.after,
                "gates": [[g.name, {k: v for k, v in g.options.items() if k not in PLACES}] for g in self.gates],
                "max_age": self.max_age.total_seconds(),
                "max_attempts": self.max_attempts,
            }
        )


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """The stages of one model, in the order in which a version passes them."""

    stages: tuple[StagePolicy, ...]
    reference: str | None = None
    """Source of the rows to compare with, instead of the training run."""
    environment: str | None = None
    """The stage that the model itself is: copying a version into it promotes the version to that stage."""

    def stage(self, name: str) -> StagePolicy:
        """The stage with this name, the policy's or MLflow's, in any letter case.

        Raises:
            NotFound: no such stage; the message lists those there are.
        """
        wanted = name.lower()
        for policy in self.stages:
            if wanted in (policy.name.lower(), (policy.stage or policy.name).lower()):
                return policy
        raise NotFound(unknown("stage", name, [p.name for p in self.stages]))

    @property
    def aliases_alone(self) -> frozenset[str]:
        """The stages that are an alias alone: a version may hold one of them beside another stage."""
        return frozenset(policy.name for policy in self.stages if policy.is_alias_alone)

    def holders(self, staged: Iterable[tuple[int, str]], aliases: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """The versions in each stage, by the policy's word, ascending.

        Args:
            staged: Versions with MLflow's stage that each is in.
            aliases: Where the model's aliases point.
        """
        by_stage: dict[str, list[int]] = {}
        for version, stage in staged:
            by_stage.setdefault(stage, []).append(version)
        return {
            policy.name: tuple(sorted(by_stage.get(policy.stage, ())))
            if policy.stage
            else tuple(version for alias, version in aliases.items() if alias == policy.alias)
            for policy in self.stages
        }

    def path_to(self, name: str) -> tuple[StagePolicy, ...]:
        """The stages that lead to ``name``, in order, ``name`` last."""
        policy = self.stage(name)
        return (*(self.path_to(policy.after) if policy.after else ()), policy)

    def guarding_stage(self, stage: str) -> StagePolicy | None:
        """The policy that guards MLflow's ``stage``, or None."""
        return next((p for p in self.stages if p.stage and p.stage.lower() == stage.lower()), None)

    def guarding_alias(self, alias: str) -> StagePolicy | None:
        """The policy that guards ``alias``, or one that a database may find equal to it, if one does."""
        return next((p for p in self.stages if p.alias and may_be_equal(alias, p.alias)), None)


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """Every model's policy; models without an entry of their own get the default one."""

    default: ModelPolicy
    models: Mapping[str, ModelPolicy] = field(default_factory=dict)

    def of(self, model: str) -> ModelPolicy:
        """The policy of a model, also under a name that a database may find equal to the model's."""
        own = self.models.get(model)
        return own or next((p for name, p in self.models.items() if may_be_equal(model, name)), self.default)
