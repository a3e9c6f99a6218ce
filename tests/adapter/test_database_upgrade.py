"""The guard comes to a registry's database and leaves it again, on each kind of database, and spoils nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow_lifecycle.guarded_store import guarded_store
from sqlalchemy import Engine, create_engine, inspect, make_url
from sqlalchemy.exc import DBAPIError

from lifecycle.cli import run
from lifecycle.domain.ledger import Action
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.errors import ConfigError, Conflict, NotFound, Unavailable
from lifecycle.promotion import migrations
from lifecycle.promotion.audit import audit
from lifecycle.promotion.database import (
    METADATA,
    REVISION,
    VERSION_TABLE,
    create_tables,
    one_moment,
    open_database,
    parse_uri,
    shown,
)
from lifecycle.promotion.guard import Guard
from lifecycle.promotion.install import FoundVersion, remove_guard, upgrade_registry
from lifecycle.promotion.migrations.upgrade import revision_of
from lifecycle.registry import tags
from lifecycle.signing.trust import TrustStore
from tests.databases import KINDS, Databases, SqliteFiles, forget, mariadb, postgresql, rows
from tests.databases import run as run_sql

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GATES = (GateSpec("signature"),)
POLICIES = PolicyBook(
    ModelPolicy(
        (
            StagePolicy("staging", "Staging", GATES),
            StagePolicy("production", "Production", GATES, alias="champion"),
        )
    )
)
OURS = {VERSION_TABLE, *METADATA.tables}
ENTRY = "INSERT INTO lifecycle_ledger (model_uid, sequence, action, version, entry) VALUES ('u', 1, 'X', 1, '{}')"
EVIDENCE = (
    "INSERT INTO lifecycle_evidence (id, model_uid, version, stage, evidence_id, signed, received_from) "
    "VALUES (1, 'u', 1, 's', 'e', 'x', 'ada')"
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Databases]]:
    """The place for databases of each kind, set up when a test wants it."""
    with ExitStack() as stack:
        known: dict[str, Databases] = {"sqlite": SqliteFiles(tmp_path_factory.mktemp("databases"))}

        def place(kind: str) -> Databases:
            if kind not in known:
                known[kind] = stack.enter_context(postgresql() if kind == "postgresql" else mariadb())
            return known[kind]

        yield place


@pytest.fixture(scope="module")
def laid_out(places: Callable[[str], Databases]) -> Callable[[str], str]:
    """A database of each kind that MLflow has laid out, once: that takes seconds."""
    known: dict[str, str] = {}

    def of(kind: str) -> str:
        if kind not in known:
            known[kind] = places(kind).create()
            SqlAlchemyStore(known[kind])
            forget(known[kind])
        return known[kind]

    return of


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty(kind: str, places: Callable[[str], Databases]) -> Iterator[Engine]:
    """A database with nothing in it."""
    uri = places(kind).create()
    engine = create_engine(uri)
    yield engine
    engine.dispose()
    places(kind).drop(uri)


@pytest.fixture
def plain(kind: str, places: Callable[[str], Databases], laid_out: Callable[[str], str]) -> Iterator[str]:
    """The URI of a plain registry's database: two versions of ``wine``, the first in Production and champion."""
    uri = places(kind).copy(laid_out(kind))
    store = SqlAlchemyStore(uri)
    store.create_registered_model("wine")
    for number in (1, 2):
        store.create_model_version("wine", f"file:///m/{number}")
    store.transition_model_version_stage("wine", 1, "Production", True)
    store.set_registered_model_alias("wine", "champion", 1)
    forget(uri)
    yield uri
    forget(uri)
    places(kind).drop(uri)


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def upgraded(uri: str) -> list[FoundVersion]:
    with open_database(uri) as engine:
        return upgrade_registry(engine, POLICIES, "ada", NOW)


def ledger(uri: str) -> list[dict[str, Any]]:
    entries = (json.loads(text) for (text,) in rows(uri, "SELECT entry FROM lifecycle_ledger"))
    return sorted(entries, key=lambda entry: entry["sequence"])


def guarded(uri: str, folder: Path) -> Any:
    guard = Guard(POLICIES, TrustStore(folder / "trusted.json"), lambda: NOW)
    return guarded_store(f"lifecycle+{uri}", guard, lambda _uri: "0" * 64)


