"""The evidence of one model, in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from lifecycle.domain.evidence import Evidence
from lifecycle.errors import NotTrusted
from lifecycle.promotion.tables import EVIDENCE
from lifecycle.signing.jws import verify
from lifecycle.signing.trust import Permission, TrustStore


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What lies there for a version and stage.

    Attributes:
        trusted: Evidence with a signature that holds today, newest last.
        distrusted: How many others there are: their key was revoked, or somebody has written into the table.
    """

    trusted: tuple[Evidence, ...]
    distrusted: int


class ModelEvidence:
    """Record and read."""

    def __init__(self, session: Session, model_uid: str, trust: TrustStore) -> None:
        self._session = session
        self._model_uid = model_uid
        self._trust = trust

    def record(self, evidence: Evidence, signed: str, received_from: str) -> None:
        """Keep evidence for good, as it was signed. The same evidence again changes nothing."""
        known = select(EVIDENCE.c.id).where(*self._about(evidence.version, evidence.stage))
        if self._session.execute(known.where(EVIDENCE.c.evidence_id == evidence.evidence_id)).first():
            return
        self._session.execute(
            insert(EVIDENCE).values(
                model_uid=self._model_uid,
                version=evidence.version,
                stage=evidence.stage,
                evidence_id=evidence.evidence_id,
                signed=signed,
                received_from=received_from,
            )
        )

    def is_there(self, version: int, stage: str) -> bool:
        """Whether there is any for a version and policy stage, whatever it is worth today."""
        query = select(EVIDENCE.c.id).where(*self._about(version, stage)).limit(1)
        return self._session.execute(query).first() is not None

    def signed(self, version: int, stage: str, evidence_id: str | None) -> str | None:
        """Evidence as it was signed, if it is on record."""
        query = select(EVIDENCE.c.signed).where(*self._about(version, stage))
        return self._session.execute(query.where(EVIDENCE.c.evidence_id == evidence_id)).scalar()

    def of(self, version: int, stage: str) -> OnRecord:
        """All evidence for a version and policy stage. Signatures are verified again: keys get revoked."""
        query = select(EVIDENCE.c.signed).where(*self._about(version, stage)).order_by(EVIDENCE.c.id)
        texts = self._session.execute(query).scalars().all()
        trusted = [evidence for text in texts if (evidence := self._verified(text, version, stage))]
        return OnRecord(tuple(trusted), len(texts) - len(trusted))

    def _verified(self, text: str, version: int, stage: str) -> Evidence | None:
        try:
            evidence = Evidence.from_json(verify(text, Permission.EVIDENCE, self._trust)[0])
        except (NotTrusted, ValueError):
            return None
        return evidence if (evidence.version, evidence.stage) == (version, stage) else None

    def _about(self, version: int, stage: str) -> tuple[ColumnElement[bool], ...]:
        return (
            EVIDENCE.c.model_uid == self._model_uid,
            EVIDENCE.c.version == version,
            EVIDENCE.c.stage == stage,
        )
