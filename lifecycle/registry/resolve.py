"""Resolves a reference among a model's versions."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.domain.model import ModelRef, ModelVersion
from lifecycle.domain.policy import ModelPolicy
from lifecycle.errors import NotFound

_UNGUARDED = {"staging": "Staging", "production": "Production"}


def version_meant(ref: ModelRef, versions: Sequence[ModelVersion], policy: ModelPolicy) -> ModelVersion:
    """The version that ``ref`` names; the newest where a stage holds several.

    Args:
        versions: All versions of the model, oldest first.

    Raises:
        NotFound: no such version or stage, or nothing in it.
    """
    if ref.version is not None:
        held = [v for v in versions if v.version == ref.version]
    elif ref.alias is not None:
        held = [v for v in versions if ref.alias in v.aliases]
    else:
        held = _in_stage(ref.stage or "", versions, policy)
    if not held:
        known = ", ".join(f"{v.version} ({v.stage})" for v in versions[-10:]) or "none"
        raise NotFound(f"{ref} holds no version. Versions of {ref.name}: {known}")
    return held[-1]


def _in_stage(word: str, versions: Sequence[ModelVersion], policy: ModelPolicy) -> list[ModelVersion]:
    """Versions in a stage, by the policy's word or MLflow's own, in any letter case."""
    try:
        stage = policy.stage(word)
    except NotFound:
        if word.lower() not in _UNGUARDED:
            raise
        return [v for v in versions if v.stage == _UNGUARDED[word.lower()]]
    if stage.stage is None:
        return [v for v in versions if stage.alias in v.aliases]
    return [v for v in versions if v.stage == stage.stage]