def whole(uri: str, folder: Path) -> bool:
    with open_database(uri) as engine, one_moment(engine) as connection:
        return audit(connection, TrustStore(folder / "trusted.json"), POLICIES).whole


# The guard's own tables


def test_a_new_database_gets_every_table_and_the_next_time_nothing_happens(empty):
    create_tables(empty)
    assert tables(empty) == OURS
    before = inspect(empty).get_indexes("lifecycle_ledger")
    create_tables(empty)
    assert (tables(empty), inspect(empty).get_indexes("lifecycle_ledger")) == (OURS, before)


def test_where_nothing_is_to_do_no_migration_tool_is_loaded(empty):
    create_tables(empty)
    look = (
        "import sys; from sqlalchemy import create_engine\n"
        "from lifecycle.promotion.database import create_tables; create_tables(create_engine(sys.argv[1]))\n"
        "assert 'alembic' not in sys.modules"
    )
    uri = empty.url.render_as_string(hide_password=False)
    subprocess.run([sys.executable, "-c", look, uri], check=True)


def test_the_migrations_make_what_the_code_works_with(empty):
    create_tables(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
        assert revision_of(connection) == REVISION


def test_the_newest_migration_is_the_one_that_the_code_names():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_a_database_that_a_newer_release_has_upgraded_is_refused_and_left_alone(empty):
    create_tables(empty)
    with empty.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        connection.exec_driver_sql("DROP TABLE lifecycle_queue")
    with pytest.raises(ConfigError, match=r"upgraded by a newer mlflow-lifecycle.*9999.*Upgrade mlflow-lifecycle"):
        create_tables(empty)
    assert "lifecycle_queue" not in tables(empty)


def test_what_was_cut_short_is_finished(empty):
    create_tables(empty)
    with empty.begin() as connection:
        for table in ("lifecycle_queue", VERSION_TABLE):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    create_tables(empty)
    assert tables(empty) == OURS


STARTING = """
import sys
from sqlalchemy import create_engine
from lifecycle.promotion.migrations import upgrade  # which takes longest
from lifecycle.promotion.database import create_tables
engine = create_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
create_tables(engine)
"""


def test_several_servers_may_start_at_once(empty):
    argv = [sys.executable, "-c", STARTING, empty.url.render_as_string(hide_password=False)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    servers = [subprocess.Popen(argv, **pipes) for _ in range(4)]
    assert [server.stdout.readline() for server in servers] == ["ready\n"] * 4
    for server in servers:
        server.stdin.write("go\n")
        server.stdin.flush()
    said = [server.communicate()[1] for server in servers]
    assert [server.returncode for server in servers] == [0] * 4, said
    assert tables(empty) == OURS


@pytest.mark.slow
@pytest.mark.proof  # needs MariaDB
def test_a_mysql_that_lets_us_make_no_triggers_is_told_how_to(places):
    uri = places("mysql").create()
    database = make_url(uri).database
    may = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER"
    run_sql(uri, "CREATE USER few@localhost IDENTIFIED BY 'p'", f"GRANT {may} ON {database}.* TO few@localhost")
    theirs = create_engine(uri.replace("root@", "few:p@"))
    with pytest.raises(ConfigError, match="Grant it TRIGGER"):
        create_tables(theirs)
    theirs.dispose()
    run_sql(uri, f"GRANT TRIGGER ON {database}.* TO few@localhost")
    create_tables(theirs)
    assert tables(theirs) == OURS
    theirs.dispose()
    places("mysql").drop(uri)


@pytest.mark.parametrize("table", ["lifecycle_ledger", "lifecycle_evidence"])
def test_ledger_and_evidence_take_new_rows_and_nothing_else(empty, kind, table):
    create_tables(empty)
    uri = empty.url.render_as_string(hide_password=False)
    run_sql(uri, ENTRY, EVIDENCE)
    before = rows(uri, f"SELECT * FROM {table}")
    for statement in (*FORBIDDEN["everywhere"], *FORBIDDEN[kind]):
        with pytest.raises(DBAPIError, match="append-only"):
            run_sql(uri, statement.format(table=table))
        assert rows(uri, f"SELECT * FROM {table}") == before


FORBIDDEN = {
    "everywhere": (
        "UPDATE {table} SET version = 2",
        "DELETE FROM {table}",
        "DELETE FROM {table} WHERE model_uid = 'u'",
    ),
    "sqlite": (
        "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "UPDATE OR REPLACE {table} SET version = 3",
    ),
    "postgresql": ("TRUNCATE TABLE {table}", "TRUNCATE TABLE {table} CASCADE"),
    "mysql": ("REPLACE INTO {table} SELECT * FROM {table}", "DELETE FROM {table} LIMIT 1"),
}


def test_sqlite_replaces_no_row_by_its_rowid_either(places):
    uri = places("sqlite").create()
    create_tables(create_engine(uri))
    run_sql(uri, ENTRY)
    other = ENTRY.replace("INSERT INTO lifecycle_ledger (", "INSERT OR REPLACE INTO lifecycle_ledger (rowid, ")
    with pytest.raises(DBAPIError, match="append-only"):
        run_sql(uri, other.replace("('u', ", "(1, 'v', "))
    assert rows(uri, "SELECT model_uid FROM lifecycle_ledger") == [("u",)]


# From plain to guarded


def test_what_guarded_stages_hold_is_adopted_once_and_stays_where_it_is(plain, tmp_path):
    assert upgraded(plain) == [FoundVersion("default", "wine", 1, "production", adopted=True)]
    (entry,) = ledger(plain)
    assert (entry["action"], entry["version"], entry["stage"], entry["digest"]) == (
        Action.ADOPTED,
        1,
        "production",
        "",
    )
    assert (entry["actor"], entry["requested_by"]) == ("unauthenticated", "ada")
    assert entry["detail"] == "held Production and alias champion when the guard came; nothing has been checked"
    assert upgraded(plain) == []
    assert len(ledger(plain)) == 1
    assert whole(plain, tmp_path)
    store = guarded(plain, tmp_path)
    version = store.get_model_version("wine", 1)
    assert (version.current_stage, [e.action for e in tags.history_of(version.tags)]) == (
        "Production",
        [Action.ADOPTED],
    )


def test_an_adopted_version_has_to_pass_its_gates_like_any_other(plain, tmp_path):
    upgraded(plain)
    store = guarded(plain, tmp_path)
    with pytest.raises(Exception, match="no gate has been run for it"):
        store.transition_model_version_stage("wine", 1, "Production", True)
    store.transition_model_version_stage("wine", 1, "None", False)
    assert [e["action"] for e in ledger(plain)] == ["ADOPTED", "REFUSED", "DEMOTED"]
    assert whole(plain, tmp_path)


def test_a_server_that_was_guarded_before_the_upgrade_command_came_is_adopted_all_the_same(plain, tmp_path):
    store = guarded(plain, tmp_path)
    with pytest.raises(Exception, match="no gate has been run for it"):
        store.transition_model_version_stage("wine", 2, "Production", True)
    assert [found.adopted for found in upgraded(plain)] == [True]
    assert whole(plain, tmp_path)


def test_what_was_put_into_a_stage_behind_the_guard_is_told_and_never_adopted(plain, tmp_path):
    upgraded(plain)
    run_sql(plain, "UPDATE model_versions SET current_stage = 'Production' WHERE version = 2")
    assert upgraded(plain) == [FoundVersion("default", "wine", 2, "production", adopted=False)]
    assert len(ledger(plain)) == 1
    assert not whole(plain, tmp_path)


def test_an_alias_without_its_stage_is_adopted_and_so_is_every_version_of_a_stage(plain, tmp_path):
    store = SqlAlchemyStore(plain)
    store.transition_model_version_stage("wine", 2, "Production", False)
    store.create_registered_model("beer")
    store.create_model_version("beer", "file:///m/3")
    store.set_registered_model_alias("beer", "champion", 1)
    store.create_registered_model("cider")
    found = {(f.model, f.version, f.stage) for f in upgraded(plain)}
    assert found == {("wine", 1, "production"), ("wine", 2, "production"), ("beer", 1, "production")}
    assert whole(plain, tmp_path)


def test_a_history_that_anybody_could_write_before_the_guard_came_is_gone(plain, tmp_path):
    store = SqlAlchemyStore(plain)
    store.set_model_version_tag("wine", 2, ModelVersionTag(tags.HISTORY, "[]"))
    store.set_model_version_tag("wine", 2, ModelVersionTag("theirs", "stays"))
    upgraded(plain)
    assert guarded(plain, tmp_path).get_model_version("wine", 2).tags == {"theirs": "stays"}


# And back


def test_the_guard_leaves_with_its_ledger_in_a_file_and_may_come_again(plain, tmp_path, kind):
    before = tables(create_engine(plain))
    upgraded(plain)
    file = tmp_path / "ledger.jsonl"
    with open_database(plain) as engine:
        assert remove_guard(engine, file) == {"entry": 1}
        assert tables(engine) == before
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["kind"], line["action"], line["model"]) == ("entry", "ADOPTED", "wine")
    if kind == "postgresql":
        assert rows(plain, "SELECT proname FROM pg_proc WHERE proname = 'lifecycle_append_only'") == []
    forget(plain)
    store = SqlAlchemyStore(plain)
    assert store.transition_model_version_stage("wine", 2, "Production", True).current_stage == "Production"
    assert store.get_model_version("wine", 1).current_stage == "Archived"
    store.set_registered_model_alias("wine", "champion", 2)
    forget(plain)
    assert [(f.version, f.adopted) for f in upgraded(plain)] == [(2, True)]
    assert whole(plain, tmp_path)


def test_nothing_is_removed_where_the_ledger_cannot_be_written(plain, tmp_path):
    upgraded(plain)
    there = tmp_path / "there.jsonl"
    there.touch()
    with open_database(plain) as engine:
        with pytest.raises(Conflict, match="is there already"):
            remove_guard(engine, there)
        with pytest.raises(Unavailable, match="so nothing was removed"):
            remove_guard(engine, tmp_path / "no" / "folder.jsonl")
    assert whole(plain, tmp_path)


def test_a_newer_releases_ledger_is_not_removed_by_an_older_one(plain, tmp_path):
    upgraded(plain)
    run_sql(plain, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with open_database(plain) as engine, pytest.raises(ConfigError, match="newer mlflow-lifecycle"):
        remove_guard(engine, tmp_path / "ledger.jsonl")
    assert len(ledger(plain)) == 1


def test_where_there_is_no_guard_there_is_none_to_remove(plain, tmp_path):
    with open_database(plain) as engine, pytest.raises(NotFound, match="has no guard"):
        remove_guard(engine, tmp_path / "ledger.jsonl")
    assert not (tmp_path / "ledger.jsonl").exists()


# The commands


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("LIFECYCLE_CONFIG", "MLFLOW_REGISTRY_STORE_URI", "MLFLOW_BACKEND_STORE_URI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_command_there_and_one_back(plain, in_folder, capsys):
    assert run(["db", "upgrade", f"lifecycle+{plain}"]) == 0
    out = capsys.readouterr().out
    assert "lifecycle gate run models:/wine/1 --stage production" in " ".join(out.split())
    assert f"--registry-store-uri lifecycle+{shown(parse_uri(plain))}" in out
    assert run(["db", "upgrade", plain, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == []
    assert run(["audit", "verify", "--registry-store-uri", plain]) == 0
    assert "Unchanged: 1 entries" in capsys.readouterr().out
    assert run(["db", "downgrade", plain]) == 2
    assert "--yes" in capsys.readouterr().err
    assert run(["db", "downgrade", plain, "--export", "l.jsonl", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == {"entry": 1}
    assert len((in_folder / "l.jsonl").read_text().splitlines()) == 1
    assert run(["db", "downgrade", plain, "--yes"]) == 5


def test_a_database_that_is_not_mlflows_or_behind_it_is_left_alone(laid_out, places, in_folder, capsys):
    uri = places("sqlite").copy(laid_out("sqlite"))
    run_sql(uri, "UPDATE alembic_version SET version_num = '728d730b5ebd'")
    assert run(["db", "upgrade", uri]) == 2
    assert "mlflow db upgrade" in capsys.readouterr().err
    other = places("sqlite").create()
    run_sql(other, "CREATE TABLE shop (id INTEGER)")
    assert run(["db", "upgrade", other]) == 5
    assert "holds no MLflow registry" in capsys.readouterr().err
    assert rows(other, "SELECT name FROM sqlite_master") == [("shop",)]
    assert not any(name.startswith("lifecycle") for (name,) in rows(uri, "SELECT name FROM sqlite_master"))
