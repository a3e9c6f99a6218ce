"""Databases that are gone, full, locked or read-only: before or after but never between, and one clear line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.errors import Conflict, LifecycleError, Unavailable
from lifecycle.processes.process import free_port
from lifecycle.registry.location import Location
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.snapshot import SnapshotStore
from tests.databases import SERVERS, SqliteFiles, forget, run
from tests.faults.disks import fill, read_only, small_disk
from tests.faults.promoting import POINTS, USUAL_POINTS
from tests.faults.wine import POLICIES, Wine, now
from tests.proof import FULL, some

HANGS_S = 60
WAITS_LONGEST_S = 40  # for a lock: SQLite and PostgreSQL 20 s


def ask(wine: Wine, version: int, **request) -> None:
    wine.registry().promote(PromotionRequest("wine", version, "production", **request))


def refused(call: Callable[[], object], kind: type[LifecycleError] = Unavailable) -> str:
    """The one line of an error."""
    with pytest.raises(kind) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    assert "Traceback" not in said
    return said


def check_told_what_is_so(wine: Wine, answer: dict[str, object], before: object) -> None:
    """Whoever was told that it was done finds it done; whoever was told an error finds all of it or nothing."""
    after = wine.state()
    if answer["error"] is None:
        assert wine.check_whole() == 2
    else:
        assert answer["error"] == "Unavailable", answer
        assert "\n" not in str(answer["said"])
        assert after == before or wine.check_whole() == 2


def repeat(wine: Wine, promoter, key: str) -> None:
    """The same promotion once more, which ends in Production whatever came of the first."""
    promoter.order(wine, 2, key=key, blow="nothing")
    assert promoter.answer()["error"] is None, key
    assert wine.check_whole() == 2
    assert [entry.key for entry in wine.ledger()].count(key) == 1


# The database goes away in the middle


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("kind", SERVERS, indirect=True)
def test_connections_that_are_ended_at_each_point(wine, promoters):
    (promoter,) = promoters(wine)
    for point in POINTS:
        before = wine.state()
        promoter.order(wine, 2, key=point, point=point, blow="connections ended")
        answer = promoter.answer()
        assert answer["happened"]
        check_told_what_is_so(wine, answer, before)
        repeat(wine, promoter, point)
        wine.restore()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_server_that_is_killed_at_each_point(wine, promoters, postgres):
    (promoter,) = promoters(wine)
    for point in POINTS if FULL else USUAL_POINTS[2:]:
        before = wine.state()
        promoter.order(wine, 2, key=point, point=point, blow="server killed", server=postgres.server.get_pid())
        answer = promoter.answer()
        assert answer["happened"]
        wait_until_gone(postgres.server.get_pid())
        postgres.restart()
        check_told_what_is_so(wine, answer, before)
        repeat(wine, promoter, point)
        wine.restore()


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_file_that_is_moved_away_at_each_point_and_comes_back(wine, promoters):
    (promoter,) = promoters(wine)
    file = Path(str(make_url(wine.uri).database))
    for point in POINTS:
        before = wine.state()
        promoter.order(wine, 2, key=point, point=point, blow="file moved away", file=str(file))
        answer = promoter.answer()
        assert answer["happened"]
        assert not file.exists(), "nobody makes a new one"
        assert "no readable database" in refused(lambda: wine.registry().versions("wine"))
        Path(f"{file}.away").rename(file)
        check_told_what_is_so(wine, answer, before)
        repeat(wine, promoter, point)
        wine.restore()


# The database is not there, or is something else


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("how", ["removed", "overwritten", "a folder"])
def test_a_database_that_is_gone_is_unavailable_and_is_not_made_anew(wine, how):
    registry, file = wine.registry(), Path(str(make_url(wine.uri).database))
    registry.versions("wine")
    file.unlink()
    if how == "overwritten":
        file.write_bytes(b"not a database at all" * 100)
    elif how == "a folder":
        file.mkdir()
    refused(lambda: registry.versions("wine"))
    refused(lambda: registry.promote(PromotionRequest("wine", 1, "production")))
    refused(lambda: wine.registry().guarded)
    assert file.exists() is (how != "removed")
    if how == "a folder":
        file.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_server_that_is_stopped_is_unavailable_at_once_and_back_when_it_is(wine, postgres):
    registry = wine.registry()
    registry.versions("wine")
    postgres.server.stop()
    try:
        started = time.monotonic()
        refused(lambda: registry.promote(PromotionRequest("wine", 2, "production")))
        assert time.monotonic() - started < HANGS_S
    finally:
        postgres.restart()
    registry.promote(PromotionRequest("wine", 2, "production"))
    assert wine.check_whole() == 2


def test_what_cannot_be_recorded_does_not_happen_and_prints_no_traceback(wine, caplog):
    before = wine.state()
    run(wine.uri, "ALTER TABLE lifecycle_ledger RENAME TO elsewhere")
    refused(lambda: ask(wine, 2))
    run(wine.uri, "ALTER TABLE elsewhere RENAME TO lifecycle_ledger")
    assert not [record for record in caplog.records if record.exc_info]
    assert wine.state() == before
    assert wine.check_whole() == 1


def test_a_server_that_is_gone_is_unavailable_without_its_password(wine):
    url = f"http://ada:secret@127.0.0.1:{free_port()}"
    snapshots = SnapshotStore(wine.home / "snapshots")
    registry = MlflowRegistry(Location(url, url), snapshots, POLICIES, now, wine.signer())
    said = refused(lambda: registry.versions("wine"))
    assert "no MLflow server answers" in said
    assert "secret" not in said


# Somebody holds the lock


@pytest.mark.slow  # as long as MLflow and we wait for a lock
@pytest.mark.parametrize("kind", some(["sqlite", "postgresql", "mysql"], "sqlite"), indirect=True)
def test_a_lock_that_somebody_holds_is_a_conflict_after_a_while_and_nothing_changes(wine):
    before = wine.state()
    with locked(wine):
        started = time.monotonic()
        assert "another client is changing this model" in refused(lambda: ask(wine, 2), Conflict)
        assert time.monotonic() - started < WAITS_LONGEST_S
    assert wine.state() == before
    ask(wine, 2)
    assert wine.check_whole() == 2


@contextmanager
def locked(wine: Wine) -> Iterator[None]:
    """Somebody who has begun to change the model, and does not go on."""
    engine = create_engine(wine.uri, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE registered_models SET description = 'mine' WHERE name = 'wine'")
        yield
        connection.rollback()


# The disk


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk(48) as folder:
        yield folder


@pytest.fixture
def on_small_disk(kind, disk, prepared, request, monkeypatch) -> Iterator[Wine]:
    """The model in a database that lies on the small disk."""
    template = prepared(kind)
    with ExitStack() as stack:
        if kind == "sqlite":
            place = SqliteFiles(disk)
        else:
            place = stack.enter_context(request.getfixturevalue("postgres").tablespace_in(disk))
        wine = Wine(template.home, place.copy(template.uri))
        stack.callback(place.drop, wine.uri)
        stack.callback(forget, wine.uri)
        for name, value in wine.environment.items():
            monkeypatch.setenv(name, value)
        yield wine


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"], indirect=True)
def test_on_a_full_disk_it_happens_or_it_does_not_and_goes_on_when_there_is_room(on_small_disk, disk):
    wine = on_small_disk
    registry = wine.registry()
    registry.versions("wine")
    fill(disk / "filler", leave=64 << 10)
    done = [1]

    def promote_in_turn() -> None:
        for version in [3, 4] * 1000:
            registry.promote(PromotionRequest("wine", version, "production"))
            done.append(version)

    assert re.search("disk is full|No space left", refused(promote_in_turn))
    (disk / "filler").unlink()  # PostgreSQL lets nobody in without a byte to spare
    assert wine.check_whole() == done[-1]
    registry.promote(PromotionRequest("wine", 2, "production"))
    assert wine.check_whole() == 2


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_disk_that_is_full_at_each_point(on_small_disk, disk, promoters):
    wine = on_small_disk
    (promoter,) = promoters(wine)
    for point in POINTS:
        before, filler = wine.state(), disk / "filler"
        promoter.order(wine, 2, key=point, point=point, blow="disk full", file=str(filler))
        answer = promoter.answer()
        assert answer["happened"]
        check_told_what_is_so(wine, answer, before)
        filler.unlink()
        repeat(wine, promoter, point)
        wine.restore()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*transition_model_version_stage.*deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_file_on_a_disk_that_became_read_only_is_unavailable(on_small_disk, disk):
    wine, before = on_small_disk, on_small_disk.state()
    read_only(disk, so=True)
    try:
        assert "read-only" in refused(lambda: ask(wine, 2))
        client = MlflowClient(wine.uri, f"lifecycle+{wine.uri}")
        with pytest.raises(MlflowException, match="readonly database") as caught:
            client.transition_model_version_stage("wine", "2", "Production")
        assert caught.value.error_code == "TEMPORARILY_UNAVAILABLE", "and no conflict with anybody"
        forget(wine.uri)
    finally:
        read_only(disk, so=False)
    assert wine.state() == before
    ask(wine, 2)
    assert wine.check_whole() == 2


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_database_that_takes_no_writes_is_unavailable(wine, postgres):
    """As a standby, or one whose owner has said so."""
    before, name = wine.state(), make_url(wine.uri).database
    run(wine.uri, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "read-only" in refused(lambda: ask(wine, 2))
    run(postgres.uri, f"ALTER DATABASE {name} RESET ALL")
    assert wine.state() == before
    forget(wine.uri)
    ask(wine, 2)
    assert wine.check_whole() == 2


def wait_until_gone(pid: int) -> None:
    """Until its children, which have the database open, are gone too."""
    psutil.wait_procs([p for p in psutil.process_iter() if p.pid == pid or p.ppid() == pid], timeout=HANGS_S)
