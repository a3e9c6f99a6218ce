"""What this machine signs before it hands it to a registry, and how it reads what others have signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.promotion import PromotionRequest
from lifecycle.errors import UsageError
from lifecycle.registry.tags import MAX_EVIDENCE_CHARS
from lifecycle.signing.jws import sign, verify
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore


@dataclass(frozen=True, slots=True)
class Seal:
    """A key and those that are trusted here.

    Attributes:
        key: This machine's; asked for when something has to be signed.
        trust: Whose signatures count on a registry that has no guard to say so.
    """

    key: Callable[[], SigningKey]
    trust: TrustStore

    def sign_evidence(self, evidence: Evidence) -> str:
        """Evidence as a compact JWS.

        Raises:
            UsageError: it is longer than a tag may be.
        """
        text = sign(self.key(), Permission.EVIDENCE, evidence.to_json())
        if len(text) > MAX_EVIDENCE_CHARS:
            raise UsageError(f"signed evidence of {len(text)} characters; {MAX_EVIDENCE_CHARS} are allowed")
        return text

    def sign_override(self, request: PromotionRequest) -> str:
        """A promotion without gates as a compact JWS."""
        return sign(self.key(), Permission.OVERRIDE, request.to_json())

    def open_evidence(self, text: str) -> str:
        """The payload of signed evidence. Raises NotTrusted."""
        return verify(text, Permission.EVIDENCE, self.trust)[0]
