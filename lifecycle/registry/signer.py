"""Signs evidence and overrides on this machine, and verifies the signatures behind promotions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lifecycle.codec import decode
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence, Outcome
from lifecycle.errors import NotTrusted, UsageError
from lifecycle.registry.tags import MAX_EVIDENCE_CHARS
from lifecycle.signing.jws import sign, verify
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustedKey, TrustStore


@dataclass(frozen=True, slots=True)
class EvidenceSigner:
    """This machine's signing key and trusted keys.

    Attributes:
        key: Gives this machine's key, when something has to be signed.
        trust: Trusted keys, for a registry without the guard.
    """

    key: Callable[[], SigningKey]
    trust: TrustStore

    def sign_evidence(self, evidence: Evidence) -> str:
        """Sign evidence as a compact JWS. Raises UsageError if it is longer than a tag may be."""
        text = sign(self.key(), Permission.EVIDENCE, evidence.to_json())
        if len(text) > MAX_EVIDENCE_CHARS:
            raise UsageError(f"signed evidence of {len(text)} characters; {MAX_EVIDENCE_CHARS} are allowed")
        return text

    def sign_override(self, request: PromotionRequest) -> str:
        """Sign an override as a compact JWS."""
        return sign(self.key(), Permission.OVERRIDE, request.to_json())

    def open_evidence(self, text: str) -> str:
        """The payload of signed evidence. Raises NotTrusted."""
        return verify(text, Permission.EVIDENCE, self.trust)[0]


class OnceTrusted(TrustStore):
    """Trusts keys that are revoked as well: what one signed while it was trusted, the guard took.

    Renewing a key stops nothing in production, and a stolen key alone does not give write access to
    the database.

    Args:
        signed: What each key may have signed; None: what it may sign today.
    """

    def __init__(self, file: Path, signed: Iterable[Permission] | None = None) -> None:
        super().__init__(file)
        self._signed = None if signed is None else frozenset(signed)

    def find(self, kid: str) -> TrustedKey | None:
        """The key with this thumbprint, with its permissions before it was revoked."""
        key = super().find(kid)
        return key and replace(key, revoked_at=None, may=key.may if self._signed is None else self._signed)


def check_attestation(text: str, entry: LedgerEntry, copied: bool, trust: TrustStore) -> None:
    """Check that a move rests on something signed by a key that is or was trusted here.

    Args:
        text: The proof that the registry shows; empty for none.
        copied: Whether the model's versions are copies of versions that were judged under another name.

    Raises:
        NotTrusted: it does not; says why, and which file of keys counts here.
        ConfigError: the file of trusted keys is broken.
    """
    ever = OnceTrusted(trust.file)
    try:
        if not text:
            raise NotTrusted("nothing is there that anybody has signed")
        if entry.action is Action.OVERRIDDEN:
            _check_override(verify(text, Permission.OVERRIDE, ever)[0], entry)
        else:
            _check_evidence(verify(text, Permission.EVIDENCE, ever)[0], entry, copied)
    except (NotTrusted, ValueError) as exc:
        raise NotTrusted(
            f"what put version {entry.version} of {entry.model} into {entry.stage} does not count here: "
            f"{exc}. The keys that count on this machine are in {trust.file}. See: lifecycle keys trust"
        ) from exc


def _check_evidence(payload: str, entry: LedgerEntry, copied: bool) -> None:
    evidence = decode(Evidence, payload)
    about = (evidence.model, evidence.version, evidence.stage)
    same = (evidence.evidence_id, evidence.digest) == (entry.evidence_id, entry.digest)
    if not same or not (copied or about == (entry.model, entry.version, entry.stage)):
        raise NotTrusted("the evidence that is there speaks of something else")
    if evidence.outcome is not Outcome.PASSED:
        raise NotTrusted(f"the evidence that is there says {evidence.outcome}")


def _check_override(payload: str, entry: LedgerEntry) -> None:
    request = decode(PromotionRequest, payload)
    said = (request.kind, request.model, request.version, request.digest, request.until)
    if said != (RequestKind.OVERRIDE, entry.model, entry.version, entry.digest, entry.until):
        raise NotTrusted("the override that is there speaks of something else")
    if request.stage.lower() != entry.stage.lower():
        raise NotTrusted("the override that is there speaks of another stage")
