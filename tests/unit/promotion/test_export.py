"""An export holds the whole ledger, a spreadsheet runs nothing of it, and it is read back as it was written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.codec import decode
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.text import canonical_json
from lifecycle.errors import NotFound, UsageError
from lifecycle.promotion.audit.export import as_csv, as_jsonl, read_export, records
from tests.unit.promotion.archive import Archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    archive = Archive.made(tmp_path_factory.mktemp("archive"))
    archive.live()
    archive.write(Action.REFUSED, 1, reason='=HYPERLINK("http://x")', requested_by="-2+3", detail="a,b\nc")
    yield archive
    archive.engine.dispose()


def lines(archive: Archive, model: str | None = None, *, with_evidence: bool = False) -> list[dict[str, Any]]:
    with archive.engine.connect() as connection:
        found = as_jsonl(records(connection, model, with_evidence=with_evidence))
        return [json.loads(line) for line in b"".join(found).splitlines()]


def test_every_entry_of_every_model_is_there_in_order(archive):
    entries = lines(archive)
    assert {line["kind"] for line in entries} == {"entry"}
    for model, uid in archive.uids.items():
        own = [line for line in entries if line["model_uid"] == uid]
        assert [line["sequence"] for line in own] == list(range(1, len(own) + 1))
        fields = [{k: v for k, v in line.items() if k not in ("kind", "model_uid")} for line in own]
        assert fields == archive.entries(model)
        assert all(decode(LedgerEntry, canonical_json(f)).as_dict() == f for f in fields)


def test_one_model_is_that_model(archive):
    assert {line["model"] for line in lines(archive, "gone")} == {"gone"}
    assert lines(archive, "nobody") == []


def test_evidence_comes_decoded_and_as_it_was_signed(archive):
    evidence = [line for line in lines(archive, "wine", with_evidence=True) if line["kind"] == "evidence"]
    assert len(evidence) == 5
    for line in evidence:
        assert line["received_from"] == "grace"
        assert line["evidence"]["verdicts"][0]["gate"] == "signature"
        assert line["evidence"]["version"] == line["version"]
        assert line["signed"].count(".") == 2


def test_a_spreadsheet_gets_a_table_and_no_formula(archive):
    with archive.engine.connect() as connection:
        text = b"".join(as_csv(records(connection, None, with_evidence=False))).decode()
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(table) == len(lines(archive))
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in table for cell in row.values())
    (formula,) = (row for row in table if "HYPERLINK" in row["reason"])
    assert (formula["requested_by"], formula["detail"]) == ("'-2+3", "a,b\nc")


def test_what_is_no_entry_any_more_comes_as_it_lies_there(archive, tmp_path):
    spoiled = archive.copy(tmp_path)
    spoiled.unlock()
    wine = spoiled.uids["wine"]
    for sequence, value in ((1, "not JSON"), (2, b"\xff"), (3, '{"a":NaN}'), (4, "[]")):
        spoiled.sql(
            "UPDATE lifecycle_ledger SET entry = ? WHERE model_uid = ? AND sequence = ?", value, wine, sequence
        )
    spoiled.sql("UPDATE lifecycle_evidence SET signed = 'x' WHERE id = 1")
    found = lines(spoiled, "wine", with_evidence=True)
    assert len(found) == len(lines(archive, "wine", with_evidence=True))
    assert found[0]["unreadable"] == "not JSON"
    assert any(line["kind"] == "evidence" and line["evidence"] is None for line in found)
    spoiled.engine.dispose()


def test_an_export_is_read_back(archive):
    earlier = archive.exported(with_evidence=True)
    assert set(earlier.entries) == set(archive.uids.values())
    for model, uid in archive.uids.items():
        assert earlier.entries[uid] == {e["sequence"]: e["hash"] for e in archive.entries(model)}
    assert sum(map(len, earlier.evidence.values())) == 15


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", "null", "x", '{"kind": "entry", "model_uid": "a", "sequence": "b"}']
)
def test_what_is_no_export_is_refused_by_the_line(archive, tmp_path, line):
    archive.exported()
    good = (archive.folder / "export.jsonl").read_text().splitlines()[0]
    file = tmp_path / "export.jsonl"
    file.write_text(f"{good}\n{line}\n")
    with pytest.raises(UsageError, match=r"export\.jsonl, line 2: "):
        read_export(file)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_a_file_that_holds_nothing_is_refused(tmp_path: Path, content):
    file = tmp_path / "export.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises((NotFound, UsageError), match=r"export\.jsonl"):
        read_export(file)
