"""Installs the guard in a registry's database, and removes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, insert, text, update
from sqlalchemy.orm import Session

from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.policy import PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import Adoption, PromotionContext
from lifecycle.domain.promotion.transition import transition
from lifecycle.domain.stage_history import StageHolders
from lifecycle.durable import writing_durably
from lifecycle.errors import Conflict, Unavailable
from lifecycle.promotion.audit.export import as_jsonl, records
from lifecycle.promotion.database import (
    EVIDENCE,
    HEADS,
    LEDGER,
    MODELS,
    VERSION_TAGS,
    RegisteredModel,
    create_tables,
    registered_models,
)
from lifecycle.promotion.migrations.upgrade import alone, check_current, has_tables, remove
from lifecycle.promotion.records import ModelLedger
from lifecycle.registry.tags import HISTORY, history_value

REASON = "lifecycle db upgrade"


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version that held a guarded stage or alias without an entry in the ledger.

    Attributes:
        adopted: Whether it was adopted into the ledger. It is not if the guard was installed already: then it
            was moved past the guard.
    """

    workspace: str
    model: str
    version: int
    stage: str
    adopted: bool

    @property
    def uri(self) -> str:
        """``models:/name/version``."""
        return f"models:/{self.model}/{self.version}"


def upgrade_registry(engine: Engine, policies: PolicyBook, who: str, now: datetime) -> list[FoundVersion]:
    """Create or upgrade the guard's tables, and adopt what guarded stages hold. Idempotent.

    Args:
        who: Name of the user who runs it.
        now: UTC.

    Raises:
        ConfigError: a newer release has upgraded the tables.
    """
    with engine.connect() as connection:
        new = not has_tables(connection)
    create_tables(engine)
    if new:  # any client could write the tags of histories on a plain registry; the ledger starts with entry 1
        with engine.begin() as connection:
            connection.execute(delete(VERSION_TAGS).where(VERSION_TAGS.c.key == HISTORY))
    with engine.connect() as connection:
        models = registered_models(connection, policies)
    return [found for model in models.values() for found in _adopt(engine, model, policies, who, now)]


def _adopt(
    engine: Engine, model: RegisteredModel, policies: PolicyBook, who: str, now: datetime
) -> Iterator[FoundVersion]:
    policy = policies.of(model.name)
    if not any(_held(model, stage) for stage in policy.stages):
        return
    with Session(engine) as session, session.begin():
        _lock(session, model)
        current = registered_models(session.connection(), policies, model.name).get(model.uid)
        if current is None:  # deleted a moment ago
            return
        ledger = ModelLedger(session, model.uid, model.name)
        known = ledger.decisive()
        told = StageHolders.after(known, policy.aliases_alone)
        for stage in policy.stages:
            guarded = any(e.stage == stage.name and e.action is not Action.APPROVED for e in known)
            for version, held in _held(current, stage).items():
                if version in {entry.version for entry in told.of(stage.name)}:
                    continue
                if not guarded:
                    adoption = Adoption(model.name, version, stage.name, held, who, REASON)
                    found = transition(PromotionContext(), adoption, policy, UNAUTHENTICATED, now)
                    _show(session, current, ledger.append(found.entry))
                yield FoundVersion(model.workspace, model.name, version, stage.name, adopted=not guarded)


def _lock(session: Session, model: RegisteredModel) -> None:
    """Lock the model by a write, as the guard does, so that later reads stay valid."""
    same = (MODELS.c.workspace == model.workspace, MODELS.c.name == model.name)
    session.execute(update(MODELS).where(*same).values(last_updated_time=MODELS.c.last_updated_time))


def _held(model: RegisteredModel, policy: StagePolicy) -> dict[int, str]:
    """Versions in the stage, and the one that its alias points to, each with what it holds."""
    held: dict[int, list[str]] = {}
    for version in model.stages.get(policy.stage or "", ()):
        held.setdefault(version, []).append(str(policy.stage))
    if (pointed := model.aliases.get(policy.alias or "")) is not None:
        held.setdefault(pointed, []).append(f"alias {policy.alias}")
    return {version: " and ".join(held[version]) for version in sorted(held)}


def _show(session: Session, model: RegisteredModel, entry: LedgerEntry) -> None:
    """Record the adoption, and show it in the version's history."""
    place = {"workspace": model.workspace, "name": model.name, "version": entry.version, "key": HISTORY}
    shown = ModelLedger(session, model.uid, model.name).of_version(entry.version, refusals=0)
    same = (VERSION_TAGS.c[name] == value for name, value in place.items())
    session.execute(delete(VERSION_TAGS).where(*same))
    session.execute(insert(VERSION_TAGS).values(**place, value=history_value(shown, entry.version)))


def remove_guard(engine: Engine, export: Path) -> dict[str, int]:
    """Write ledger and evidence to a file, sync it, then remove all tables of the guard.

    Nothing can be written in between, except on MySQL, which commits each drop: stop the servers first.

    Returns:
        Number of exported records by kind.

    Raises:
        Conflict: the file exists.
        Unavailable: it could not be written; nothing was removed.
        NotFound, ConfigError: there is no guard, or one of a newer release.
    """
    if export.exists():
        raise Conflict(f"{export} is there already; choose another file with --export")
    counts: dict[str, int] = {}
    with alone(engine) as connection:
        check_current(connection)
        if connection.dialect.name == "postgresql":  # keep writers out
            tables = ", ".join(table.name for table in (LEDGER, EVIDENCE, HEADS))
            connection.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))

        def counted() -> Iterator[Mapping[str, Any]]:
            for record in records(connection, None, with_evidence=True):
                counts[record["kind"]] = counts.get(record["kind"], 0) + 1
                yield record

        try:
            with writing_durably(export) as file:
                file.writelines(as_jsonl(counted()))
        except OSError as exc:
            raise Unavailable(f"{export}: cannot be written ({exc.strerror}), so nothing was removed") from exc
        remove(connection)
    return counts
