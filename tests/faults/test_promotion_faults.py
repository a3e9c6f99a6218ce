"""Races, kills and broken databases: one winner, before or after but never between, one clear line.

This file is also the program that the tests start: other processes that promote, one line of input each.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import LedgerEntry, broken_links
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion import PromotionRequest
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.errors import Conflict, Unavailable
from lifecycle.processes.spawn import free_port
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.snapshot import SnapshotStore

SEED = 20261121
ROUNDS = 30
KILLS = 5
CRASH_POINTS = ("place", "point", "append", "show")
POLICY = StagePolicy("production", "Production", (GateSpec("signature"),), alias="champion")
POLICIES = PolicyBook(ModelPolicy((POLICY,)))
YAML = "defaults: {stages: {production: {stage: Production, alias: champion, gates: [signature]}}}"


def open_registry(database: Path) -> MlflowRegistry:
    return MlflowRegistry(
        f"sqlite:///{database}",
        f"lifecycle+sqlite:///{database}",
        SnapshotStore(database.with_name("snapshots")),
        POLICIES,
        lambda: datetime.now(UTC),
    )


# The program


def prepare(database: Path) -> None:
    """Lay out a database with versions 1 and 2 of ``wine`` and passing evidence for both."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}", f"sqlite:///{database}")
    client.create_registered_model("wine")
    registry, now = open_registry(database), datetime.now(UTC)
    verdicts = (Verdict("signature", Outcome.PASSED, "signature.ok", "fine"),)
    for version in (1, 2):
        client.create_model_version("wine", f"file:///nowhere/{version}", await_creation_for=None)
        digests = f"{version:064x}", POLICY.digest
        times = now, now + timedelta(days=1)
        registry.publish(Evidence("wine", version, "production", *digests, verdicts, *times), {})


def promote_on_demand(database: Path) -> None:
    """Each line of input is a request; the answer is how it went."""
    registry = open_registry(database)
    registry.versions("wine")
    say("ready")
    for line in sys.stdin:
        try:
            registry.promote(PromotionRequest(**json.loads(line)))
            say("won")
        except Conflict:
            say("lost")


def promote_without_end(database: Path) -> None:
    """Versions 1 and 2 in turn, until somebody kills us."""
    registry = open_registry(database)
    registry.promote(PromotionRequest("wine", 1, "production"))
    say("ready")
    while True:
        for version in (2, 1):
            registry.promote(PromotionRequest("wine", version, "production"))


def promote_and_die(database: Path, point: str) -> None:
    """Promote version 2, and be killed right after the named step of the transaction."""
    from mlflow_lifecycle.locked_model import LockedModel

    from lifecycle.promotion.ledger import ModelLedger

    owner = ModelLedger if point == "append" else LockedModel
    step: Callable[..., None] = getattr(owner, point)

    def last_step(*args: object) -> None:
        step(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, point, last_step)
    open_registry(database).promote(PromotionRequest("wine", 2, "production"))


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


# The tests


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "lifecycle.yaml").write_text(YAML)
    with started("prepare", folder / "mlflow.db") as process:
        assert process.wait(timeout=120) == 0
    return folder / "mlflow.db"


