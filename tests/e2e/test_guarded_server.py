"""Real servers with two workers: on PostgreSQL with people who sign in, on SQLite with workspaces and a prefix."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.registry.tags import PROMOTION
from tests.databases import PostgresServer, postgresql
from tests.e2e.guarded_server import Person, mlflow_server, with_sign_in
from tests.proof import rounds

pytestmark = pytest.mark.slow

SEED = 20261121
ROUNDS = rounds(30, 4)
FOUR_EYES = """
defaults:
  stages:
    staging: {stage: Staging, gates: [signature]}
    production: {stage: Production, alias: champion, after: staging, approvals: 1, gates: [signature]}
"""
ALONE = """
defaults:
  stages:
    production: {stage: Production, alias: champion, gates: [signature]}
"""
APIS = ("api", "ajax-api")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgresql() as server:
        yield server


@pytest.fixture(scope="module")
def signed_in(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A server on PostgreSQL; ada has registered two versions of wine there, and both are in Staging's past."""
    with with_sign_in(tmp_path_factory.mktemp("signed-in"), postgres.create(), FOUR_EYES) as anybody:
        anybody.named("ada").register("most_frequent", "stratified")
        yield anybody


def test_the_whole_way_with_four_eyes(signed_in):
    ada, grace, linus = (signed_in.named(name) for name in ("ada", "grace", "linus"))
    for api in APIS:
        refusal = ada.move(1, "production", api)
        assert (refusal.status, refusal.body["error_code"]) == (403, "PERMISSION_DENIED")
        assert "Run: lifecycle gate run models:/wine/1 --stage production" in refusal.said
    alias = ada.ask("POST", "api/2.0/mlflow/registered-models/alias", name="wine", alias="champion", version="1")
    assert alias.status == 403
    assert signed_in.move(1, "production").status == 401
    assert signed_in.named("ada", "guess").move(1, "production").status == 401

    for version in (1, 2):
        for stage in ("staging", "production"):
            judged = ada.lifecycle(f"gate run models:/wine/{version} --stage {stage}")
            assert judged.returncode == 0, judged.stderr
            if stage == "staging":
                moved = ada.lifecycle(f"promote models:/wine/{version} --stage staging")
                assert moved.returncode == 0, moved.stderr

    waiting = ada.lifecycle("promote models:/wine/1 --stage production")
    assert waiting.returncode == 1
    assert "0 of 1 approvals" in waiting.stderr
    own = ada.lifecycle("approve models:/wine/1 --stage production --reason 'my own work'")
    assert own.returncode == 1
    assert "four eyes" in own.stderr
    for version in (1, 2):
        approved = grace.lifecycle(f"approve models:/wine/{version} --stage production --reason 'tasted it'")
        assert approved.returncode == 0, approved.stderr
    done = linus.lifecycle("promote models:/wine/1 --stage production --reason 'grand opening'")
    assert done.returncode == 0, done.stderr

    assert ada.aliases() == {"champion": 1}
    assert [(e.action, e.stage, e.actor) for e in ada.history(1)][-3:] == [
        (Action.REFUSED, "production", "ada"),
        (Action.APPROVED, "production", "grace"),
        (Action.PROMOTED, "production", "linus"),
    ]
    assert ada.history(1)[-1].reason == "grand opening"


def test_of_two_requests_at_once_one_is_told_who_won(signed_in):
    """Two workers, each with a connection of its own. Needs the test before."""
    people, chance = [signed_in.named("ada"), signed_in.named("grace")], random.Random(SEED)
    (holder,) = people[0].aliases().values()
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            other = 3 - holder

            def promote(person: Person, key: str, holder: int = holder, other: int = other) -> int:
                request = PromotionRequest("wine", other, "production", expected=holder, key=key)
                answer = person.tag(other, PROMOTION, request.to_json())
                if answer.status == 409:
                    assert f"version {other} holds Production of wine now" in answer.said
                return answer.status

            chance.shuffle(people)
            statuses = list(pool.map(promote, people, [f"{number} a", f"{number} b"]))
            assert sorted(statuses) == [200, 409], f"round {number}"
            assert people[0].aliases() == {"champion": other}
            holder = other
    entries = sorted(people[0].history(1) + people[0].history(2), key=lambda entry: entry.sequence)
    assert broken_links(entries) == []


def test_without_its_database_it_says_so_in_one_line_and_goes_on_when_it_is_back(signed_in, postgres):
    ada = signed_in.named("ada")
    assert ada.move(1, "Archived").status == 200
    before = ada.history(1)
    postgres.server.stop()
    try:
        assert ada.move(1, "Production").status == 503  # MLflow's words: it looks first who may do that
        down = ada.lifecycle("promote models:/wine/1 --stage production")
        assert down.returncode == 7
        assert "Traceback" not in down.stderr
        assert len(down.stderr.strip().splitlines()) == 1
    finally:
        postgres.restart()
    assert ada.history(1) == before
    assert ada.move(1, "Production").status == 200
    assert ada.aliases() == {"champion": 1}


@pytest.fixture(scope="module")
def with_workspaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    home = tmp_path_factory.mktemp("workspaces")
    with mlflow_server(
        home,
        f"sqlite:///{home / 'mlflow.db'}",
        ALONE,
        "--static-prefix /models --default-artifact-root mlflow-artifacts:/",
        MLFLOW_ENABLE_WORKSPACES="true",
    ) as anybody:
        for workspace in ("cellar", "vineyard"):
            made = anybody.ask("POST", "api/3.0/mlflow/workspaces", name=workspace)
            assert made.status in (200, 201), made
            anybody.within(workspace).register("most_frequent")
        yield anybody


def test_each_workspace_has_its_own_guarded_models(with_workspaces):
    cellar, vineyard = (with_workspaces.within(name) for name in ("cellar", "vineyard"))
    for api in APIS:
        assert cellar.move(1, "Production", api).status == 403
    judged = cellar.lifecycle("gate run models:/wine/1 --stage production")
    assert judged.returncode == 0, judged.stderr
    assert cellar.move(1, "Production").status == 200
    assert cellar.aliases() == {"champion": 1}
    assert vineyard.move(1, "Production").status == 403
    assert vineyard.aliases() == {}
    assert [e.action for e in cellar.history(1)] == [Action.REFUSED, Action.REFUSED, Action.PROMOTED]
    assert [e.action for e in vineyard.history(1)] == [Action.REFUSED]
    assert cellar.history(1)[-1].actor == "unauthenticated"
