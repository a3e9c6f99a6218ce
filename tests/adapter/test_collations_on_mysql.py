"""A database that takes ``chàmpion`` for ``champion`` opens no door beside the guarded one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from lifecycle.domain.policy import ModelPolicy, PolicyBook
from tests.databases import Databases, forget, mariadb, run

pytestmark = [pytest.mark.slow, pytest.mark.proof]

LOOK_ALIKES = [
    "Champion",
    "chàmpion",
    "champ\u0131on",
    "\uff43hampion",
    "chämpiøn",
    "champion\u0640",
    "ch\u1d00mpion",
]


@pytest.fixture(scope="module")
def server() -> Iterator[Databases]:
    with mariadb() as server:
        yield server


@pytest.fixture(scope="module", params=["utf8mb4_general_ci", "utf8mb4_unicode_520_ci", "uca1400_ai_ci"])
def laid_out(request: pytest.FixtureRequest, server: Databases) -> str:
    """The default of old releases, and those that newer ones of MariaDB, or of MySQL, come close to."""
    uri = server.create()
    run(uri, f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {request.param}")
    SqlAlchemyStore(uri)
    forget(uri)
    return uri


@pytest.fixture
def registry(laid_out: str, server: Databases, registry_at: Callable[[str], Any]) -> Iterator[Any]:
    uri = server.copy(laid_out)
    yield registry_at(uri)
    forget(uri)
    server.drop(uri)


@pytest.mark.parametrize("taken", [True, False])
def test_no_alias_that_the_database_takes_for_the_guarded_one_moves_or_makes_it(registry, taken):
    """The database may find them in one another's place; MLflow would then move the one that it found."""
    if taken:
        registry.promote(1)
    before = registry.state()
    for alias in LOOK_ALIKES:
        assert "use that spelling" in registry.refused(registry.store.set_registered_model_alias, "wine", alias, 2)
        assert registry.state() == before
        if taken:
            registry.refused(registry.store.delete_registered_model_alias, "wine", alias)
    assert registry.state() == before


def test_no_tag_that_the_database_takes_for_a_reserved_one_is_written(registry):
    registry.promote(1)
    before = registry.shown()
    for key in ("Lifecycle.history", "lífecycle.history", "l\u0131fecycle.history", "lifecycle\u0640.history"):
        registry.refused(registry.write, key, "[]")
    assert registry.shown() == before


def test_a_name_that_the_database_takes_for_a_guarded_one_is_guarded_like_it(registry):
    registry.store.delete_registered_model("wine")
    registry.open_with(PolicyBook(ModelPolicy(()), {"wine": ModelPolicy((registry.production,))}))
    registry.add("Wíne")
    assert registry.store.get_registered_model("wine").name == "Wíne"
    for name in ("Wíne", "wine", "WINE"):
        registry.refused(registry.move, 1, "Production", name)
        registry.refused(registry.store.set_registered_model_alias, name, "champion", 1)
    assert registry.state("Wíne") == (["None"], {})


def test_what_is_judged_under_one_spelling_is_promoted_under_another(registry):
    registry.judge(1)
    registry.move(1, "production", "WINE")
    assert registry.state() == (["Production", "None"], {"champion": 1})
