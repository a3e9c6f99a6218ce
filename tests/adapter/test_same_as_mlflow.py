"""What guards nothing changes nothing: the same calls, right or wrong, get the same answers as from MLflow."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry import sqlalchemy_store
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from lifecycle.domain.policy import ModelPolicy, PolicyBook
from tests.proof import rounds

SEED = 20261122
STEPS = rounds(600, 200)
Step = tuple[str, tuple[Any, ...]]

# Each with what is right first, and what is wrong or odd behind it.
NAMES = (["wine", "beer"], ["Wine", "soda", "", None, "a/b", "nowhere", "x" * 300])
VERSIONS = ([1, 2, "1", "2"], [3, 9, "x", None, 0, -1, "1.0", ""])
FREE_STAGES = (["None", "Archived"], ["archived", "none", "Nope", "", None])
STAGES = ([*FREE_STAGES[0], "Production", "Staging"], [*FREE_STAGES[1], "production", "STAGING"])
ALIASES = (["challenger", "best", "ünï"], ["latest", "v1", "a b", "", None, "x" * 300])
KEYS = (["team", "a.b/c d", "schlüssel"], ["", None, "x" * 300, "lifecycle", "mlflow.note"])
VALUES = (["cellar", "", "ünï"], [None, "v" * 5001, 7])
SOURCES = (["file:///nowhere", "s3://bucket/x", "models:/wine/1"], ["models:/nowhere/1", "models:/wine/9", ""])
FILTERS = (
    [
        *("", "name='wine'", "name LIKE 'w%'", "name ILIKE 'W%'", "tags.team = 'cellar'"),
        *("name='wine' AND tags.team='cellar'", "tags.`a.b/c d` = ''"),
    ],
    [
        *(None, "nonsense", "name > 'x'", "name IN ('wine')", "run_id='r1'", "source_path='file:///nowhere'"),
        *("version_number > 1", "version_number = 2 and name = 'wine'", "run_id IN ('r1','r2')"),
    ],
)
ORDERS = (
    [None, [], ["name DESC"], ["last_updated_timestamp DESC"]],
    [["name ASC", "version_number DESC"], ["nonsense"]],
)
SIZES = ([1, 2, 100], [0, -1, 10**9, "5"])


def mostly(chance: random.Random, choices: tuple[list[Any], list[Any]]) -> Any:
    """Something that is right, eleven times of twelve."""
    return chance.choice(choices[chance.random() > 11 / 12])


def one_step(chance: random.Random, stages: tuple[list[Any], list[Any]]) -> Step:
    name, version, alias = (mostly(chance, choices) for choices in (NAMES, VERSIONS, ALIASES))
    key, value, source = (mostly(chance, choices) for choices in (KEYS, VALUES, SOURCES))
    filters, size, order = (mostly(chance, choices) for choices in (FILTERS, SIZES, ORDERS))
    stage = mostly(chance, stages)
    steps: list[Step] = [
        ("create_registered_model", (name, chance.choice([None, [RegisteredModelTag("k", "v")]]))),
        ("create_model_version", (name, source, chance.choice([None, "r1", "r2"]))),
        ("create_model_version", (name, "file:///nowhere", None, [ModelVersionTag(key, value)], "link", "words")),
        ("update_registered_model", (name, chance.choice(["words", "", None]))),
        ("update_model_version", (name, version, chance.choice(["words", "", None]))),
        ("rename_registered_model", (name, mostly(chance, NAMES))),
        ("transition_model_version_stage", ("wine", 1, stage, True)),
        ("transition_model_version_stage", (name, version, stage, False)),
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
    shown = {key: plain(value) for key, value in fields.items()}
    if "latest_versions" in shown:  # MLflow asks for them without an order, which PostgreSQL takes literally
        versions, token = shown["latest_versions"]
        shown["latest_versions"] = sorted(versions, key=str), token
    return shown


@dataclass(frozen=True)
class Mistake:
    """What a wrong call gets."""

    code: str
    message: str = ""


def vaguely(answer: Any) -> Any:
    """Of a call with several mistakes either store may name any."""
    firm = ("PERMISSION_DENIED", "RESOURCE_CONFLICT", "RESOURCE_ALREADY_EXISTS")
    return "mistaken" if isinstance(answer, Mistake) and answer.code not in firm else answer


def answered(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return plain(call(*args))
    except MlflowException as exc:
        missing = exc.error_code == "RESOURCE_DOES_NOT_EXIST"  # of a model that isn't there, the version isn't
        return Mistake(exc.error_code, "" if missing else exc.message)
    except Exception as exc:  # MLflow takes some nonsense for granted
        return Mistake(type(exc).__name__)


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
def test_random_calls_get_the_same_answers(registry, unguarded, at, guards):
    """Wherever the policy looks the other way; a good part of the calls is wrong on purpose."""
    chance = random.Random(SEED)
    stages = STAGES if guards == "nothing" else FREE_STAGES
    begin: list[Step] = [
        ("create_registered_model", ("wine",)),
        *[("create_model_version", ("wine", "s3://b"))] * 2,
    ]
    steps = begin + [one_step(chance, stages) for _ in range(STEPS)]
    at(-1)
    registry.store.delete_registered_model("wine")
    guarded = registry.open_with(PolicyBook(ModelPolicy(()))) if guards == "nothing" else registry.open()
    expected, found = played(unguarded, steps, at), played(guarded, steps, at)
    for number, (step, want, got) in enumerate(zip(steps, expected, found, strict=True)):
        assert vaguely(got) == vaguely(want), f"seed {SEED}, step {number}: {step}"
    worked = sum(not isinstance(answer, Mistake) for answer in expected)
    assert STEPS * 0.4 < worked < STEPS * 0.9, worked


WINE = ("wine", 1)
MISTAKES: list[Step] = [
    ("create_registered_model", ("wine",)),
    ("create_registered_model", ("",)),
    ("create_registered_model", ("a/b",)),
    ("create_model_version", ("nowhere", "file:///x")),
    ("create_model_version", ("wine", "models:/nowhere/1")),
    ("create_model_version", ("wine", "models:/wine/x")),
    ("rename_registered_model", ("nowhere", "beer")),
    ("rename_registered_model", ("wine", "")),
    ("delete_registered_model", ("nowhere",)),
    ("delete_model_version", ("nowhere", 1)),
    ("delete_model_version", ("wine", 9)),
    ("delete_model_version", ("wine", "x")),
    ("transition_model_version_stage", (*WINE, "Nope", False)),
    ("transition_model_version_stage", (*WINE, "Archived", True)),
    ("transition_model_version_stage", (*WINE, "none", True)),
    ("transition_model_version_stage", ("wine", "x", "Archived", False)),
    ("transition_model_version_stage", ("wine", 9, "Archived", False)),
    ("set_registered_model_alias", ("wine", "best", 9)),
    ("set_registered_model_alias", ("wine", "best", "x")),
    ("set_registered_model_alias", ("wine", "a b", 1)),
    ("set_registered_model_alias", ("wine", "", 1)),
    ("set_registered_model_alias", ("wine", None, 1)),
    ("set_registered_model_alias", ("wine", "v1", 1)),
    ("set_registered_model_alias", ("wine", "latest", 1)),
    ("set_registered_model_alias", ("nowhere", "best", 1)),
    ("delete_registered_model_alias", ("wine", "a b")),
    ("delete_registered_model_alias", ("nowhere", "best")),
    ("set_model_version_tag", ("wine", 9, ModelVersionTag("a", "b"))),
    ("set_model_version_tag", (*WINE, ModelVersionTag("", "b"))),
    ("set_model_version_tag", (*WINE, ModelVersionTag(None, "b"))),
    ("set_model_version_tag", (*WINE, ModelVersionTag("x" * 300, "b"))),
    ("set_model_version_tag", (*WINE, ModelVersionTag("a", "b" * 200_000))),
    ("delete_model_version_tag", (*WINE, "")),
    ("delete_model_version_tag", (*WINE, None)),
    ("set_registered_model_tag", ("nowhere", RegisteredModelTag("a", "b"))),
    ("delete_registered_model_tag", ("wine", None)),
    ("get_model_version_by_alias", ("wine", "nobody")),
    ("search_model_versions", ("nonsense", 10)),
    ("search_registered_models", ("", 10**9)),
]


@pytest.mark.parametrize("step", MISTAKES, ids=lambda step: f"{step[0]}{step[1]}"[:70])
def test_a_single_mistake_is_told_in_mlflows_own_words(registry, unguarded, step):
    unguarded.create_registered_model("wine")
    for _ in range(2):
        unguarded.create_model_version("wine", "file:///nowhere")
    method, args = step
    want, got = answered(getattr(unguarded, method), *args), answered(getattr(registry.store, method), *args)
    assert isinstance(want, Mistake)
    assert got == want
