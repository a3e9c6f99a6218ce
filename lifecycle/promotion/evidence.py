"""The evidence of one model, in the caller's transaction."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from lifecycle.domain.evidence import Evidence
from lifecycle.promotion.tables import EVIDENCE


class ModelEvidence:
    """Record and read."""

    def __init__(self, session: Session, model_uid: str) -> None:
        self._session = session
        self._model_uid = model_uid

    def record(self, evidence: Evidence, received_from: str) -> None:
        """Keep evidence for good. The same evidence again changes nothing."""
        known = (e.evidence_id for e in self.of(evidence.version, evidence.stage))
        if evidence.evidence_id in known:
            return
        self._session.execute(
            insert(EVIDENCE).values(
                model_uid=self._model_uid,
                version=evidence.version,
                stage=evidence.stage,
                evidence_id=evidence.evidence_id,
                record=evidence.to_json(),
                received_from=received_from,
            )
        )

    def of(self, version: int, stage: str) -> tuple[Evidence, ...]:
        """All evidence for a version and policy stage, newest last."""
        rows = self._session.execute(
            select(EVIDENCE.c.record)
            .where(
                EVIDENCE.c.model_uid == self._model_uid,
                EVIDENCE.c.version == version,
                EVIDENCE.c.stage == stage,
            )
            .order_by(EVIDENCE.c.id)
        )
        return tuple(Evidence.from_json(text) for text in rows.scalars())
