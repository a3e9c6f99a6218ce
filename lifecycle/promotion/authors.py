"""Who registered which version, in the caller's transaction: their own approval does not count."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from lifecycle.domain.ledger import UNAUTHENTICATED
from lifecycle.promotion.tables import AUTHORS


def record_author(session: Session, model_uid: str, version: int, author: str) -> None:
    """Keep who registered a version, where somebody has authenticated them."""
    if author != UNAUTHENTICATED:
        session.execute(insert(AUTHORS).values(model_uid=model_uid, version=version, author=author))


def author_of(session: Session, model_uid: str, version: int) -> str | None:
    """Who registered a version; None where nobody knows."""
    query = select(AUTHORS.c.author).where(AUTHORS.c.model_uid == model_uid, AUTHORS.c.version == version)
    return session.execute(query).scalar()
