"""Whatever is done to a ledger's middle shows."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.codec import decode
from lifecycle.domain.ledger import GENESIS, Action, LedgerEntry, broken_links
from lifecycle.domain.text import canonical_json

SEED = 20261121
START = datetime(2026, 11, 1, tzinfo=UTC)


def chain(length: int) -> list[LedgerEntry]:
    entries: list[LedgerEntry] = []
    for number in range(1, length + 1):
        entry = LedgerEntry(
            sequence=number,
            at=START + timedelta(hours=number),
            action=Action.PROMOTED if number % 3 else Action.REFUSED,
            model="wine",
            stage="production",
            version=number,
            previous=number - 1 or None,
            digest=f"{number:064x}",
            reason=f"reason {number}",
        )
        entries.append(entry.with_hash(entries[-1].hash if entries else GENESIS))
    return entries


def edited(entry: LedgerEntry, chance: random.Random) -> LedgerEntry:
    name = chance.choice([f.name for f in fields(entry)])
    value = getattr(entry, name)
    if isinstance(value, Action):
        return replace(entry, action=chance.choice([a for a in Action if a is not value]))
    if name == "until":
        return replace(entry, until=START)
    if isinstance(value, datetime):
        return replace(entry, at=value + timedelta(microseconds=1))
    if value is None or isinstance(value, int):
        return replace(entry, **{name: (value or 0) + 1})
    return replace(entry, **{name: value + "x"})


def test_an_untouched_ledger_has_no_broken_links():
    assert broken_links(chain(12)) == []
    assert broken_links([]) == []


def test_a_thousand_random_edits_drops_and_swaps_are_all_found():
    chance = random.Random(SEED)
    original = chain(12)
    for round_number in range(1000):
        tampered = list(original)
        at = chance.randrange(len(tampered) - 1)
        match chance.choice(["edit", "drop", "swap", "repeat"]):
            case "edit":
                tampered[at] = edited(tampered[at], chance)
            case "drop":
                del tampered[at]
            case "swap":
                tampered[at], tampered[at + 1] = tampered[at + 1], tampered[at]
            case "repeat":
                tampered.insert(at, tampered[at])
        assert broken_links(tampered), f"seed {SEED}, round {round_number}: not found"


def test_a_ledger_that_was_put_in_anothers_place_is_found_by_whoever_knows_whose_it_is():
    assert broken_links(chain(3), anchor=GENESIS) == []
    assert broken_links(chain(3), anchor="f" * 64) == [1]


def test_an_edit_that_is_sealed_again_breaks_the_next_link():
    tampered = chain(5)
    tampered[2] = replace(tampered[2], version=99).with_hash(tampered[1].hash)
    assert broken_links(tampered) == [4]


def test_an_entry_survives_the_journey_as_json_types():
    entry = chain(3)[-1]
    assert decode(LedgerEntry, canonical_json(entry.as_dict())) == entry


@pytest.mark.parametrize("bad", [{}, {"at": 5}, {"at": "yesterday"}, chain(1)[0].as_dict() | {"extra": 1}])
def test_what_is_no_entry_is_said_to_be_none(bad):
    with pytest.raises(ValueError, match=r"."):
        decode(LedgerEntry, canonical_json(bad))
