"""What a move rests on, as a client can check it for itself.

The tags of a version are whatever the database holds. Beside the history, the guard shows the evidence (or the
override) that the version's move rests on, as it was signed: who writes into the database has no key to sign with.
"""

from __future__ import annotations

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.promotion import Kind, PromotionRequest
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import NotTrusted
from lifecycle.signing.jws import opened
from lifecycle.signing.trust import Permission, TrustStore


def check_proof(text: str, entry: LedgerEntry, copied: bool, trust: TrustStore) -> None:
    """Demand that a move rests on what a key that is trusted here has signed.

    Args:
        text: What the registry shows as proof; empty for nothing.
        copied: Whether versions come into the model as copies of versions that were judged under another name.

    Raises:
        NotTrusted: it does not; says why, and which file of keys counts here.
        ConfigError: the file of trusted keys is broken.
    """
    try:
        if not text:
            raise NotTrusted("nothing is there that anybody has signed")
        if entry.action is Action.OVERRIDDEN:
            _check_override(opened(text, Permission.OVERRIDE, trust)[0], entry)
        else:
            _check_evidence(opened(text, Permission.EVIDENCE, trust)[0], entry, copied)
    except (NotTrusted, ValueError) as exc:
        raise NotTrusted(
            f"what put version {entry.version} of {entry.model} into {entry.stage} does not count here: "
            f"{exc}. The keys that count on this machine are in {trust.file}. See: lifecycle keys trust"
        ) from exc


def _check_evidence(payload: str, entry: LedgerEntry, copied: bool) -> None:
    evidence = Evidence.from_json(payload)
    about = (evidence.model, evidence.version, evidence.stage)
    same = (evidence.evidence_id, evidence.digest) == (entry.evidence_id, entry.digest)
    if not same or not (copied or about == (entry.model, entry.version, entry.stage)):
        raise NotTrusted("the evidence that is there speaks of something else")
    if evidence.outcome is not Outcome.PASSED:
        raise NotTrusted(f"the evidence that is there says {evidence.outcome}")


def _check_override(payload: str, entry: LedgerEntry) -> None:
    request = PromotionRequest.from_json(payload)
    said = (request.kind, request.model, request.version, request.digest, request.until)
    if said != (Kind.OVERRIDE, entry.model, entry.version, entry.digest, entry.until):
        raise NotTrusted("the override that is there speaks of something else")
    if request.stage.lower() != entry.stage.lower():
        raise NotTrusted("the override that is there speaks of another stage")
