"""Validates the payloads of reserved tags. Nothing is trusted: form, size and addressee are checked."""

from __future__ import annotations

import re
from typing import TypeVar

from lifecycle.codec import decode
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import NotTrusted, UsageError
from lifecycle.registry.tags import MAX_EVIDENCE_CHARS
from lifecycle.signing.jws import verify
from lifecycle.signing.trust import Permission, TrustedKey, TrustStore

_Record = TypeVar("_Record", Evidence, PromotionRequest)

_MAX_REQUEST_CHARS = 8_000
_MAX_TEXT_CHARS = {"reason": 1_000, "requested_by": 256, "key": 128, "stage": 50, "digest": 64}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def read_evidence(text: str, model: str, version: int, stage: str, trust: TrustStore) -> Evidence:
    """Evidence for exactly this version and stage, from a signed text.

    Raises:
        NotTrusted: it is not signed by a key with that permission.
        UsageError: it is signed, but malformed or for another version.
    """
    if len(text) > MAX_EVIDENCE_CHARS:
        raise UsageError(f"evidence of {len(text)} characters; {MAX_EVIDENCE_CHARS} are allowed")
    payload, _ = _opened(text, Permission.EVIDENCE, trust, "This evidence does not count")
    evidence = _read(Evidence, payload, "evidence")
    if (evidence.model, evidence.version, evidence.stage) != (model, version, stage):
        raise UsageError(f"this evidence does not speak of version {version} of {model} for {stage}")
    if not all(_DIGEST.fullmatch(digest) for digest in (evidence.digest, evidence.policy_digest)):
        raise UsageError("evidence names its snapshot and its policy by sha256 digests in hex")
    return evidence


def read_request(text: str, model: str, version: int) -> PromotionRequest:
    """A promotion request for exactly this version. Raises UsageError for anything else."""
    if len(text) > _MAX_REQUEST_CHARS:
        raise UsageError(f"a promotion request of {len(text)} characters; {_MAX_REQUEST_CHARS} are allowed")
    request = _read(PromotionRequest, text, "a promotion request")
    if (request.model, request.version) != (model, version):
        raise UsageError(f"this request does not speak of version {version} of {model}")
    for name, limit in _MAX_TEXT_CHARS.items():
        if len(getattr(request, name)) > limit:
            raise UsageError(f"{name} of a promotion request is text of at most {limit} characters")
    if request.digest and not _DIGEST.fullmatch(request.digest):
        raise UsageError("digest of a promotion request is a sha256 digest in hex")
    return request


def check_reason(text: str) -> str:
    """The reason in an approval's tag. Raises UsageError when it is too long."""
    limit = _MAX_TEXT_CHARS["reason"]
    if len(text) > limit:
        raise UsageError(f"the reason of an approval is text of at most {limit} characters")
    return text


def read_override(text: str, model: str, version: int, trust: TrustStore) -> tuple[PromotionRequest, TrustedKey]:
    """An override, and the key that signed it.

    Raises:
        NotTrusted: it is not signed by a key with that permission.
        UsageError: it is signed, but malformed or for another version.
    """
    payload, key = _opened(text, Permission.OVERRIDE, trust, "This override is not allowed")
    request = read_request(payload, model, version)
    if request.kind is not RequestKind.OVERRIDE:
        raise UsageError("what is signed is not an override")
    return request, key


def _opened(text: str, permission: Permission, trust: TrustStore, what: str) -> tuple[str, TrustedKey]:
    try:
        return verify(text, permission, trust)
    except NotTrusted as exc:
        raise NotTrusted(f"{what}: {exc}") from exc


def _read(kind: type[_Record], text: str, what: str) -> _Record:
    try:
        return decode(kind, text)
    except ValueError as exc:
        raise UsageError(f"the tag does not hold {what}: {exc}") from exc
