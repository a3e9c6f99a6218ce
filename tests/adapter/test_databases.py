"""The tests of the registry store once more, on PostgreSQL and on MySQL, and what only those do.

Which tests: those of :data:`ON_EVERY_DATABASE`, whole files of this folder. They are the same functions with
another ``registry``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow_lifecycle.registry_store import GuardedStore, guarded_store
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.policy import PolicyBook
from lifecycle.promotion.guard import Guard
from lifecycle.registry.artifact_digest import ArtifactDigests
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
from tests.databases import Databases, forget, mariadb, postgresql, run

pytestmark = pytest.mark.slow

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
SERVERS: dict[str, Callable[[], Any]] = {"postgresql": postgresql, "mysql": mariadb}


class OnServer(Registry):
    """The same registry in a database of a server."""

    def open_with(self, policies: PolicyBook) -> GuardedStore:
        guard = Guard(policies, self.trust, self.now)
        self.store = guarded_store(f"lifecycle+{self.database}", guard, ArtifactDigests().of)
        self.production = next((p for p in policies.default.stages if p.name == "production"), self.production)
        return self.store

    def sql(self, statement: str, *values: Any) -> list[Any]:
        engine = create_engine(str(self.database), poolclass=NullPool)
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
        run(uri, "SET FOREIGN_KEY_CHECKS = 0", *(f"TRUNCATE {name}" for name in names))


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Databases, list[str]]]:
    """A server with two databases that MLflow has laid out."""
    with SERVERS[request.param]() as databases:
        uris = [databases.create(), databases.create()]
        for uri in uris:
            SqlAlchemyStore(uri)
        yield databases, uris
        for uri in uris:
            forget(uri)


@pytest.fixture
def registry(server: tuple[Databases, list[str]], tmp_path: Path) -> OnServer:
    _, (uri, _) = server
    emptied(uri)
    return OnServer(uri, tmp_path)  # type: ignore[arg-type]


@pytest.fixture
def unguarded(server: tuple[Databases, list[str]]) -> SqlAlchemyStore:
    _, (_, uri) = server
    emptied(uri)
    return SqlAlchemyStore(uri)


def _everything() -> Iterator[tuple[str, Any]]:
    """Tests under names that say where they come from, and fixtures under their own; ours go before theirs."""
    for module in ON_EVERY_DATABASE:
        for name, thing in vars(module).items():
            if name.startswith("test_") and callable(thing):
                yield f"{name}__{module.__name__.rpartition('.test_')[2]}", thing
            elif type(thing).__name__ == "FixtureFunctionDefinition" and name not in globals():
                yield name, thing


globals().update(_everything())
