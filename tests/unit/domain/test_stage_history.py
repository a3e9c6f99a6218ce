"""Who held a stage when, from nothing but the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.stage_history import StageAssignment, TimeRange, stage_assignments
from lifecycle.errors import UsageError

MAY = datetime(2026, 5, 1, tzinfo=UTC)


class Story:
    """A ledger, told a day at a time from 1 May on."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []
        self._numbers = count(1)

    def on(
        self, day: int, action: Action, version: int, stage: str = "production", **fields: object
    ) -> LedgerEntry:
        at = MAY + timedelta(days=day - 1, hours=12)
        fields = {"digest": f"{version:064x}", "actor": "ada"} | fields
        entry = LedgerEntry(next(self._numbers), at, action, "wine", stage, version, **fields)
        self.entries.append(entry)
        return entry

    def held(self, at: str, stage: str = "production") -> list[int]:
        """The versions that held the stage then."""
        return [assignment.entry.version for assignment in self.stage_assignments(at, stage)]

    def stage_assignments(self, at: str, stage: str = "production") -> list[StageAssignment]:
        found = [
            assignment for assignment in stage_assignments(self.entries) if assignment.touches(TimeRange.parse(at))
        ]
        return [assignment for assignment in found if assignment.entry.stage == stage]


@pytest.fixture
def story() -> Story:
    return Story()


def test_before_the_first_entry_nothing_held_a_stage(story):
    assert story.held("2026-05-01") == []
    story.on(3, Action.PROMOTED, 1)
    assert story.held("2026-05-02") == []
    assert story.held("2026-05-03T11:59:59.999999") == []


def test_a_promotion_holds_until_the_next_one(story):
    story.on(2, Action.PROMOTED, 1)
    story.on(4, Action.PROMOTED, 2)
    assert [story.held(f"2026-05-{day:02}T13:00") for day in (1, 2, 3, 4, 31)] == [[], [1], [1], [2], [2]]


def test_a_day_shows_everything_that_held_the_stage_on_it_and_a_moment_one_version(story):
    story.on(2, Action.PROMOTED, 1)
    story.on(4, Action.PROMOTED, 2)
    assert story.held("2026-05-04") == [1, 2]
    assert story.held("2026-05-04T12:00") == [2]


def test_a_rollback_is_a_time_of_its_own(story):
    story.on(2, Action.PROMOTED, 1)
    story.on(3, Action.PROMOTED, 2)
    story.on(4, Action.ROLLED_BACK, 1)
    assert [story.held(f"2026-05-{day:02}T13:00") for day in (2, 3, 4)] == [[1], [2], [1]]
    (then,) = story.stage_assignments("2026-05-03T13:00")
    assert (then.ended_by.action, then.ended_by.version) == (Action.ROLLED_BACK, 1)


def test_a_demotion_leaves_the_stage_empty(story):
    story.on(2, Action.PROMOTED, 1)
    story.on(4, Action.DEMOTED, 1)
    assert story.held("2026-05-05") == []
    assert story.held("2026-05-03") == [1]


def test_a_version_is_in_one_stage_at_a_time(story):
    story.on(2, Action.PROMOTED, 1, "staging")
    story.on(4, Action.PROMOTED, 1, "production")
    assert story.held("2026-05-03", "staging") == [1]
    assert story.held("2026-05-05", "staging") == []
    assert story.held("2026-05-05", "production") == [1]


@pytest.mark.parametrize("action", [Action.REFUSED, Action.APPROVED])
def test_what_moves_nothing_changes_nothing(story, action):
    story.on(2, Action.PROMOTED, 1)
    story.on(3, action, 2)
    assert story.held("2026-05-04") == [1]


def test_an_override_that_has_ended_still_holds_the_stage_and_is_not_served(story):
    story.on(2, Action.OVERRIDDEN, 1, until=MAY + timedelta(days=2))
    (during,), (after,) = story.stage_assignments("2026-05-02T18:00"), story.stage_assignments("2026-05-03T00:00")
    assert during.why_not_served(TimeRange.parse("2026-05-02T18:00").start) == ""
    assert "override had ended" in after.why_not_served(TimeRange.parse("2026-05-03T00:00").start)


def test_an_override_that_gates_confirmed_is_served_on(story):
    story.on(2, Action.OVERRIDDEN, 1, until=MAY + timedelta(days=2))
    story.on(2, Action.PROMOTED, 1)
    (after,) = story.stage_assignments("2026-05-04")
    assert (after.entry.action, after.why_not_served(MAY + timedelta(days=3))) == (Action.PROMOTED, "")


def test_what_the_guard_found_there_holds_the_stage_and_is_not_served_until_it_is_promoted(story):
    story.on(2, Action.ADOPTED, 1)
    story.on(2, Action.ADOPTED, 2)  # on a plain registry a stage may hold several
    story.on(4, Action.PROMOTED, 2)
    assert story.held("2026-05-03") == [1, 2]
    assert all(
        "unchecked" in assignment.why_not_served(MAY) for assignment in story.stage_assignments("2026-05-03")
    )
    (now,) = story.stage_assignments("2026-05-05")
    assert (now.entry.version, now.why_not_served(now.since)) == (2, "")


def test_approvals_are_those_for_these_files_that_came_before(story):
    story.on(1, Action.APPROVED, 1, actor="bob")
    story.on(1, Action.APPROVED, 1, actor="eve", digest="f" * 64)
    story.on(1, Action.APPROVED, 2, actor="eve")
    story.on(1, Action.APPROVED, 1, "staging", actor="eve")
    story.on(2, Action.PROMOTED, 1)
    story.on(2, Action.APPROVED, 1, actor="late")
    (held,) = story.stage_assignments("2026-05-03")
    assert held.approvers == ("bob",)


def test_a_date_is_its_whole_day_in_utc():
    day = TimeRange.parse("2026-05-03")
    assert (day.start, day.end - day.start) == (MAY + timedelta(days=2), timedelta(days=1, microseconds=-1))


@pytest.mark.parametrize(
    "text", ["2026-05-03T12:00", "2026-05-03 12:00", "2026-05-03T12:00Z", "2026-05-03T14:00+02:00"]
)
def test_a_time_is_one_moment_in_utc_unless_it_says_otherwise(text):
    noon = MAY + timedelta(days=2, hours=12)
    assert TimeRange.parse(text) == TimeRange(noon, noon)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-05-03T25:00", "0001-01-01T00:00+02:00"])
def test_what_is_no_time_is_said_to_be_none(text):
    with pytest.raises(UsageError, match=r"is no time; write 2026-05-03 or"):
        TimeRange.parse(text)


def test_the_last_of_all_days_is_a_day_too():
    assert TimeRange.parse("9999-12-31").end.year == 9999