@pytest.fixture
def database(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(prepared.with_name("lifecycle.yaml"), tmp_path)
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(tmp_path / "lifecycle.yaml"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return Path(shutil.copy(prepared, tmp_path / "mlflow.db"))


@pytest.fixture
def registry(database: Path) -> MlflowRegistry:
    return open_registry(database)


@contextmanager
def started(role: str, database: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {
        "LIFECYCLE_CONFIG": str(database.with_name("lifecycle.yaml")),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    process = subprocess.Popen(
        [sys.executable, __file__, role, str(database), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
        bufsize=1,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ledger(database: Path) -> list[LedgerEntry]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select entry from lifecycle_ledger order by sequence").fetchall()
    return [LedgerEntry.from_dict(json.loads(text)) for (text,) in rows]


def check_whole(registry: MlflowRegistry, database: Path) -> int | None:
    """Stage, alias, ledger and the history that is shown tell one story; returns the version in the stage."""
    entries = ledger(database)
    assert broken_links(entries) == []
    assert list(registry.history("wine"))[-5:] == entries[-5:]
    held = {v.version: v.aliases for v in registry.versions("wine") if v.stage == "Production"}
    aliased = [v.version for v in registry.versions("wine") if "champion" in v.aliases]
    assert list(held) == aliased
    assert len(held) <= 1
    moved = [e.version for e in entries if e.moved]
    if held:
        assert list(held) == moved[-1:]
    return next(iter(held), None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*transition_model_version_stage.*deprecated:FutureWarning")
def test_of_two_processes_that_expect_the_same_one_wins_every_round(registry, database):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}", f"lifecycle+sqlite:///{database}")
    winners = []
    with started("promote_on_demand", database) as one, started("promote_on_demand", database) as two:
        assert (heard(one), heard(two)) == ("ready", "ready")
        for _ in range(ROUNDS):
            for version, process in ((1, one), (2, two)):
                request = {"model": "wine", "version": version, "stage": "production", "expected": 0}
                process.stdin.write(json.dumps(request) + "\n")
            outcomes = {1: heard(one), 2: heard(two)}
            assert sorted(outcomes.values()) == ["lost", "won"]
            winner = check_whole(registry, database)
            assert outcomes[winner] == "won"
            winners.append(winner)
            client.transition_model_version_stage("wine", str(winner), "Archived")
    assert len(ledger(database)) == 2 * ROUNDS


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_killed_within_a_promotion_nothing_has_happened(registry, database, point):
    registry.promote(PromotionRequest("wine", 1, "production"))
    before = ledger(database)
    with started("promote_and_die", database, point) as process:
        assert process.wait(timeout=120) == -signal.SIGKILL
    assert check_whole(registry, database) == 1
    assert ledger(database) == before
    registry.promote(PromotionRequest("wine", 2, "production", expected=1))
    assert check_whole(registry, database) == 2


@pytest.mark.slow
def test_killed_at_any_moment_a_promotion_has_happened_or_not(registry, database):
    chance = random.Random(SEED)
    for kill in range(KILLS):
        with started("promote_without_end", database) as process:
            assert heard(process) == "ready"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0.1, 0.6))
        assert check_whole(registry, database) in (1, 2), f"seed {SEED}, kill {kill}"
    assert len(ledger(database)) > 2 * KILLS


def test_what_cannot_be_recorded_does_not_happen_and_prints_no_traceback(registry, database, caplog):
    registry.promote(PromotionRequest("wine", 1, "production"))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("alter table lifecycle_ledger rename to elsewhere")
        with pytest.raises(Unavailable) as caught:
            registry.promote(PromotionRequest("wine", 2, "production"))
        connection.execute("alter table elsewhere rename to lifecycle_ledger")
    assert "\n" not in str(caught.value)
    assert not [record for record in caplog.records if record.exc_info]
    assert check_whole(registry, database) == 1


@pytest.mark.slow  # MLflow waits 20 s for a lock
def test_a_locked_database_is_unavailable_and_nothing_changes(registry, database):
    registry.promote(PromotionRequest("wine", 1, "production"))
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        with pytest.raises(Unavailable, match="database is locked") as caught:
            registry.promote(PromotionRequest("wine", 2, "production"))
    assert "\n" not in str(caught.value)
    assert check_whole(registry, database) == 1
    registry.promote(PromotionRequest("wine", 2, "production"))
    assert check_whole(registry, database) == 2


@pytest.mark.parametrize("how", ["removed", "overwritten", "a folder"])
def test_a_database_that_is_gone_is_unavailable_and_is_not_made_anew(registry, database, how):
    registry.versions("wine")
    database.unlink()
    if how == "overwritten":
        database.write_bytes(b"not a database at all" * 100)
    elif how == "a folder":
        database.mkdir()
    for ask in (
        lambda: registry.versions("wine"),
        lambda: registry.promote(PromotionRequest("wine", 1, "production")),
        lambda: open_registry(database).guarded,
    ):
        with pytest.raises(Unavailable) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert database.exists() is (how != "removed")


def test_a_server_that_is_gone_is_unavailable_without_its_password(tmp_path):
    url = f"http://ada:secret@127.0.0.1:{free_port()}"
    registry = MlflowRegistry(url, url, SnapshotStore(tmp_path), POLICIES, lambda: datetime.now(UTC))
    with pytest.raises(Unavailable, match="no MLflow server answers") as caught:
        registry.versions("wine")
    assert "secret" not in str(caught.value)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
