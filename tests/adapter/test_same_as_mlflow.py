"""What guards nothing changes nothing: the same calls, right and wrong, get the same answers as from plain MLflow."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry import sqlalchemy_store
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from lifecycle.domain.policy import ModelPolicy, PolicyBook

SEED = 20261122
STEPS = 1500
Step = tuple[str, tuple[Any, ...]]

NAMES = ["wine", "beer", "Wine", "soda", "", None, "a/b", "nowhere", "x" * 300]
VERSIONS = [1, 2, "1", "2", "3", 9, "x", None, 0, -1, "1.0", ""]
FREE_STAGES = ["None", "Archived", "archived", "none", "Nope", "", None]
STAGES = [*FREE_STAGES, "Production", "Staging", "production", "STAGING"]
ALIASES = ["challenger", "best", "latest", "v1", "a b", "", None, "ünï", "x" * 300]
KEYS = ["team", "a.b/c d", "", None, "x" * 300, "schlüssel", "lifecycle", "mlflow.note"]
VALUES = ["cellar", "", None, "v" * 5001, "ünï", 7]
SOURCES = [
    "file:///nowhere",
    "s3://bucket/x",
    "models:/wine/1",
    "models:/nowhere/1",
    "models:/wine/9",
    "",
    "runs:/r/m",
]
FILTERS = [
    *(
        "",
        None,
        "name='wine'",
        "name LIKE 'w%'",
        "name ILIKE 'W%'",
        "tags.team = 'cellar'",
        "nonsense",
        "name > 'x'",
    ),
    *("name='wine' AND tags.team='cellar'", "name IN ('wine')", "run_id='r1'", "source_path='file:///nowhere'"),
    *(
        "version_number > 1",
        "version_number = 2 and name = 'wine'",
        "run_id IN ('r1','r2')",
        "tags.`a.b/c d` = ''",
    ),
]
ORDERS = [
    None,
    [],
    ["name DESC"],
    ["name ASC", "version_number DESC"],
    ["last_updated_timestamp DESC"],
    ["nonsense"],
]
SIZES = [1, 2, 100, 0, -1, 10**9, "5"]


def one_step(chance: random.Random, stages: list[Any]) -> Step:
    name, version, alias = (
        chance.choice(NAMES[:6] + NAMES[:2] * 8),
        chance.choice(VERSIONS),
        chance.choice(ALIASES),
    )
    key, value = chance.choice(KEYS), chance.choice(VALUES)
    filters, size, order = chance.choice(FILTERS), chance.choice(SIZES), chance.choice(ORDERS)
    steps: list[Step] = [
        ("create_registered_model", (chance.choice(NAMES), chance.choice([None, [RegisteredModelTag("k", "v")]]))),
        ("create_model_version", (name, chance.choice(SOURCES), chance.choice([None, "r1", "r2"]))),
        ("create_model_version", (name, "file:///nowhere", None, [ModelVersionTag(key, value)], "link", "words")),
        ("update_registered_model", (name, chance.choice(["words", "", None]))),
        ("update_model_version", (name, version, chance.choice(["words", "", None]))),
        ("rename_registered_model", (name, chance.choice(NAMES))),
        ("transition_model_version_stage", (name, version, chance.choice(stages), chance.choice([True, False]))),
        ("transition_model_version_stage", (name, version, chance.choice(stages), False)),
        ("set_registered_model_alias", (name, alias, version)),
        ("delete_registered_model_alias", (name, alias)),
        ("get_model_version_by_alias", (name, alias)),
        ("set_model_version_tag", (name, version, ModelVersionTag(key, value))),
        ("delete_model_version_tag", (name, version, key)),
        ("set_registered_model_tag", (name, RegisteredModelTag(key, value))),
        ("delete_registered_model_tag", (name, key)),
        ("get_model_version", (name, version)),
        ("get_registered_model", (name,)),
        ("get_latest_versions", (name, chance.choice([None, ["None"], ["Production", "Staging"], ["nope"], []]))),
        ("get_model_version_download_uri", (name, version)),
        ("search_registered_models", (filters, size, order)),
        ("search_model_versions", (filters, size, order)),
        ("create_prompt", (name,)),
        ("create_prompt_version", (name, "Hello {{who}}")),
        ("set_prompt_alias", (name, "champion" if chance.random() < 0.2 else alias, version)),
        ("get_prompt_version", (name, version)),
    ]
    if chance.random() < 0.06:
        steps = [("delete_model_version", (name, version)), ("delete_registered_model", (name,))]
    return chance.choice(steps)


def plain(answer: Any) -> Any:
    """Entities as dictionaries, lists with their token."""
    if isinstance(answer, list):
        return [plain(item) for item in answer], getattr(answer, "token", None)
    if answer is None or isinstance(answer, str | int | float | bool):
        return answer
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items()}
    fields = dict(answer) if isinstance(answer, Iterable) else vars(answer)
    return {key: plain(value) for key, value in fields.items()}


def answered(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return plain(call(*args))
    except MlflowException as exc:
        return exc.error_code, exc.message
    except Exception as exc:  # whatever MLflow raises at nonsense, it raises with the guard too
        return type(exc).__name__


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets MLflow's clock: then not even the timestamps of the answers differ."""
    clock = {"now": 0}
    monkeypatch.setattr(sqlalchemy_store, "get_current_time_millis", lambda: clock["now"])
    return lambda step: clock.update(now=1_000 * (step + 1))


@pytest.fixture
def unguarded(tmp_path: Path, empty_database: Path) -> Iterator[SqlAlchemyStore]:
    store = SqlAlchemyStore(f"sqlite:///{shutil.copy(empty_database, tmp_path / 'plain.db')}")
    yield store
    store.engine.dispose()


def played(store: Any, steps: list[Step], at: Callable[[int], None]) -> list[Any]:
    answers = []
    for number, (method, args) in enumerate(steps):
        at(number)
        answers.append(answered(getattr(store, method), *args))
    return answers


@pytest.mark.parametrize("guards", ["nothing", "what is not touched"])
def test_1500_random_calls_get_the_same_answers(registry, unguarded, at, guards):
    """Wherever the policy looks the other way; a third of the calls is wrong on purpose."""
    chance = random.Random(SEED)
    stages = STAGES if guards == "nothing" else FREE_STAGES
    steps = [one_step(chance, stages) for _ in range(STEPS)]
    at(-1)
    registry.store.delete_registered_model("wine")
    guarded = registry.open_with(PolicyBook(ModelPolicy(()))) if guards == "nothing" else registry.open()
    expected, found = played(unguarded, steps, at), played(guarded, steps, at)
    for number, (step, want, got) in enumerate(zip(steps, expected, found, strict=True)):
        assert got == want, f"seed {SEED}, step {number}: {step}"
    worked = sum(not isinstance(answer, tuple | str) for answer in expected)
    assert STEPS / 5 < worked < STEPS, worked
