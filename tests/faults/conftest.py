"""A model in a registry on each kind of database, and other processes that promote it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lifecycle.processes.process import owned_by_me
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import folder_context
from tests.commands import Running
from tests.commands import start as begin
from tests.databases import KINDS, Databases, PostgresServer, SqliteFiles, forget, mariadb, postgresql
from tests.faults.wine import Wine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where deployments are; their servers end with the tests."""
    for key, value in owned_by_me().items():
        monkeypatch.setenv(key, value)
    return tmp_path / "home"


@pytest.fixture
def target(home: Path) -> Iterator[RestTarget]:
    """The REST target, which has nothing left in the end."""
    target = RestTarget(folder_context(home))
    yield target
    for deployment in sorted(target.list(), key=lambda deployment: "server" not in deployment.options):
        target.undeploy(deployment.name)


class Promoter:
    """Another process that promotes. See :mod:`tests.faults.promoting`."""

    def __init__(self, running: Running) -> None:
        self.process = running.process
        self._running = running

    def order(self, wine: Wine, version: int, **order: Any) -> None:
        """Have it promote a version to Production; other arguments are those of the request, or of the blow."""
        asked = {key: order.pop(key) for key in ("expected", "key") if key in order}
        request = {"model": "wine", "version": version, "stage": "production", **asked}
        self._say(database=wine.uri, request=request, **order)

    def promote_without_end(self, wine: Wine) -> None:
        """Have it do nothing else from now on."""
        self._say(database=wine.uri, endless=True)

    def answer(self) -> dict[str, Any]:
        """How it went."""
        return json.loads(self.heard())

    def heard(self) -> str:
        """A line that it wrote."""
        return self._running.stdout.readline()

    def _say(self, **order: Any) -> None:
        self._running.stdin.write(json.dumps(order) + "\n")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def places(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Any]]:
    """The place for databases of each kind, set up when somebody wants it."""
    folder = tmp_path_factory.mktemp("databases")
    with ExitStack() as stack:
        known: dict[str, Databases] = {"sqlite": SqliteFiles(folder)}

        def place(kind: str) -> Databases:
            if kind not in known:
                known[kind] = (
                    request.getfixturevalue("postgres") if kind == "postgresql" else stack.enter_context(mariadb())
                )
            return known[kind]

        yield place


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, places: Callable[..., Any]) -> Callable[[str], Wine]:
    """The model, laid out once in a database of each kind that nobody uses but to copy it."""
    known: dict[str, Wine] = {}

    def of(kind: str) -> Wine:
        if kind not in known:
            wine = Wine(tmp_path_factory.mktemp("home"), places(kind).create())
            with pytest.MonkeyPatch.context() as patch:
                for name, value in wine.environment.items():
                    patch.setenv(name, value)
                wine.prepare()
            forget(wine.uri)
            known[kind] = wine
        return known[kind]

    return of


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def copies(kind: str, places: Callable[..., Any], prepared: Callable[[str], Wine]) -> Callable[[], Any]:
    """Each call lends the model in a database of its own."""
    template = prepared(kind)

    @contextmanager
    def copied() -> Iterator[Wine]:
        wine = Wine(template.home, places(kind).copy(template.uri))
        try:
            yield wine
        finally:
            forget(wine.uri)
            places(kind).drop(wine.uri)

    return copied


@pytest.fixture
def wine(copies: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Wine]:
    """The model in a database of its own, and this process with its keys and its policy."""
    with copies() as wine:
        for name, value in wine.environment.items():
            monkeypatch.setenv(name, value)
        yield wine


@pytest.fixture
def promoters() -> Iterator[Callable[..., list[Promoter]]]:
    """Starts processes that promote models with the home of the one given."""
    running: list[Running] = []

    def start(wine: Wine, number: int = 1) -> list[Promoter]:
        environment = os.environ | wine.environment
        started = [begin(["-m", "tests.faults.promoting"], wine.home, environment) for _ in range(number)]
        running.extend(started)
        promoters = [Promoter(process) for process in started]
        assert all(promoter.heard() == "ready\n" for promoter in promoters)
        return promoters

    yield start
    for process in running:
        process.end()
