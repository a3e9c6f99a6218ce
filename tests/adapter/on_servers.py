"""The tests of the registry store once more, on PostgreSQL and on MySQL, and what only those do.

Which tests: those of :data:`ON_EVERY_DATABASE`, whole files of this folder. They are the same functions with
another ``registry``. test_on_postgresql.py and test_on_mysql.py collect them, a file for each server, so that test
processes share the work; ``make test`` runs those that are marked ``database``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from types import ModuleType
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._model_registry.utils import _get_store_registry
from mlflow_lifecycle.guarded_store import GuardedStore, guarded_store
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.policy import ModelPolicy, PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.promotion.guard import Guard
from lifecycle.registry import tags
from lifecycle.registry.snapshot import ArtifactDigests
from tests.adapter import (
    test_approvals,
    test_environments,
    test_every_way_in,
    test_evidence_on_the_wire,
    test_files_now,
    test_overrides,
    test_registry_store,
    test_reserved_tags,
    test_same_as_mlflow,
)
from tests.adapter.conftest import Registry
from tests.databases import Databases, forget, run
from tests.proof import rounds

ON_EVERY_DATABASE = (
    test_approvals,
    test_environments,
    test_every_way_in,
    test_evidence_on_the_wire,
    test_files_now,
    test_overrides,
    test_registry_store,
    test_reserved_tags,
    test_same_as_mlflow,
)
# PostgreSQL's lists have no order in which one could compare them.
LEFT_OUT = {"test_600_random_calls_get_the_same_answers"}
LOOK_ALIKES = {
    "test_a_look_alike_from_before_the_guard_came_can_be_deleted",
    "test_a_name_that_some_database_takes_for_a_guarded_one_is_guarded_like_it",
    "test_a_name_that_some_database_takes_for_the_environments_is_one",
}
DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}


class OnServer(Registry):
    """The same registry in a database of a server."""

    def sql(self, statement: str, *values: Any) -> list[Any]:
        engine = create_engine(self.uri, poolclass=NullPool)
        quote = engine.dialect.identifier_preparer.quote_identifier("key")
        asked = re.sub(r"\bkey\b", quote, statement).replace("%", "%%").replace("?", "%s")
        with engine.begin() as connection:
            without_triggers(connection)
            answer = connection.exec_driver_sql(asked, values)
            return [tuple(row) for row in answer] if answer.returns_rows else []


def without_triggers(connection: Any) -> None:
    """For this connection, or for good."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET session_replication_role = replica")
        return
    for (trigger,) in connection.exec_driver_sql(
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    ).all():
        connection.exec_driver_sql(f"DROP TRIGGER {trigger}")


def emptied(uri: str) -> None:
    """Take every row of MLflow's registry and of the guard out of a database, and leave its tables."""
    engine = create_engine(uri, poolclass=NullPool)
    names = [
        name
        for name in inspect(engine).get_table_names()
        if name.startswith(("lifecycle_", "registered_", "model_version")) and "alembic" not in name
    ]
    if engine.dialect.name == "postgresql":
        run(uri, "SET session_replication_role = replica", f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE")
    else:
        append_only = [f"TRUNCATE {name}" for name in names if name in ("lifecycle_ledger", "lifecycle_evidence")]
        others = [f"DELETE FROM {name}" for name in names]  # quicker, where no trigger forbids it
        run(uri, "SET FOREIGN_KEY_CHECKS = 0", *append_only, *others)


@pytest.fixture
def registry(server: tuple[Databases, list[str]], tmp_path: Path, request: pytest.FixtureRequest) -> OnServer:
    _, (uri, _) = server
    if uri.startswith("mysql") and request.node.originalname.partition("__")[0] in LOOK_ALIKES:
        pytest.skip("MySQL itself takes these names for one and the same")
    emptied(uri)
    return OnServer(uri, tmp_path)


@pytest.fixture
def unguarded(server: tuple[Databases, list[str]]) -> SqlAlchemyStore:
    _, (_, uri) = server
    emptied(uri)
    return SqlAlchemyStore(uri)


def both(one: Callable[[], Any], other: Callable[[], Any]) -> list[Any]:
    """Do two things at the same moment; what they answered or raised."""
    start = Barrier(2)

    def tried(call: Callable[[], Any]) -> Any:
        start.wait(timeout=30)
        try:
            return call()
        except MlflowException as exc:
            return exc

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(tried, (one, other)))


# What only servers do


@pytest.mark.database
@pytest.mark.parametrize("spelling", ["lifecycle+{0}", "lifecycle+{0}+{1}"])
def test_mlflow_finds_the_guard_under_each_spelling(registry, spelling, monkeypatch, tmp_path):
    """As the server does with ``--registry-store-uri``, by its scheme."""
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path))
    url = make_url(registry.uri)
    scheme = spelling.format(url.get_backend_name(), DRIVERS[url.get_backend_name()])
    uri = f"{scheme}:{registry.uri.partition(':')[2]}"
    builder = _get_store_registry().get_store_builder(uri)
    assert builder.__name__ == "GuardedRegistryStore"
    if url.get_backend_name() == "postgresql" or "pymysql" in scheme:  # mysql:// alone is another driver's
        assert isinstance(builder(uri), GuardedStore)


