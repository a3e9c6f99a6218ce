"""Stages, aliases and histories tell one story, or it is said what differs and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.model import ModelState, ModelVersion
from lifecycle.domain.policy import GateSpec, ModelPolicy, StagePolicy
from lifecycle.promotion.consistency import inconsistencies, standing_move

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GATES = (GateSpec("signature"),)
STAGING = StagePolicy("staging", "Staging", GATES)
PRODUCTION = StagePolicy("production", "Production", GATES, alias="champion")
POLICY = ModelPolicy((STAGING, PRODUCTION))
ENVIRONMENT = replace(POLICY, environment="production")
TO_ONE = "Run: lifecycle rollback wine --stage production --to 1 --reason …"


def chained(*happened: tuple[Action, int] | tuple[Action, int, str]) -> list[LedgerEntry]:
    """A ledger in which these things happened, in production where nothing else is said."""
    entries, previous = [], "0" * 64
    for sequence, (action, version, *stage) in enumerate(happened, start=1):
        entry = LedgerEntry(
            sequence=sequence,
            at=NOW - timedelta(days=1) + timedelta(minutes=sequence),
            action=action,
            model="wine",
            stage=stage[0] if stage else "production",
            version=version,
            until=NOW + timedelta(hours=1) if action is Action.OVERRIDDEN else None,
        ).with_hash(previous)
        entries.append(entry)
        previous = entry.hash
    return entries


def state(
    stages: Iterable[str], ledger: Iterable[LedgerEntry], champion: int | None = None, model: str = "wine"
) -> ModelState:
    versions = [
        ModelVersion(model, number, stage, ("champion",) if number == champion else ())
        for number, stage in enumerate(stages, start=1)
    ]
    return ModelState(model, versions, list(ledger))


def said(seen: ModelState, policy: ModelPolicy = POLICY, now: datetime = NOW) -> list[tuple[str, str]]:
    return [(one.what, f"{one.message}. {one.mend}") for one in inconsistencies(seen, policy, now)]


PROMOTED, DEMOTED, REFUSED = Action.PROMOTED, Action.DEMOTED, Action.REFUSED
ROLLED_BACK = Action.ROLLED_BACK


@pytest.mark.parametrize(
    "seen",
    [
        state([], []),
        state(["None", "Archived"], []),
        state(["Production"], chained((PROMOTED, 1)), champion=1),
        state(["Archived", "Production"], chained((PROMOTED, 1), (REFUSED, 2), (PROMOTED, 2)), champion=2),
        state(["Production", "Archived"], chained((PROMOTED, 1), (PROMOTED, 2), (ROLLED_BACK, 1)), champion=1),
        state(["Archived"], chained((PROMOTED, 1), (DEMOTED, 1))),
        state(["Staging"], chained((PROMOTED, 1), (PROMOTED, 1, "staging"))),
        state(["Production"], chained((Action.OVERRIDDEN, 1)), champion=1),
        state(["Production"], chained((Action.ADOPTED, 1))),
        state(["None"], chained((REFUSED, 1), (Action.APPROVED, 1))),
    ],
)
def test_what_the_guard_leaves_is_consistent(seen):
    assert said(seen) == []


def test_a_version_that_no_promotion_put_there():
    (unpromoted,) = said(state(["Production"], [], champion=1))
    assert unpromoted == (
        "unpromoted",
        "Production of wine holds version 1, which no promotion put there. Run: lifecycle gate run models:/wine/1 "
        "--stage production, then lifecycle promote models:/wine/1 --stage production; or move version 1 to "
        "Archived",
    )


def test_a_version_in_the_place_of_the_promoted_one():
    found = said(state(["Archived", "Production"], chained((PROMOTED, 1)), champion=2))
    assert found == [
        (
            "unpromoted",
            "Production of wine holds version 2, which no promotion put there; by the ledger it is version 1. "
            + TO_ONE,
        )
    ]


def test_a_version_that_was_taken_out_on_record_and_is_back():
    kinds = [what for what, _ in said(state(["Production"], chained((PROMOTED, 1), (DEMOTED, 1)), champion=1))]
    assert kinds == ["unpromoted"]


def test_two_versions_in_one_stage():
    found = said(state(["Production", "Production"], chained((PROMOTED, 1)), champion=1))
    assert ("several", f"Production of wine holds versions 1 and 2 at once. {TO_ONE}") in found
    assert {what for what, _ in found} == {"several", "unpromoted", "alias"}


def test_a_version_that_left_and_nothing_says_so():
    found = said(state(["Archived"], chained((PROMOTED, 1))))
    assert found == [("left", f"version 1 left Production of wine, and nothing on record says so. {TO_ONE}")]


@pytest.mark.parametrize(
    ("stages", "champion", "words"),
    [
        (["Production", "None"], 2, "alias champion of wine points to version 2, and version 1 holds Production"),
        (["Production", "None"], None, "alias champion of wine points to nothing, and version 1 holds Production"),
    ],
)
def test_an_alias_that_strayed(stages, champion, words):
    assert said(state(stages, chained((PROMOTED, 1)), champion)) == [("alias", f"{words}. {TO_ONE}")]


def test_an_alias_without_its_stage():
    ((what, text),) = said(state(["None"], [], champion=1))
    assert what == "alias"
    assert "points to version 1, and no version holds Production. Delete the alias" in text


def test_an_override_that_ended_wants_its_gates():
    seen = state(["Production"], chained((Action.OVERRIDDEN, 1)), champion=1)
    ((what, text),) = said(seen, now=NOW + timedelta(hours=1))
    assert what == "override_ended"
    assert text.startswith("the override of version 1 in Production of wine has ended. Run: lifecycle gate run")


def test_an_environment_takes_nothing_but_copies():
    copied = chained((PROMOTED, 1))
    assert said(state(["Production"], copied, champion=1), ENVIRONMENT) == []
    ((what, text),) = said(state(["Production", "None"], copied, champion=1), ENVIRONMENT)
    assert what == "no_copy"
    assert text.startswith("wine is the environment production, and no copy brought version 2")
    assert [what for what, _ in said(state(["Production"], [], champion=1), ENVIRONMENT)] == ["unpromoted"]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    "change", [{"version": 3}, {"at": NOW}, {"hash": "f" * 64}, {"reason": "a better one"}, {"action": DEMOTED}]
)
def test_an_entry_that_was_edited(number, change):
    ledger = chained((PROMOTED, 1), (PROMOTED, 2), (PROMOTED, 1))
    ledger[number] = replace(ledger[number], **change)
    assert "history" in {what for what, _ in said(state(["Production", "Archived"], ledger, champion=1))}


def test_an_entry_that_was_made_anew_with_a_right_hash():
    """The next one gives it away, if there is one: that the last one is genuine, its proof has to say."""
    ledger = chained((PROMOTED, 1), (PROMOTED, 2))
    forged = replace(ledger[0], reason="forged").with_hash(ledger[0].previous_hash)
    found = said(state(["Archived", "Production"], [forged, ledger[1]], champion=2))
    assert found == [
        (
            "history",
            "entry 2 in the history of version 2 does not follow the last one. Run: lifecycle audit verify",
        )
    ]


def test_two_entries_with_one_number():
    ledger = chained((PROMOTED, 1))
    twin = replace(ledger[0], version=2).with_hash("0" * 64)
    assert "history" in {what for what, _ in said(state(["Production", "None"], [*ledger, twin], champion=1))}


@given(st.data())
def test_a_history_with_gaps_is_no_broken_one(data):
    """A version that was deleted takes its entries along, and old refusals are not shown."""
    ledger = chained(*((REFUSED, 1 + number % 3) for number in range(12)), (PROMOTED, 1))
    kept = data.draw(st.sets(st.sampled_from(range(12))))
    shown = [ledger[number] for number in sorted(kept)] + ledger[-1:]
    assert said(state(["Production"], shown, champion=1)) == []


def test_names_with_spaces_can_be_pasted():
    ((_, text),) = said(state(["Production"], [], champion=1, model="my wine"))
    assert "lifecycle gate run 'models:/my wine/1' --stage production" in text


def test_what_put_a_version_there_is_the_last_move_that_still_stands():
    ledger = chained((PROMOTED, 1), (PROMOTED, 2), (DEMOTED, 2), (PROMOTED, 1, "staging"))
    assert standing_move(state([], ledger), POLICY, PRODUCTION) is None
    assert standing_move(state([], ledger), POLICY, STAGING) == ledger[3]
    assert standing_move(state([], ledger[:2]), POLICY, PRODUCTION) == ledger[1]
    assert standing_move(state([], chained((Action.ADOPTED, 1))), POLICY, PRODUCTION) is None
