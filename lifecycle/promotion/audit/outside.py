"""What was changed behind the guard: MLflow's own tables against the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.domain.ledger import Action
from lifecycle.domain.policy import ModelPolicy, StagePolicy
from lifecycle.domain.tenure import Occupancy
from lifecycle.promotion.mlflow_tables import RegisteredModel


def outside_changes(model: RegisteredModel, ledger: Occupancy, policies: ModelPolicy) -> Iterator[str]:
    """Where MLflow's tables and the ledger differ, by the stages that are guarded today."""
    for policy in policies.stages:
        yield from _stage(model, ledger, policy)
        if policy.alias:
            yield from _alias(model, ledger, policy, policy.alias)


def gone(ledger: Occupancy) -> Iterator[str]:
    """The same for a model that MLflow does not have any more: the guard lets none go that holds a stage."""
    for entry in ledger.everywhere():
        if entry.moved:
            yield f"version {entry.version} holds {entry.stage} by the ledger, and MLflow has no such model now"


def _stage(model: RegisteredModel, ledger: Occupancy, policy: StagePolicy) -> Iterator[str]:
    held, told = model.stages.get(policy.stage, []), ledger.of(policy.name)
    for version in held:
        if version not in {entry.version for entry in told}:
            yield f"version {version} is in {policy.stage}, which no entry says: {_behind(model, version)}"
    for entry in told:
        if entry.moved and entry.version not in held:
            yield (
                f"version {entry.version} is in {policy.name} by the ledger, and not in MLflow's {policy.stage} "
                f"(any more). Run: lifecycle promote models:/{model.name}/{entry.version} --stage {policy.name}"
            )


def _alias(model: RegisteredModel, ledger: Occupancy, policy: StagePolicy, alias: str) -> Iterator[str]:
    """The alias of a stage that was adopted may have pointed elsewhere, or nowhere, before the guard came."""
    points, told = model.aliases.get(alias), ledger.of(policy.name)
    if points is not None and points not in {entry.version for entry in told}:
        yield f"alias {alias} points to version {points}, which no entry says: {_behind(model, points)}"
    holders = [entry.version for entry in told if entry.action is not Action.ADOPTED]
    if points is None and holders:
        yield (
            f"alias {alias} points to nothing, and version {holders[-1]} holds {policy.name}. "
            f"Run: lifecycle promote models:/{model.name}/{holders[-1]} --stage {policy.name}"
        )


def _behind(model: RegisteredModel, version: int) -> str:
    return (
        f"put there behind the guard, or before it came (which lifecycle db upgrade records). "
        f"Run: lifecycle gate run models:/{model.name}/{version}, then lifecycle promote, or take it out"
    )
