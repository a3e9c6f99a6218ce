"""An audit finds what was changed, says where, and stays silent about what is as it should be."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import NotFound
from lifecycle.signing.jws import payload_of
from lifecycle.signing.keys import SigningKey
from tests.unit.promotion.archive import START, Archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive.made(tmp_path)
    yield archive
    archive.engine.dispose()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive.made(tmp_path_factory.mktemp("archive"))
    archive.live()
    archive.engine.dispose()
    return archive


@pytest.fixture
def past(told: Archive, tmp_path: Path) -> Iterator[Archive]:
    """A whole past, and no triggers."""
    archive = told.copy(tmp_path)
    archive.unlock()
    yield archive
    archive.engine.dispose()


def test_what_nobody_has_touched_is_whole_and_is_told(past):
    report = past.audit()
    assert (report.whole, report.notes) == (True, [])
    told = {ledger.model: (ledger.entries, ledger.head) for ledger in report.ledgers}
    assert told == {model: (len(past.entries(model)), past.entries(model)[-1]["hash"]) for model in past.uids}
    assert report.evidence == len(past.sql("SELECT id FROM lifecycle_evidence"))


def test_an_empty_registry_is_whole(archive):
    archive.register("wine", 2)
    report = archive.audit()
    assert (report.whole, report.ledgers) == (True, [])


def test_progress_is_told(past):
    for _ in range(500):
        past.write(Action.REFUSED, 1)
    told = []
    past.audit(progress=lambda done, total: told.append((done, total)))
    number = len(past.sql("SELECT 1 FROM lifecycle_ledger"))
    assert told == [(500, number)]


# The chain


def test_an_edited_entry_is_named(past):
    past.sql(
        "UPDATE lifecycle_ledger SET entry = replace(entry, 'tasted it', 'liked it') WHERE model_uid = ?",
        past.uids["wine"],
    )
    (tasted,) = (e["sequence"] for e in past.entries("wine") if e["reason"] == "liked it")
    assert past.breaks() == [("edited", "wine", tasted)]


@pytest.mark.parametrize(
    ("old", "new"), [('"version":', '"version": '), ("}", ',"version":1}'), (r"\u00fc", r"\u00FC")]
)
def test_an_entry_that_says_the_same_in_another_spelling_is_an_edit(past, old, new):
    written = past.write(Action.REFUSED, 1, reason="ünïcode")
    past.sql(
        "UPDATE lifecycle_ledger SET entry = replace(entry, ?, ?) WHERE model_uid = ? AND sequence = ?",
        *(old, new, past.uids["wine"], written.sequence),
    )
    assert past.breaks() == [("edited", "wine", written.sequence)]


def test_an_entry_that_is_taken_out_is_named(past):
    past.sql("DELETE FROM lifecycle_ledger WHERE model_uid = ? AND sequence IN (3, 4)", past.uids["beer"])
    broken = past.breaks()
    assert ("missing", "beer", 3) in broken
    assert {model for _, model, _ in broken} == {"beer"}


def test_entries_that_are_cut_off_are_missed_and_stay_missed_whatever_comes_after(past):
    last = len(past.entries("wine"))
    past.sql("DELETE FROM lifecycle_ledger WHERE model_uid = ? AND sequence = ?", past.uids["wine"], last)
    assert ("missing", "wine", last) in past.breaks()
    past.write(Action.REFUSED, 1)
    past.write(Action.REFUSED, 1)
    assert ("missing", "wine", last) in past.breaks()


def test_a_ledger_without_its_head_is_found_and_stays_found(past):
    past.sql("DELETE FROM lifecycle_heads WHERE model_uid = ?", past.uids["wine"])
    assert past.breaks() == [("head", "wine", None)]
    written = past.write(Action.REFUSED, 1)
    assert past.breaks() == [("link", "wine", written.sequence)]


def test_a_head_under_another_name_is_found(archive):
    archive.register("wine", 1)
    archive.write(Action.REFUSED, 1)
    archive.sql("UPDATE lifecycle_heads SET model = 'beer'")
    assert archive.breaks() == [("stranger", "beer", 1)]


def test_a_ledger_that_is_gone_but_for_its_head_is_found(past):
    past.sql("DELETE FROM lifecycle_ledger WHERE model_uid = ?", past.uids["gone"])
    assert past.breaks() == [("missing", "gone", 1)]


def test_a_whole_ledger_in_another_models_place_is_found(past):
    for table in ("lifecycle_ledger", "lifecycle_heads", "lifecycle_evidence"):
        past.sql(f"UPDATE {table} SET model_uid = 'x' WHERE model_uid = ?", past.uids["gone"])
    assert past.breaks() == [("link", "gone", 1)]


def test_what_is_no_entry_is_an_edit_and_no_crash(past):
    for text in ("", "[]", "{}", "null", '{"a":NaN}', "[" * 10_000):
        past.sql("UPDATE lifecycle_ledger SET entry = ? WHERE model_uid = ?", text, past.uids["gone"])
        broken = past.breaks(model="gone")
        assert len(broken) > 5
        assert {what for what, *_ in broken} == {"edited"}


# Evidence


def test_a_promotion_rests_on_evidence_that_passed_for_its_files(archive):
    archive.register("wine", 3)
    archive.place(1, "Production")
    passed, failed = archive.judge(1), archive.judge(1, outcome=Outcome.FAILED)
    other = archive.judge(2)
    for named in (
        {"evidence_id": passed.evidence_id, "digest": passed.digest},
        {"evidence_id": failed.evidence_id, "digest": failed.digest},
        {"evidence_id": passed.evidence_id, "digest": "f" * 64},
        {"evidence_id": other.evidence_id, "digest": other.digest},
        {"evidence_id": None},
    ):
        archive.write(Action.PROMOTED, 1, **named)
    assert archive.breaks() == [("unfounded", "wine", sequence) for sequence in (2, 3, 4, 5)]


def test_evidence_that_an_entry_names_is_missed(past):
    promoted = past.entries("wine")[-1]
    past.sql("DELETE FROM lifecycle_evidence WHERE evidence_id = ?", promoted["evidence_id"])
    assert ("unfounded", "wine", promoted["sequence"]) in past.breaks()


def test_evidence_that_is_signed_by_nobody_is_found(past):
    record = past.judge(1)
    past.put(replace(record, attempt=2), past.signed(record))
    past.put(replace(record, attempt=3), "a.b.c")
    header, _, signature = past.signed(record).split(".")
    forged = replace(record, attempt=4)
    text = base64.urlsafe_b64encode(forged.to_json().encode()).rstrip(b"=").decode()
    past.put(forged, f"{header}.{text}.{signature}")
    assert past.breaks() == [("evidence", "wine", None)] * 3


def test_evidence_under_another_models_version_or_stage_is_found(past):
    record = past.judge(3)
    past.put(record, past.signed(record), model="beer")
    past.put(replace(record, version=2), past.signed(record))
    what = {(what, model) for what, model, _ in past.breaks()}
    assert what == {("stranger", "beer"), ("stranger", "wine"), ("evidence", "wine")}


def test_a_key_that_was_revoked_since_is_worth_a_note(past):
    past.trust.revoke("ci", START)
    report = past.audit()
    assert report.whole
    (note,) = report.notes
    assert note.message == (
        "evidence signed by the key 'ci', which is trusted no more since 2026-05-01 00:00 UTC: 15 of 15 records"
    )


def test_evidence_that_says_the_same_in_another_spelling_is_found_although_nobody_knows_the_key(past):
    signed = past.sql("SELECT signed FROM lifecycle_evidence ORDER BY id LIMIT 1")[0].signed
    header, payload, signature = signed.split(".")
    spaced = base64.urlsafe_b64encode(base64.urlsafe_b64decode(payload + "==").replace(b":", b": ", 1))
    respelled = f"{header}.{spaced.rstrip(b'=').decode()}.{signature}"
    past.sql("UPDATE lifecycle_evidence SET signed = ? WHERE signed = ?", respelled, signed)
    past.trust.file.unlink()
    assert ("evidence", "wine", None) in past.breaks()


def test_a_key_that_nobody_here_knows_is_worth_a_note(past):
    past.trust.file.unlink()
    report = past.audit()
    assert report.whole
    (note,) = report.notes
    assert f"not known here ({past.key.kid}), and so not checked: 15 of 15" in note.message


def test_a_signature_under_another_name_is_found_although_nobody_knows_that_name(past):
    signed = past.sql("SELECT signed FROM lifecycle_evidence ORDER BY id LIMIT 1")[0].signed
    header, rest = signed.split(".", 1)
    fields = json.loads(base64.urlsafe_b64decode(header + "=="))
    other = json.dumps(fields | {"kid": SigningKey.generate().kid}, separators=(",", ":")).encode()
    renamed = f"{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}.{rest}"
    assert payload_of(renamed) == payload_of(signed)
    past.sql("UPDATE lifecycle_evidence SET signed = ? WHERE signed = ?", renamed, signed)
    assert past.breaks() == [("evidence", "wine", None)]


def test_a_copy_in_an_environment_rests_on_the_evidence_of_its_original(past):
    past.register("prod.wine", 1)
    original = past.entries("wine")[-1]
    named = {"digest": original["digest"], "evidence_id": original["evidence_id"]}
    past.write(Action.PROMOTED, 1, model="prod.wine", reason="copied from models:/wine/1", **named)
    past.write(Action.ROLLED_BACK, 1, model="prod.wine", reason="complaints", **named)
    past.place(1, "Production", "prod.wine")
    assert past.whole()
    past.write(Action.PROMOTED, 1, model="prod.wine", **named | {"digest": "f" * 64})
    assert past.breaks() == [("unfounded", "prod.wine", 3)]


# Behind the guard's back


def test_a_version_that_was_put_into_a_stage_is_found(past):
    past.sql("UPDATE model_versions SET current_stage = 'Staging' WHERE name = 'wine' AND version = 2")
    (found,) = past.audit().breaks
    assert (found.what, found.model) == ("outside", "wine")
    assert found.message.startswith("Staging of wine holds version 2, which no promotion put there")


def test_a_version_that_was_put_into_a_stage_of_a_model_without_a_past_is_found(archive):
    archive.register("wine", 1)
    archive.place(1, "Production")
    assert archive.breaks() == [("outside", "wine", None)]


def test_a_version_that_was_taken_out_of_its_stage_is_found(past):
    past.sql("UPDATE model_versions SET current_stage = 'None' WHERE name = 'wine' AND version = 1")
    (found,) = past.audit().breaks
    assert "version 1 left Production of wine, and nothing on record says so" in found.message


@pytest.mark.parametrize(("version", "said"), [(2, "points to version 2"), (None, "points to nothing")])
def test_an_alias_that_was_moved_is_found(past, version, said):
    if version:
        past.point("champion", version)
    else:
        past.sql("DELETE FROM registered_model_aliases WHERE name = 'wine'")
    (found,) = past.audit().breaks
    assert f"alias champion of wine {said}" in found.message


def test_a_model_that_was_deleted_while_it_was_in_production_is_found(past):
    past.sql("DELETE FROM registered_models WHERE name = 'wine'")
    (found,) = past.audit().breaks
    assert "version 1 holds production by the ledger, and MLflow has no such model now" in found.message


def test_stages_and_aliases_that_nobody_guards_are_nobodys_business(past):
    past.point("challenger", 3)
    past.sql("UPDATE model_versions SET current_stage = 'Archived' WHERE name = 'wine' AND version = 4")
    past.register("prompt", 1)
    past.sql("UPDATE model_versions SET source = 'prompt-template' WHERE name = 'prompt'")
    past.point("champion", 1, "prompt")
    assert past.whole()


def test_what_was_there_when_the_guard_came_may_hold_the_stage_or_the_alias(archive):
    archive.register("wine", 3)
    for version in (1, 2, 3):
        archive.write(Action.ADOPTED, version)
    archive.place(1, "Production")
    archive.sql("UPDATE model_versions SET current_stage = 'Production' WHERE version = 2")
    archive.point("champion", 3)
    assert archive.whole()


# An earlier export


def test_whoever_makes_every_hash_anew_is_found_by_an_earlier_export_alone(past):
    earlier = past.exported()
    past.reseal("wine", 6, {"actor": "mallory"})
    assert past.whole()
    assert past.breaks(earlier=earlier) == [("rewritten", "wine", 6)]


def test_a_ledger_that_went_away_with_its_head_is_found_by_an_earlier_export_alone(past):
    earlier = past.exported()
    for table in ("lifecycle_ledger", "lifecycle_heads"):
        past.sql(f"DELETE FROM {table} WHERE model_uid = ?", past.uids["gone"])
    assert past.whole()
    assert past.breaks(earlier=earlier) == [("rewritten", "", 1)]


def test_a_tail_that_went_away_with_its_head_set_back_is_found_by_an_earlier_export_alone(past):
    earlier, entries = past.exported(), past.entries("gone")
    past.sql("DELETE FROM lifecycle_ledger WHERE model_uid = ? AND sequence >= 2", past.uids["gone"])
    past.sql(
        "UPDATE lifecycle_heads SET sequence = 1, hash = ? WHERE model_uid = ?",
        *(entries[0]["hash"], past.uids["gone"]),
    )
    assert past.whole()
    assert past.breaks(earlier=earlier) == [("rewritten", "gone", 2)]


def test_what_was_written_since_is_no_difference(past):
    earlier = past.exported(with_evidence=True)
    past.promote(2)
    assert past.audit(earlier=earlier).whole


def test_evidence_that_no_entry_names_is_missed_by_an_export_with_evidence_alone(past):
    record = past.judge(3, outcome=Outcome.FAILED)
    without, complete = past.exported(), past.exported(with_evidence=True)
    past.sql("DELETE FROM lifecycle_evidence WHERE evidence_id = ?", record.evidence_id)
    assert past.audit(earlier=without).whole
    assert past.breaks(earlier=complete) == [("rewritten", "wine", None)]


def test_who_delivered_evidence_is_held_by_an_export_with_evidence_alone(past):
    complete = past.exported(with_evidence=True)
    past.sql("UPDATE lifecycle_evidence SET received_from = 'mallory' WHERE id = 2")
    assert past.whole()
    assert past.breaks(earlier=complete) == [("rewritten", "wine", None)]


# One model


def test_one_model_is_looked_at_by_its_name_whatever_ledgers_it_has_had(past):
    earlier = past.exported()
    past.uids["old wine"] = past.uids.pop("wine")
    past.sql("DELETE FROM registered_models WHERE name = 'wine'")
    past.sql("DELETE FROM model_versions WHERE name = 'wine'")
    past.sql("DELETE FROM registered_model_aliases WHERE name = 'wine'")
    past.register("wine", 1)
    past.promote(1)
    report = past.audit(model="wine", earlier=earlier)
    assert {ledger.model_uid for ledger in report.ledgers} == {past.uids["wine"], past.uids["old wine"]}
    assert [found.what for found in report.breaks] == ["outside"]


def test_another_models_breaks_are_not_this_ones_but_a_ledger_without_a_head_may_be(past):
    past.sql("DELETE FROM lifecycle_ledger WHERE model_uid = ? AND sequence = 2", past.uids["wine"])
    assert past.breaks(model="beer") == []
    past.sql("DELETE FROM lifecycle_heads WHERE model_uid = ?", past.uids["gone"])
    assert past.breaks(model="beer") == [("head", "gone", None)]


def test_a_name_of_which_nothing_is_known_is_wrong(past):
    with pytest.raises(NotFound, match="did you mean 'wine'"):
        past.audit(model="wina")
