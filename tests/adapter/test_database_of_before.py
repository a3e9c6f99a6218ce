"""A database that the release before wrote: its ledger verifies, its evidence counts, and it goes on from there.

``before/mlflow.sql`` is a dump of one that commit b36fdef wrote, with every kind of entry that a registry without
authentication has. Where its files lay stands ``@ROOT@``.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lifecycle.assembly import load_settings
from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.errors import PromotionRefused
from lifecycle.promotion.audit import audit
from lifecycle.promotion.consistency import inconsistencies
from lifecycle.promotion.database import one_moment, open_database
from lifecycle.promotion.install import upgrade_registry
from lifecycle.registry.location import Location
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.signing.local_key import own_key, trust_store

BEFORE = Path(__file__).parent / "before"
WRITTEN_AT = datetime(2026, 11, 30, 21, 19, tzinfo=UTC)


class Past:
    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.uri = home, f"sqlite:///{home / 'mlflow.db'}"
        monkeypatch.setenv("LIFECYCLE_HOME", str(home))
        monkeypatch.setenv("LIFECYCLE_CONFIG", str(BEFORE / "lifecycle.yaml"))
        (home / "keys").mkdir()
        shutil.copyfile(BEFORE / "trusted.json", home / "keys" / "trusted.json")
        (home / "keys" / "trusted.json").chmod(0o600)  # however it was checked out
        for number in (1, 2, 3):
            folder = home / "files" / str(number)
            folder.mkdir(parents=True)
            (folder / "MLmodel").write_text(f"flavors: {{}}\nmodel_uuid: {number}\n")
        script = (
            (BEFORE / "mlflow.sql").read_text(encoding="utf-8").replace("@FILES@", (home / "files").as_uri()[7:])
        )
        with closing(sqlite3.connect(home / "mlflow.db")) as database:
            database.executescript(script)
        self.policies = load_settings().policies
        self.trust = trust_store(home, {})

    def registry(self) -> MlflowRegistry:
        signer = EvidenceSigner(lambda: own_key(self.home, {}, self.trust, datetime.now(UTC)), self.trust)
        location = Location(self.uri, f"lifecycle+{self.uri}")
        return MlflowRegistry(
            location, SnapshotStore(self.home / "snapshots"), self.policies, lambda: WRITTEN_AT, signer
        )

    def rows(self) -> list[Any]:
        with closing(sqlite3.connect(self.home / "mlflow.db")) as database:
            entries = database.execute("SELECT * FROM lifecycle_ledger ORDER BY model_uid, sequence").fetchall()
            return entries + database.execute("SELECT * FROM lifecycle_evidence ORDER BY id").fetchall()

    def breaks(self) -> list[str]:
        with open_database(self.uri) as engine, one_moment(engine) as connection:
            report = audit(connection, self.trust, self.policies)
        assert sum(ledger.entries for ledger in report.ledgers) >= 11
        assert report.evidence == 5
        return [f"{found.what}: {found.message}" for found in [*report.breaks, *report.notes]]


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    return Past(tmp_path, monkeypatch)


def test_its_ledger_and_its_evidence_verify_and_an_upgrade_changes_no_byte_of_them(past):
    before = past.rows()
    assert past.breaks() == []
    with open_database(past.uri) as engine:
        assert upgrade_registry(engine, past.policies, "ada", datetime.now(UTC)) == []
    assert past.rows() == before
    assert past.breaks() == []


def test_a_client_reads_its_history_and_proves_what_stands(past):
    registry = past.registry()
    history = registry.history("wine")
    assert [entry.action for entry in history] == [
        *(Action.REFUSED, Action.PROMOTED, Action.REFUSED, Action.PROMOTED, Action.PROMOTED, Action.PROMOTED),
        *(Action.ROLLED_BACK, Action.OVERRIDDEN, Action.DEMOTED, Action.ROLLED_BACK),
    ]
    assert broken_links(history) == []
    state = registry.state("wine")
    assert inconsistencies(state, past.policies.of("wine"), WRITTEN_AT) == []
    assert {e.stage for e in state.evidence_of(1)} == {"staging", "production"}
    registry.verify(state.versions[1], history[-1])
    registry.verify(state.versions[2], next(e for e in history if e.action is Action.OVERRIDDEN))


def test_it_goes_on_where_it_was(past):
    past.registry().promote(PromotionRequest("wine", 1, "production", RequestKind.ROLLBACK, reason="again"))
    with pytest.raises(PromotionRefused, match="never in production by its gates"):
        past.registry().promote(PromotionRequest("wine", 3, "production", RequestKind.ROLLBACK))
    assert past.registry().history("wine")[-2].action is Action.ROLLED_BACK
    assert past.breaks() == []


def test_its_evidence_counts_for_as_long_as_it_did(past, registry_store_at):
    store = registry_store_at(past, WRITTEN_AT)
    store.transition_model_version_stage("wine", 1, "Production", True)
    assert past.registry().history("wine")[-1].action is Action.PROMOTED
    assert past.breaks() == []


@pytest.fixture
def registry_store_at():
    from mlflow_lifecycle.guarded_store import guarded_store

    from lifecycle.promotion.guard import Guard
    from lifecycle.registry.snapshot import ArtifactDigests

    def make(past: Past, now: datetime) -> Any:
        return guarded_store(past.uri, Guard(past.policies, past.trust, lambda: now), ArtifactDigests().of)

    return make
