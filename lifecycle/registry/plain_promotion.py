"""Promotion on a registry without the guard: the same rule, followed here in the client.

It is all that such a registry allows: tags are the record, several calls do what the guard does in one
transaction, and nobody else has to follow the rule.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime

from mlflow.tracking import MlflowClient

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.model_version import ModelVersion
from lifecycle.domain.policy import ModelPolicy, StagePolicy
from lifecycle.domain.promotion import PromotionRequest
from lifecycle.errors import PromotionRefused
from lifecycle.registry.ruling import UNAUTHENTICATED, Standing, rule
from lifecycle.registry.tags import HISTORY, evidence_in, history_value


def promote_plainly(
    client: MlflowClient,
    request: PromotionRequest,
    policies: ModelPolicy,
    versions: Sequence[ModelVersion],
    ledger: Sequence[LedgerEntry],
    now: datetime,
) -> LedgerEntry:
    """Promote through MLflow's ordinary calls.

    Raises:
        PromotionRefused, Conflict: as the guard would.
    """
    policy = policies.stage(request.stage)
    holders = [v.version for v in versions if v.stage == policy.stage]
    tags = client.get_model_version(request.model, str(request.version)).tags
    evidence = [e for e in evidence_in(tags) if e.stage == policy.name]
    standing = Standing(evidence, ledger, max(holders, default=None))
    ruling = rule(request, policy, standing, UNAUTHENTICATED, now)
    if ruling.places:
        _place(client, request, policy)
        _align_aliases(client, request, policies, policy, versions)
    if ruling.is_new:
        value = history_value([*ledger, ruling.entry], request.version)
        client.set_model_version_tag(request.model, str(request.version), HISTORY, value)
    if ruling.entry.action is Action.REFUSED:
        raise PromotionRefused(ruling.entry.detail)
    return ruling.entry


def _place(client: MlflowClient, request: PromotionRequest, policy: StagePolicy) -> None:
    with warnings.catch_warnings():
        # MLflow deprecates stages since 2.9 and keeps them; stage and alias move together here.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(
            request.model, str(request.version), policy.stage, archive_existing_versions=True
        )


def _align_aliases(
    client: MlflowClient,
    request: PromotionRequest,
    policies: ModelPolicy,
    entered: StagePolicy,
    versions: Sequence[ModelVersion],
) -> None:
    """Each stage's alias points to its holder, or to none: the version may have left another stage just now."""
    for policy in policies.stages:
        if policy.alias is None:
            continue
        stayed = [v.version for v in versions if v.stage == policy.stage and v.version != request.version]
        holder = request.version if policy == entered else max(stayed, default=None)
        if holder is None:
            client.delete_registered_model_alias(request.model, policy.alias)
        else:
            client.set_registered_model_alias(request.model, policy.alias, str(holder))
