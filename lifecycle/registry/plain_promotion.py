"""Promotion on a registry without the guard: the same rule, followed here in the client.

It is all that such a registry allows: tags are the record, several calls do what the guard does in one
transaction, and nobody else has to follow the rule.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlflow.tracking import MlflowClient

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.model import ModelVersion
from lifecycle.domain.policy import ModelPolicy, StagePolicy
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.domain.promotion.transition import chained, rule
from lifecycle.errors import NotTrusted, PromotionRefused
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.tags import HISTORY, evidence_in, evidence_key, history_value, proof_key


@dataclass(frozen=True)
class PlainRegistry:
    """What can be known about a model in a registry without the guard.

    Attributes:
        versions: Every version of the model.
        ledger: As the tags of the versions tell it.
        digest: Of the files of the version that is to move, as they are now.
    """

    client: MlflowClient
    policies: ModelPolicy
    signer: EvidenceSigner
    versions: Sequence[ModelVersion]
    ledger: Sequence[LedgerEntry]
    digest: str

    def promote(self, request: PromotionRequest, now: datetime) -> LedgerEntry:
        """Promote through MLflow's ordinary calls.

        Raises:
            PromotionRefused, Conflict: as the guard would.
            NotTrusted: an override, for which it takes a guard.
        """
        if request.kind is RequestKind.OVERRIDE:
            raise NotTrusted("an override needs a registry with the guard, which knows the keys that may sign it")
        policy = self.policies.stage(request.stage)
        earlier = next((e for e in self.ledger if request.key and e.key == request.key), None)
        ruling = rule(request, policy, self._context(request, policy), UNAUTHENTICATED, now, earlier)
        if ruling.places:
            _place(self.client, request, policy)
            _align_aliases(self.client, request, self.policies, policy, self.versions)
        entry = ruling.entry
        if ruling.is_new:
            entry = chained(entry, self.ledger[-1] if self.ledger else None)
            value = history_value([*self.ledger, entry], request.version)
            self.client.set_model_version_tag(request.model, str(request.version), HISTORY, value)
            self._show_proof(entry)
        if entry.action is Action.REFUSED:
            raise PromotionRefused(entry.detail)
        return entry

    def _show_proof(self, entry: LedgerEntry) -> None:
        """Keep the evidence of a promotion apart: the next gate run replaces it. A rollback finds it there."""
        if entry.action is Action.PROMOTED:
            number = str(entry.version)
            signed = self.client.get_model_version(entry.model, number).tags.get(evidence_key(entry.stage), "")
            self.client.set_model_version_tag(entry.model, number, proof_key(entry.stage), signed)

    def _context(self, request: PromotionRequest, policy: StagePolicy) -> PromotionContext:
        holders = [v.version for v in self.versions if v.stage == policy.stage]
        tags = self.client.get_model_version(request.model, str(request.version)).tags
        own = {key: text for key, text in tags.items() if key == evidence_key(policy.name)}
        evidence: Sequence[Evidence] = ()
        try:
            evidence = evidence_in(own, self.signer.open_evidence)
        except NotTrusted:
            distrusted = True
        else:
            distrusted = False
        return PromotionContext(
            evidence, self.ledger, max(holders, default=None), self.digest, distrusted=distrusted
        )


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
