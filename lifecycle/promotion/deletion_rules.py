"""What may not be deleted or renamed because a guarded stage holds it."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.domain.policy import ModelPolicy, PolicyBook, StagePolicy
from lifecycle.errors import PromotionRefused
from lifecycle.promotion.transaction import ModelTransaction


def check_version_free(model: ModelTransaction, policy: ModelPolicy, version: int) -> None:
    """Refuse to delete a version that holds a guarded stage. Raises PromotionRefused."""
    for stage, holder in _held(model, policy):
        if holder == version:
            raise PromotionRefused(_leave_first(f"Version {version} of {model.name}", "deleted", stage, holder))


def check_model_free(model: ModelTransaction, policy: ModelPolicy) -> None:
    """Refuse to delete a model with a version in a guarded stage. Raises PromotionRefused."""
    for stage, holder in _held(model, policy):
        raise PromotionRefused(_leave_first(model.name, "deleted", stage, holder))


def check_rename(model: ModelTransaction, policies: PolicyBook, new_name: str) -> None:
    """Refuse a rename that escapes the old policy or brings unchecked versions under the new one.

    Raises:
        PromotionRefused: a version holds a stage or alias that is guarded under either name, or
            one of the names is that of an environment.
    """
    new_policy = policies.of(new_name)
    for name, policy in ((model.name, policies.of(model.name)), (new_name, new_policy)):
        if policy.environment:
            raise PromotionRefused(
                f"{model.name} may not be renamed to {new_name}: {name} is the environment "
                f"{policy.environment}, whose versions come in by promotion alone"
            )
        for stage, holder in _held(model, policy):
            raise PromotionRefused(_leave_first(model.name, "renamed", stage, holder))
    for alias in model.aliases():
        if new_policy.guarding_alias(alias):
            raise PromotionRefused(
                f"{model.name} may not be renamed: alias {alias} is guarded under the name {new_name}. "
                f"Delete the alias first"
            )


def alias_to_leave(model: ModelTransaction, policy: ModelPolicy, alias: str) -> tuple[StagePolicy, int] | None:
    """The stage that deleting an alias empties, and its version, where the stage is an alias alone.

    Raises:
        PromotionRefused: the alias belongs to a stage of MLflow's that a version holds.
    """
    stage = policy.guarding_alias(alias)
    if stage is None or (stage.alias != alias and alias in model.aliases()):
        return None  # not guarded, or another spelling that is an alias of its own
    holder = _holder(model, policy, stage)
    if holder is None:
        return None
    if stage.is_alias_alone:
        return stage, holder
    raise PromotionRefused(
        f"alias {alias} of {model.name} moves together with {stage.stage}, which version {holder} "
        f"holds; it may not be deleted. Move version {holder} to Archived instead"
    )


def _held(model: ModelTransaction, policy: ModelPolicy) -> Iterator[tuple[StagePolicy, int]]:
    """The guarded stages and the versions in them."""
    holders = policy.holders(model.staged(), model.aliases())
    for stage in policy.stages:
        for version in holders[stage.name]:
            yield stage, version


def _holder(model: ModelTransaction, policy: ModelPolicy, stage: StagePolicy) -> int | None:
    return max((version for held, version in _held(model, policy) if held == stage), default=None)


def _leave_first(subject: str, what: str, stage: StagePolicy, holder: int) -> str:
    leave = f"Move version {holder} to Archived first" if stage.stage else f"Delete the alias {stage.alias} first"
    return f"{subject} may not be {what}: version {holder} is in {stage.where}, which is guarded. {leave}"
