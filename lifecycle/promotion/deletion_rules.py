"""What may not be taken away, renamed or pointed elsewhere, because a guarded stage holds it."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.domain.policy import ModelPolicy, PolicyBook
from lifecycle.errors import PromotionRefused
from lifecycle.promotion.transaction import ModelTransaction, holder_of


def check_version_free(model: ModelTransaction, policy: ModelPolicy, version: int) -> None:
    """Refuse to delete a version that holds a guarded stage. Raises PromotionRefused."""
    for stage, holder in _held(model, policy):
        if holder == version:
            raise PromotionRefused(_archive_first(f"Version {version} of {model.name}", "deleted", stage, holder))


def check_model_free(model: ModelTransaction, policy: ModelPolicy) -> None:
    """Refuse to delete a model with a version in a guarded stage. Raises PromotionRefused."""
    for stage, holder in _held(model, policy):
        raise PromotionRefused(_archive_first(model.name, "deleted", stage, holder))


def check_rename(model: ModelTransaction, policies: PolicyBook, new_name: str) -> None:
    """Refuse a new name that escapes the old policy, or carries something unchecked into the new one.

    Raises:
        PromotionRefused: a version holds a stage, or bears an alias, that is guarded under either name, or
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
            raise PromotionRefused(_archive_first(model.name, "renamed", stage, holder))
    for alias in model.aliases():
        if new_policy.guarding_alias(alias):
            raise PromotionRefused(
                f"{model.name} may not be renamed: alias {alias} is guarded under the name {new_name}. "
                f"Delete the alias first"
            )


def check_alias_free(model: ModelTransaction, policy: ModelPolicy, alias: str) -> None:
    """Refuse to take the alias of a stage, or what a database may take for it, away from what the stage holds.

    Raises:
        PromotionRefused: some version holds the stage.
    """
    stage = policy.guarding_alias(alias)
    if stage is None or (stage.alias != alias and alias in model.aliases()):
        return  # a look-alike that is an alias of its own
    holder = holder_of(model, stage)
    if holder is not None:
        raise PromotionRefused(
            f"alias {alias} of {model.name} moves together with {stage.stage}, which version {holder} "
            f"holds; it may not be deleted. Move version {holder} to Archived instead"
        )


def _held(model: ModelTransaction, policy: ModelPolicy) -> Iterator[tuple[str, int]]:
    """MLflow's guarded stages and the versions in them."""
    for stage in policy.stages:
        for version in model.holders(stage.stage):
            yield stage.stage, version


def _archive_first(subject: str, what: str, stage: str, holder: int) -> str:
    return (
        f"{subject} may not be {what}: version {holder} is in {stage}, which is guarded. "
        f"Move version {holder} to Archived first"
    )
