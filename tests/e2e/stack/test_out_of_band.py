"""What was changed behind the registry's back is found, shown and never served: what answers goes on answering."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.text import canonical_json
from lifecycle.errors import Unavailable
from lifecycle.processes.process import free_port, owned_by_me, spawn_detached, stop, wait_until
from lifecycle.registry.location import check_reachable
from lifecycle.registry.tags import history_of
from lifecycle.signing.jws import sign
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission

pytestmark = pytest.mark.slow

STAGE = "models:/flights-delay/Production"
TO_TWO = (
    "update model_versions set current_stage = 'Archived' where name = 'flights-delay' and version = 1",
    "update model_versions set current_stage = 'Production' where name = 'flights-delay' and version = 2",
)
ALIAS_TO_TWO = "update registered_model_aliases set version = 2 where name = 'flights-delay'"


@dataclass(frozen=True)
class Intruder:
    """Somebody who writes into the registry's database, and what everybody else sees of it.

    Attributes:
        address: Where the following deployment answers.
    """

    stack: object
    address: str

    def sql(self, *statements: str, values: tuple[object, ...] = ()) -> None:
        with closing(sqlite3.connect(self.stack.database, timeout=60)) as connection, connection:
            for statement in statements:
                connection.execute(statement, values)

    def tag(self, version: int, key: str) -> str:
        query = "select value from model_version_tags where name = 'flights-delay' and version = ? and key = ?"
        with closing(sqlite3.connect(self.stack.database, timeout=60)) as connection:
            return connection.execute(query, (version, key)).fetchone()[0]

    def set_tag(self, version: int, key: str, value: str) -> None:
        self.sql(
            "insert or replace into model_version_tags (workspace, name, version, key, value) "
            "values ('default', 'flights-delay', ?, ?, ?)",
            values=(version, key, value),
        )

    def findings(self) -> dict[str, str]:
        """What ``lifecycle status`` says, by kind."""
        done = self.stack.lifecycle("status --json")
        found = json.loads(done.out)["findings"]
        assert done.code == (8 if found else 0), done.err
        return {one["what"]: f"{one['message']}. {one['mend']}" for one in found}

    def answers_as_before(self) -> None:
        """The following deployment goes on with version 1."""
        import pandas as pd
        import requests

        rows = pd.read_parquet(self.stack.home / "rows.parquet").to_json(orient="split")
        answer = requests.post(
            f"{self.address}/invocations",
            data=f'{{"dataframe_split": {rows}}}',
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert len(answer.json()["predictions"]) == 20
        assert requests.get(f"{self.address}/metadata", timeout=60).json()["version"] in (1, "1")

    def refused(self, said: str, uri: str = STAGE) -> None:
        self.stack.lifecycle(f"deployments create --name late -m {uri}").refused(1, said)

    def logged(self, words: str) -> None:
        """The follower says it."""
        log = self.stack.home / "follower.log"
        wait_until(lambda: words in log.read_text(), 60, f"the follower has logged {words!r}")


@pytest.fixture(scope="module")
def following(stack) -> Iterator[str]:
    made = stack.lifecycle(f"deployments create --name following -m {STAGE} --json")
    assert made.code == 0, made.err
    yield json.loads(made.out)["address"]
    stack.lifecycle("deployments delete --name following")


@pytest.fixture
def intruder(stack, following) -> Iterator[Intruder]:
    """Whatever they did is undone afterwards, but for the follower's log."""
    intruder = Intruder(stack, following)
    with closing(sqlite3.connect(":memory:")) as before:
        with closing(sqlite3.connect(stack.database)) as live:
            live.backup(before)
        (stack.home / "follower.log").write_text("")
        yield intruder
        with closing(sqlite3.connect(stack.database, timeout=60)) as live:
            before.backup(live)
    intruder.answers_as_before()


def test_a_stage_moved_by_sql(intruder):
    intruder.sql(*TO_TWO)
    found = intruder.findings()
    assert set(found) == {"unpromoted", "alias"}
    assert found["unpromoted"] == (
        "Production of flights-delay holds version 2, which no promotion put there; by the ledger it is version "
        "1. Run: lifecycle rollback flights-delay --stage production --to 1 --reason …"
    )
    intruder.logged("behind the registry's back: Production of flights-delay holds version 2")
    intruder.logged("following on rest stays at version 1")
    intruder.answers_as_before()
    for uri in (STAGE, "models:/flights-delay/2"):
        intruder.refused("which no promotion put there", uri)
    said = intruder.stack.lifecycle("status")
    assert "Production of flights-delay holds version 2" in said.out
    mended = intruder.stack.lifecycle("rollback flights-delay --stage production --to 1 --reason 'moved by SQL'")
    assert mended.code == 0, mended.err
    assert intruder.findings() == {}
    intruder.logged("put right: Production of flights-delay holds version 2")