@pytest.mark.database
def test_two_workers_open_an_empty_database_at_once(server, registry):
    databases, _ = server
    uri = databases.create()
    SqlAlchemyStore(uri)  # MLflow itself does this before it starts its workers
    guard = Guard(PolicyBook(ModelPolicy(())), registry.trust, registry.now)

    def opened() -> Any:
        return guarded_store(f"lifecycle+{uri}", guard, ArtifactDigests().of)

    assert all(isinstance(store, GuardedStore) for store in both(opened, opened))
    forget(uri)
    databases.drop(uri)


@pytest.mark.database
def test_two_people_promote_in_the_same_process_and_the_ledger_holds_both(registry):
    for _ in range(10):
        registry.judge(1)
        registry.judge(2)
        answers = both(lambda: registry.move(1), lambda: registry.move(2))
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        stages, aliases = registry.state()
        assert sorted(stages) == ["Archived", "Production"]
        assert aliases == {"champion": 1 + stages.index("Production")}
    assert broken_links(registry.ledger()) == []


@pytest.mark.database
def test_two_copies_from_different_models_into_one_environment(registry):
    """Which lock their own model first, and then the environment's."""
    policy = ModelPolicy((registry.production,))
    registry.open_with(PolicyBook(policy, {"prod.wine": replace(policy, environment="production")}))
    registry.store.create_registered_model("prod.wine")
    registry.add("beer", 1)
    registry.judge(1)
    registry.judge(1, model="beer")
    for number in range(5):
        answers = both(
            lambda: registry.store.create_model_version("prod.wine", "models:/wine/1"),
            lambda: registry.store.create_model_version("prod.wine", "models:/beer/1"),
        )
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        stages, aliases = registry.state("prod.wine")
        assert len(stages) == 2 * (number + 1)
        assert stages.count("Production") == 1
        assert aliases == {"champion": 1 + stages.index("Production")}
    entries = registry.ledger("prod.wine")
    assert [e.action for e in entries] == [Action.PROMOTED] * 10
    assert broken_links(entries) == []


@pytest.mark.database
def test_two_evidences_at_once_are_both_kept(registry):
    for _ in range(5):
        answers = both(lambda: registry.judge(1), lambda: registry.judge(1, registry.staging))
        assert answers == [None, None]
    assert registry.sql("SELECT count(*) FROM lifecycle_evidence") == [(10,)]


@pytest.mark.database
def test_the_longest_texts_fit(registry):
    """MySQL's TEXT holds 65,535 bytes; a reason may be in any script."""
    long = registry.evidence(1)
    verdicts = tuple(replace(v, message="葡" * 2_000) for v in long.verdicts)
    registry.deliver(replace(long, verdicts=verdicts))
    for number in range(rounds(60, 6)):
        registry.ask(PromotionRequest("wine", 1, "production", reason="葡" * 1_000, key=f"{number}"))
        registry.move(1, "Archived")
    assert len(registry.ledger()) == rounds(120, 12)
    assert registry.ledger()[0].reason == "葡" * 1_000
    assert broken_links(registry.ledger()) == []
    assert tags.history_of(registry.shown())[-1] == registry.ledger()[-1]


@pytest.mark.database
def test_a_name_in_another_letter_case_is_the_same_model_or_none(registry):
    """The first on MySQL, the second elsewhere; in no case a way around the guard."""
    with pytest.raises(MlflowException) as caught:
        registry.move(1, model="WINE")
    assert caught.value.get_http_status_code() in (403, 404)
    registry.judge(1)
    if "mysql" in registry.uri:
        registry.move(1, model="WINE")
        assert registry.ledger()[-1].model == "wine"
        assert registry.state() == (["Production", "None"], {"champion": 1})


# Everything, for a file to collect


def everything_on(start: Callable[[], AbstractContextManager[Databases]]) -> dict[str, Any]:
    """Tests and fixtures by name, for the server that ``start`` starts; ours go before those of other files."""

    @pytest.fixture(scope="module")
    def server() -> Iterator[tuple[Databases, list[str]]]:
        """A server with two databases that MLflow has laid out."""
        with start() as databases:
            uris = [databases.create(), databases.create()]
            for uri in uris:
                SqlAlchemyStore(uri)
            yield databases, uris
            for uri in uris:
                forget(uri)

    ours = {name: thing for name, thing in globals().items() if name.startswith("test_") or _is_fixture(thing)}
    ours = {name: thing for name, thing in ours.items() if not isinstance(thing, ModuleType)}
    return dict(_theirs()) | ours | {"server": server}


def _theirs() -> Iterator[tuple[str, Any]]:
    """Tests of other files under names that say where they come from, and fixtures under their own."""
    for module in ON_EVERY_DATABASE:
        for name, thing in vars(module).items():
            if name.startswith("test_") and callable(thing) and name not in LEFT_OUT:
                yield f"{name}__{module.__name__.rpartition('.test_')[2]}", thing
            elif _is_fixture(thing):
                yield name, thing


def _is_fixture(thing: Any) -> bool:
    return type(thing).__name__ == "FixtureFunctionDefinition"
