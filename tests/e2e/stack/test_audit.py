"""An auditor's questions, asked of a real guarded server as a user types them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MODEL = "flights-delay"


@pytest.fixture
def copied(stack, tmp_path) -> Path:
    """The registry's database as it is now, to do things to that nobody may do to it."""
    file = tmp_path / "copy.db"
    with closing(sqlite3.connect(stack.database)) as source, closing(sqlite3.connect(file)) as target:
        source.backup(target)
        for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            target.execute(f"DROP TRIGGER {name}")
    return file


def change(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def test_the_local_stacks_ledger_is_found_by_itself_and_whole(stack, unchanged):
    done = stack.lifecycle("audit verify --json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["whole"]
    assert MODEL in {ledger["model"] for ledger in report["ledgers"]}
    assert stack.lifecycle(f"audit verify {MODEL}").out.splitlines()[-1].startswith("Unchanged: ")


def test_a_change_is_named_with_model_and_entry_under_a_code_of_its_own(stack, copied):
    where = f"--registry-store-uri sqlite:///{copied}"
    change(
        copied,
        "UPDATE lifecycle_ledger SET entry = replace(entry, 'PROMOTED', 'REFUSED') WHERE action = 'PROMOTED'",
    )
    stack.lifecycle(f"audit verify {where} --json").refused(
        8, f"entry 1 of {MODEL}: is not what its hash was made of"
    )
    table = stack.lifecycle(f"audit verify {where}")
    assert table.code == 8
    assert "edited" in table.out


def test_a_version_behind_the_guard_is_named(stack, copied):
    change(copied, "UPDATE model_versions SET current_stage = 'Production' WHERE version = 2")
    done = stack.lifecycle(f"audit verify {MODEL} --registry-store-uri sqlite:///{copied}")
    done.refused(8, f"Production of {MODEL} holds version 2, which no promotion put there")


def test_an_export_is_what_a_later_ledger_has_to_begin_with(stack, copied, tmp_path):
    file = tmp_path / "ledger.jsonl"
    exported = stack.lifecycle(f"audit export -o {file} --with-evidence")
    assert (exported.code, exported.out) == (0, "")
    assert stack.lifecycle(f"audit verify --against {file}").code == 0
    change(copied, "DELETE FROM lifecycle_ledger")
    change(copied, "DELETE FROM lifecycle_heads")
    where = f"--registry-store-uri sqlite:///{copied}"
    done = stack.lifecycle(f"audit verify {where} --against {file} --json")
    assert done.code == 8
    assert {found["what"] for found in json.loads(done.out)["breaks"]} >= {"rewritten"}


def test_an_export_goes_to_a_pipe_and_to_a_spreadsheet(stack):
    lines = stack.lifecycle(f"audit export {MODEL}").out.splitlines()
    table = stack.lifecycle(f"audit export {MODEL} --format csv").out.splitlines()
    assert {json.loads(line)["model"] for line in lines} == {MODEL}
    assert len(table) == len(lines) + 1
    assert table[0].startswith("model_uid,sequence,at,action,model,stage,version")


def test_what_was_in_production_today_on_whose_word_and_on_what_evidence(stack):
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    done = stack.lifecycle(f"history {MODEL} --stage production --at {today} --json")
    assert done.code == 0, done.err
    ((stage),) = json.loads(done.out)["stages"]
    first = stage["held"][0]
    assert (stage["stage"], first["version"], first["served"]) == ("production", 1, True)
    assert {verdict["outcome"] for verdict in first["verdicts"]} == {"PASSED"}
    assert first["entry"]["evidence_id"]
    shown = stack.lifecycle(f"history {MODEL} --at {today}").out
    assert "performance PASSED" in " ".join(shown.replace("│", " ").split())


def test_a_stage_that_was_empty_says_so(stack):
    done = stack.lifecycle(f"history {MODEL} --stage Production --at 2001-01-01")
    assert done.code == 0
    assert "production" in done.out
    assert "none" in done.out


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (f"history {MODEL} --at yesterday", 2, "is no time"),
        (f"history {MODEL} --stage prodution", 5, "did you mean 'production'"),
        ("audit verify no-such-model", 5, "unknown model"),
        ("audit verify --registry-store-uri sqlite:////no/such/file.db", 5, "no such file"),
        ("audit verify --registry-store-uri shop", 2, "no database's URI"),
        ("audit verify --registry-store-uri mssql://h/d", 2, "no database that has a guard"),
        ("audit verify --registry-store-uri postgresql://u:secret@127.0.0.1:9/d", 7, "u:***@127.0.0.1"),
        ("audit verify --against /no/such/file", 5, "not a readable file"),
        ("audit export no-such-model", 5, "no-such-model"),
        ("audit export -o /no/such/folder/l.jsonl", 7, "cannot be written"),
        ("audit export --format csv --with-evidence", 2, "jsonl"),
        ("db upgrade sqlite:////no/such/file.db", 5, "no such file"),
    ],
)
def test_what_is_wrong_is_one_line(stack, unchanged, call, code, said):
    done = stack.lifecycle(call)
    done.refused(code, said)
    assert "secret" not in done.err


def test_a_server_elsewhere_shows_its_database_to_nobody(stack):
    done = stack.lifecycle("audit verify", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    done.refused(2, "names an MLflow server")
    assert stack.lifecycle("audit verify", MLFLOW_BACKEND_STORE_URI=f"sqlite:///{stack.database}").code == 0
