"""What was changed behind the guard: MLflow's own tables against the ledger."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import ModelPolicy, StagePolicy
from lifecycle.domain.stage_history import StageHolders
from lifecycle.promotion.mlflow_tables import RegisteredModel


def outside_changes(model: RegisteredModel, ledger: StageHolders, policies: ModelPolicy) -> Iterator[str]:
    """Where MLflow's tables and the ledger differ, by the stages that are guarded today."""
    for policy in policies.stages:
        yield from _stage(model, ledger, policy)
        if policy.alias:
            yield from _alias(model, ledger, policy, policy.alias)


def gone(ledger: StageHolders) -> Iterator[str]:
    """The same for a model that MLflow does not have any more: the guard lets none go that holds a stage."""
    for entry in ledger.everywhere():
        if entry.moved:
            yield f"version {entry.version} holds {entry.stage} by the ledger, and MLflow has no such model now"


def _stage(model: RegisteredModel, ledger: StageHolders, policy: StagePolicy) -> Iterator[str]:
    held, told = model.stages.get(policy.stage, []), ledger.of(policy.name)
    for version in held:
        if version not in {entry.version for entry in told}:
            yield f"version {version} is in {policy.stage}, which no entry says: {_behind(model, version)}"
    for entry in told:
        if entry.moved and entry.version not in held:
            gone_from = (
                f"version {entry.version} is in {policy.name} by the ledger, and not in MLflow's {policy.stage}"
            )
            yield f"{gone_from}. {_back(model, entry)}"


def _alias(model: RegisteredModel, ledger: StageHolders, policy: StagePolicy, alias: str) -> Iterator[str]:
    """The alias of a stage that was adopted may have pointed elsewhere, or nowhere, before the guard came."""
    points, told = model.aliases.get(alias), ledger.of(policy.name)
    if points is not None and points not in {entry.version for entry in told}:
        yield f"alias {alias} points to version {points}, which no entry says: {_behind(model, points)}"
    holders = [entry for entry in told if entry.moved]
    if points is None and holders:
        holds = f"alias {alias} points to nothing, and version {holders[-1].version} holds {policy.name}"
        yield f"{holds}. {_back(model, holders[-1])}"


def _behind(model: RegisteredModel, version: int) -> str:
    return (
        f"put there behind the guard, or before it came (which lifecycle db upgrade records). "
        f"Run: lifecycle gate run {_uri(model, version)}, then lifecycle promote, or take it out"
    )


def _back(model: RegisteredModel, entry: LedgerEntry) -> str:
    """To what the ledger says: a version that has passed needs no new gates for that."""
    if entry.action is Action.OVERRIDDEN:
        return f"Run: lifecycle gate run {_uri(model, entry.version)}, then lifecycle promote"
    name = shlex.quote(model.name)
    return f"Run: lifecycle rollback {name} --stage {entry.stage} --to {entry.version} --reason …"


def _uri(model: RegisteredModel, version: int) -> str:
    return shlex.quote(f"models:/{model.name}/{version}")