def test_an_alias_moved_by_sql(intruder):
    intruder.sql(ALIAS_TO_TWO)
    assert intruder.findings() == {
        "alias": "alias champion of flights-delay points to version 2, and version 1 holds Production. "
        "Run: lifecycle rollback flights-delay --stage production --to 1 --reason …"
    }
    intruder.logged("alias champion of flights-delay points to version 2")
    intruder.answers_as_before()
    mended = intruder.stack.lifecycle("rollback flights-delay --stage production --to 1 --reason alias")
    assert mended.code == 0, mended.err
    assert intruder.findings() == {}


def test_a_second_server_without_the_guard(intruder, tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    server = spawn_detached(
        [
            *(sys.executable, "-P", "-m", "lifecycle.processes.supervise", "--"),
            *(sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"),
            *("--port", url.rpartition(":")[2], "--backend-store-uri", f"sqlite:///{intruder.stack.database}"),
        ],
        tmp_path / "server.log",
        owned_by_me() | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    try:
        wait_until(_answering(url), 120, "the other server answers")
        _post(
            f"{url}/api/2.0/mlflow/model-versions/transition-stage",
            {"name": "flights-delay", "version": "2", "stage": "Production", "archive_existing_versions": True},
        )
    finally:
        stop(server)
    assert set(intruder.findings()) == {"unpromoted", "alias"}
    intruder.logged("behind the registry's back: Production of flights-delay holds version 2")
    intruder.answers_as_before()
    intruder.refused("which no promotion put there")


def test_a_history_that_was_deleted_is_shown_again_by_promoting_again(intruder):
    intruder.sql("delete from model_version_tags where name = 'flights-delay' and key = 'lifecycle.history'")
    found = intruder.findings()
    assert set(found) == {"unpromoted"}
    assert "lifecycle promote models:/flights-delay/1 --stage production" in found["unpromoted"]
    intruder.answers_as_before()
    intruder.refused("which no promotion put there")
    mended = intruder.stack.lifecycle("promote models:/flights-delay/1 --stage production")
    assert mended.code == 0, mended.err
    assert intruder.findings() == {}


def test_a_history_that_is_no_history(intruder):
    intruder.set_tag(1, "lifecycle.history", "{")
    assert set(intruder.findings()) == {"history"}
    intruder.answers_as_before()
    assert intruder.stack.lifecycle(f"deployments create --name late -m {STAGE}").code == 8


def test_a_forged_promotion_with_a_right_hash_chain(intruder):
    """The tags tell one story, hashes and all, as the guard would have written it. Only nobody has signed it."""
    true = history_of({"lifecycle.history": intruder.tag(1, "lifecycle.history")})
    intruder.sql(*TO_TWO)
    intruder.sql(ALIAS_TO_TWO)
    intruder.set_tag(2, "lifecycle.history", canonical_json([_promotion_of_two(true).as_dict()]))
    intruder.logged("following on rest stays at version 1: what put version 2 of flights-delay into production")
    proofs = {
        "nothing is there that anybody has signed": "",
        "speaks of something else": intruder.tag(1, "lifecycle.proof.production"),
        "a key that this registry does not know": sign(
            SigningKey.generate(), Permission.EVIDENCE, '{"looks": "fine"}'
        ),
    }
    for said, proof in proofs.items():
        intruder.set_tag(2, "lifecycle.proof.production", proof)
        found = intruder.findings()
        assert set(found) == {"unproven"}
        assert found["unproven"].startswith(
            "what put version 2 of flights-delay into production does not count here"
        )
        assert said in found["unproven"]
    intruder.answers_as_before()
    intruder.refused("does not count here")


def test_a_deployment_record_that_is_broken_is_one_failed_deployment(intruder):
    record = intruder.stack.home / "deployments" / "rest" / "first" / "deployment.json"
    content = record.read_bytes()
    record.write_bytes(content[: len(content) // 2])
    try:
        listed = json.loads(intruder.stack.lifecycle("deployments list --json").out)
        assert {d["name"]: d["status"] for d in listed} == {"first": "FAILED", "following": "READY"}
        assert "FAILED" in intruder.stack.lifecycle("status").out
    finally:
        record.write_bytes(content)


def _promotion_of_two(true: list[LedgerEntry]) -> LedgerEntry:
    last = true[-1]
    return LedgerEntry(
        sequence=last.sequence + 1,
        at=datetime.now(UTC),
        action=Action.PROMOTED,
        model="flights-delay",
        stage="production",
        version=2,
        previous=1,
        digest=last.digest,
        actor="ada",
        evidence_id=last.evidence_id,
    ).with_hash(last.hash)


def _answering(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            check_reachable(url)
        except Unavailable:
            return False
        return True

    return answers


def _post(url: str, body: dict[str, object]) -> None:
    import requests

    answer = requests.post(url, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
