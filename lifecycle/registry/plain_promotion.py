"""Promotion on a registry without the guard: the same rule, executed in the client.

Such a registry allows no more: tags are the record, several calls do what the guard does in one
transaction, and other clients can ignore the rule.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlflow.tracking import MlflowClient

from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.model import ModelVersion
from lifecycle.domain.policy import ModelPolicy
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.domain.promotion.transition import carry_out, transition
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import NotTrusted, PromotionRefused
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.tags import EVIDENCE, HISTORY, PROOF, evidence_in, history_value


@dataclass(frozen=True)
class PlainRegistry:
    """The state of a model in a registry without the guard.

    Attributes:
        model: Its name.
        versions: Every version of the model.
        ledger: The ledger from the versions' tags.
        digest: Of the files of the version that is to move, as they are now.
    """

    client: MlflowClient
    model: str
    policies: ModelPolicy
    signer: EvidenceSigner
    versions: Sequence[ModelVersion]
    ledger: Sequence[LedgerEntry]
    digest: str

    def promote(self, request: PromotionRequest, now: datetime) -> LedgerEntry:
        """Promote through MLflow's ordinary calls.

        Raises:
            PromotionRefused, Conflict: as the guard would.
            NotTrusted: overrides need the guard.
        """
        if request.kind is RequestKind.OVERRIDE:
            raise NotTrusted("an override needs a registry with the guard, which knows the keys that may sign it")
        found = transition(self._context(request), request, self.policies, UNAUTHENTICATED, now)
        entry = carry_out(found, self)
        if found.refused:
            raise PromotionRefused(entry.detail)
        return entry

    def place(self, version: int, stage: str) -> None:
        """Put a version into MLflow's stage, and archive the others there."""
        with warnings.catch_warnings():
            # MLflow deprecates stages since 2.9 and keeps them; stage and alias move together here.
            warnings.simplefilter("ignore", FutureWarning)
            self.client.transition_model_version_stage(
                self.model, str(version), stage, archive_existing_versions=True
            )

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""
        if version is None:
            self.client.delete_registered_model_alias(self.model, alias)
        else:
            self.client.set_registered_model_alias(self.model, alias, str(version))

    def enqueue(self, request: PromotionRequest, actor: str) -> None:
        """A registry without the guard has no queue."""

    def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Chain an entry to the ledger as the tags show it; :meth:`show` writes it."""
        return entry.chained(self.ledger[-1] if self.ledger else None)

    def show(self, entry: LedgerEntry, signed: str) -> None:
        """Write the version's history, which is the record here, and keep the evidence of a promotion.

        The next gate run replaces the tag of the evidence; a rollback finds it in the one that is written here.
        """
        number, ledger = str(entry.version), [*self.ledger]
        if entry not in ledger:
            ledger.append(entry)
        self.client.set_model_version_tag(self.model, number, HISTORY, history_value(ledger, entry.version))
        if entry.action is Action.PROMOTED:
            shown = self.client.get_model_version(self.model, number).tags
            signed = signed or shown.get(EVIDENCE + entry.stage, "")
            self.client.set_model_version_tag(self.model, number, PROOF + entry.stage, signed)

    def _context(self, request: PromotionRequest) -> PromotionContext:
        policy = self.policies.stage(request.stage)
        tags = self.client.get_model_version(request.model, str(request.version)).tags
        own = {key: text for key, text in tags.items() if key == EVIDENCE + policy.name}
        evidence: Sequence[Evidence] = ()
        try:
            evidence = evidence_in(own, self.signer.open_evidence)
        except NotTrusted:
            distrusted = True
        else:
            distrusted = False
        aliases = {alias: v.version for v in self.versions for alias in v.aliases}
        return PromotionContext(
            evidence,
            self.ledger,
            self.policies.holders(((v.version, v.stage) for v in self.versions), aliases),
            aliases,
            self.digest,
            distrusted=distrusted,
            earlier=next((e for e in self.ledger if request.key and e.key == request.key), None),
        )
