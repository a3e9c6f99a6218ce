"""A guarded registry's database with a past: what an audit reads, without MLflow, which is slow to lay it out.

MLflow's own tables are there as far as an audit looks at them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session

from lifecycle.codec import decode
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.text import canonical_json
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.promotion.audit import audit
from lifecycle.promotion.audit.export import as_jsonl, read_export, records
from lifecycle.promotion.audit.findings import AuditReport
from lifecycle.promotion.database import create_tables, model_uid
from lifecycle.promotion.records import ModelEvidence, ModelLedger
from lifecycle.signing.jws import sign
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore

START = datetime(2026, 5, 1, tzinfo=UTC)
POLICIES = PolicyBook(
    ModelPolicy(
        (
            StagePolicy("staging", "Staging", (GateSpec("signature"),)),
            StagePolicy("production", "Production", (GateSpec("signature"),), alias="champion"),
        )
    )
)
MLFLOW = (
    "CREATE TABLE registered_models (workspace, name, creation_time, last_updated_time)",
    "CREATE TABLE model_versions (workspace, name, version, current_stage, source, creation_time)",
    "CREATE TABLE registered_model_aliases (workspace, name, alias, version)",
    "CREATE TABLE model_version_tags (workspace, name, version, key, value)",
)


class Archive:
    """Models, whose pasts tests tell, and the look that an auditor takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine: Engine = create_engine(f"sqlite:///{folder / 'registry.db'}")
        event.listen(self.engine, "connect", _hasten)
        self.trust = TrustStore(folder / "trusted.json")
        self.key = SigningKey.generate()
        self.now = START
        self.uids: dict[str, str] = {}

    @classmethod
    def made(cls, folder: Path) -> Archive:
        """An empty one."""
        archive = cls(folder)
        archive.trust.trust(archive.key, "ci", [Permission.EVIDENCE], START)
        for statement in MLFLOW:
            archive.sql(statement)
        create_tables(archive.engine)
        return archive

    def copy(self, folder: Path) -> Archive:
        """Another one with the same past."""
        shutil.copy(self.folder / "registry.db", folder)
        shutil.copy(self.trust.file, folder)
        archive = Archive(folder)
        archive.key, archive.now, archive.uids = self.key, self.now, dict(self.uids)
        return archive

    # What happens

    def register(self, model: str, versions: int) -> None:
        self.now += timedelta(hours=1)
        created = int(self.now.timestamp() * 1000)
        self.uids[model] = model_uid("default", model, created)
        self.sql("INSERT INTO registered_models VALUES ('default', ?, ?, ?)", model, created, created)
        for number in range(1, versions + 1):
            self.sql(
                "INSERT INTO model_versions VALUES ('default', ?, ?, 'None', 'file:///m', ?)",
                *(model, number, created),
            )

    def write(self, action: Action, version: int, stage: str = "production", model: str = "wine", **fields: Any):
        """Append an entry, as the guard does."""
        self.now += timedelta(hours=1)
        entry = LedgerEntry(0, self.now, action, model, stage, version, **{"actor": "ada"} | fields)
        with Session(self.engine) as session, session.begin():
            return ModelLedger(session, self.uids[model], model).append(entry)

    def judge(self, version: int, stage: str = "production", model: str = "wine", **change: Any) -> Evidence:
        """Record evidence, as the guard does."""
        self.now += timedelta(hours=1)
        verdict = Verdict("signature", change.pop("outcome", Outcome.PASSED), "signature.x", "said so")
        expires = self.now + timedelta(days=7)
        record = Evidence(model, version, stage, f"{version:064x}", "a" * 64, (verdict,), self.now, expires)
        record = replace(record, **change)
        self.put(record, self.signed(record))
        return record

    def signed(self, record: Evidence, key: SigningKey | None = None) -> str:
        return sign(key or self.key, Permission.EVIDENCE, record.to_json())

    def put(self, record: Evidence, signed: str, model: str | None = None) -> None:
        with Session(self.engine) as session, session.begin():
            uid = self.uids[model or record.model]
            ModelEvidence(session, uid, self.trust).record(record, signed, "grace")

    def promote(self, version: int, stage: str = "production", model: str = "wine", **fields: Any) -> LedgerEntry:
        """Judge, promote, and move it in MLflow's tables too."""
        record = self.judge(version, stage, model)
        self.place(version, stage.title(), model)
        fields = {"digest": record.digest, "evidence_id": record.evidence_id, "reason": "fine"} | fields
        return self.write(Action.PROMOTED, version, stage, model, **fields)

    def place(self, version: int, stage: str, model: str = "wine") -> None:
        """In MLflow's tables alone."""
        self.sql(
            "UPDATE model_versions SET current_stage = 'Archived' WHERE name = ? AND current_stage = ?",
            model,
            stage,
        )
        self.sql(
            "UPDATE model_versions SET current_stage = ? WHERE name = ? AND version = ?", stage, model, version
        )
        if stage == "Production":
            self.point("champion", version, model)

    def point(self, alias: str, version: int, model: str = "wine") -> None:
        """In MLflow's tables alone."""
        self.sql("DELETE FROM registered_model_aliases WHERE name = ? AND alias = ?", model, alias)
        self.sql("INSERT INTO registered_model_aliases VALUES ('default', ?, ?, ?)", model, alias, version)

    def live(self) -> None:
        """A past with something of everything, for three models, one of which was deleted."""
        for model in ("wine", "beer", "gone"):
            self.register(model, 4)
            self._live(model)
        self.write(Action.DEMOTED, 1, model="gone", previous=1)
        for table in ("registered_models", "model_versions", "registered_model_aliases"):
            self.sql(f"DELETE FROM {table} WHERE name = 'gone'")

    def _live(self, model: str) -> None:
        self.write(Action.ADOPTED, 4, model=model)
        self.write(Action.REFUSED, 1, model=model, detail="no gate has been run for it")
        failed = self.judge(1, model=model, outcome=Outcome.FAILED)
        named = {"digest": failed.digest, "evidence_id": failed.evidence_id}
        self.write(Action.REFUSED, 1, model=model, detail="not passed", **named)
        self.promote(1, "staging", model, key=f"{model}-1")
        named["evidence_id"] = self.judge(1, model=model, requested_by="ünïcode").evidence_id
        self.write(Action.APPROVED, 1, model=model, actor="bob", reason="tasted it", **named)
        self.promote(1, model=model)
        self.promote(2, model=model, previous=1, requested_by="cy")
        self.write(Action.OVERRIDDEN, 3, model=model, previous=2, until=self.now + timedelta(days=1))
        first = self.entries(model)[-3]
        self.write(Action.ROLLED_BACK, 1, model=model, digest=first["digest"], evidence_id=first["evidence_id"])
        self.place(1, "Production", model)

    # What is there

    def audit(self, **how: Any) -> AuditReport:
        with self.engine.connect() as connection:
            return audit(connection, self.trust, POLICIES, **how)

    def whole(self) -> bool:
        return self.audit().whole

    def breaks(self, **how: Any) -> list[tuple[str, str, int | None]]:
        """What is wrong, of which model, where."""
        return [(str(found.what), found.model, found.sequence) for found in self.audit(**how).breaks]

    def exported(self, *, with_evidence: bool = False) -> Any:
        """What an auditor keeps."""
        file = self.folder / "export.jsonl"
        with self.engine.connect() as connection:
            file.write_bytes(b"".join(as_jsonl(records(connection, None, with_evidence=with_evidence))))
        return read_export(file)

    def entries(self, model: str) -> list[dict[str, Any]]:
        query = "SELECT entry FROM lifecycle_ledger WHERE model_uid = ? ORDER BY sequence"
        return [json.loads(row.entry) for row in self.sql(query, self.uids[model])]

    # What is done to it

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with self.engine.begin() as connection:
            answer = connection.exec_driver_sql(statement, values)
            return list(answer) if answer.returns_rows else []

    def unlock(self) -> None:
        """Drop the triggers, as somebody may who owns the database."""
        with self.engine.begin() as connection:
            drop_triggers(connection)

    def reseal(self, model: str, first: int, change: Mapping[str, Any]) -> None:
        """Change an entry, then make every hash from there on, and the head, what they should be."""
        uid, follows = self.uids[model], ""
        for fields in self.entries(model):
            entry = decode(LedgerEntry, canonical_json(fields))
            if entry.sequence == first:
                entry = replace(entry, **change)
            sealed = entry.with_hash(follows) if entry.sequence >= first and follows else entry
            sealed = entry.with_hash(uid) if entry.sequence == first == 1 else sealed
            follows = sealed.hash
            text_now = json.dumps(sealed.as_dict(), sort_keys=True, separators=(",", ":"))
            self.sql(
                "UPDATE lifecycle_ledger SET entry = ? WHERE model_uid = ? AND sequence = ?",
                *(text_now, uid, entry.sequence),
            )
        self.sql("UPDATE lifecycle_heads SET hash = ? WHERE model_uid = ?", follows, uid)


def _hasten(connection: Any, _record: object) -> None:
    """No test cuts the power, so nothing has to be on the disk."""
    connection.execute("PRAGMA synchronous = OFF")


def drop_triggers(connection: Connection) -> None:
    names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    for name in names:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
