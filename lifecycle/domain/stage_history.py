"""Which version held which stage when, from a ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.text import to_timestamp
from lifecycle.errors import UsageError


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A day, or one moment with both ends equal. UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> TimeRange:
        """Parse a date, which means the whole day, or a time; UTC without an offset.

        Raises:
            UsageError: the text is neither.
        """
        try:
            day = date.fromisoformat(text)
        except ValueError:
            moment = _moment(text)
            return cls(moment, moment)
        return cls(datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC))

    def as_dict(self) -> dict[str, str]:
        """As JSON types."""
        return {"from": to_timestamp(self.start), "to": to_timestamp(self.end)}


@dataclass(frozen=True, slots=True)
class StageAssignment:
    """A version's time in a stage.

    Attributes:
        entry: The entry that placed it there, or adopted it when the guard was installed.
        approvals: Approvals of these files for this stage until then.
        ended_by: The entry that ended it; None if it has not ended.
    """

    entry: LedgerEntry
    approvals: tuple[LedgerEntry, ...] = ()
    ended_by: LedgerEntry | None = None

    @property
    def since(self) -> datetime:
        """Start of the assignment, UTC."""
        return self.entry.at

    @property
    def until(self) -> datetime | None:
        """End of the assignment, UTC; None if it has not ended."""
        return self.ended_by.at if self.ended_by else None

    @property
    def approvers(self) -> tuple[str, ...]:
        """Names of the approvers."""
        return tuple(dict.fromkeys(approval.actor for approval in self.approvals))

    def touches(self, period: TimeRange) -> bool:
        """Whether it overlaps the time range; its last moment belongs to its successor."""
        return self.since <= period.end and (self.until is None or period.start < self.until)

    def why_not_served(self, now: datetime) -> str:
        """Why the version could not be served at that time; empty if it could."""
        if self.entry.stands(max(now, self.since)):
            return ""
        return "its override had ended" if self.entry.moved else "the guard had found it there, unchecked"


class StageHolders:
    """The version in each stage, computed entry by entry.

    A stage holds one version, except what it held when the guard was installed. A version that enters a stage
    leaves the others, except where the stage is an alias alone: that is beside them.

    Args:
        aliases_alone: Those stages, by the policy's word.
    """

    def __init__(self, aliases_alone: Collection[str] = ()) -> None:
        self._holders: dict[str, list[LedgerEntry]] = {}
        self._aliases_alone = aliases_alone

    @classmethod
    def after(cls, entries: Iterable[LedgerEntry], aliases_alone: Collection[str] = ()) -> StageHolders:
        """The holders after a model's whole ledger."""
        holders = cls(aliases_alone)
        for entry in entries:
            holders.follow(entry)
        return holders

    def follow(self, entry: LedgerEntry) -> list[LedgerEntry]:
        """Apply the next entry; returns the entries whose versions it removed from a stage."""
        if entry.moved:
            beside = entry.stage in self._aliases_alone
            left = self._take(
                lambda held: entry.stage == held.stage or (not beside and entry.version == held.version)
            )
        elif entry.action is Action.DEMOTED:
            left = self._take(lambda held: (entry.stage, entry.version) == (held.stage, held.version))
        else:
            left = []
        if entry.moved or entry.action is Action.ADOPTED:
            self._holders.setdefault(entry.stage, []).append(entry)
        return left

    def of(self, stage: str) -> Sequence[LedgerEntry]:
        """Entries that placed the versions that are in a stage."""
        return self._holders.get(stage, ())

    def everywhere(self) -> list[LedgerEntry]:
        """Entries that placed the versions of all stages."""
        return [entry for holders in self._holders.values() for entry in holders]

    def _take(self, leaves: Callable[[LedgerEntry], bool]) -> list[LedgerEntry]:
        taken = [held for held in self.everywhere() if leaves(held)]
        for held in taken:
            self._holders[held.stage].remove(held)
        return taken


def stage_assignments(
    entries: Iterable[LedgerEntry], aliases_alone: Collection[str] = ()
) -> list[StageAssignment]:
    """All stage assignments, ordered by start.

    Args:
        entries: A model's ledger, oldest first.
        aliases_alone: The stages of its policy that are an alias alone.
    """
    holders = StageHolders(aliases_alone)
    approvals: list[LedgerEntry] = []
    found: list[StageAssignment] = []
    for entry in entries:
        if entry.action is Action.APPROVED:
            approvals.append(entry)
        found += [StageAssignment(held, _for(held, approvals), entry) for held in holders.follow(entry)]
    found += [StageAssignment(held, _for(held, approvals)) for held in holders.everywhere()]
    return sorted(found, key=lambda assignment: assignment.entry.sequence)


def _for(move: LedgerEntry, approvals: Iterable[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """Approvals of an entry: those of the same files before the move."""
    subject = (move.stage, move.version, move.digest)
    return tuple(
        a
        for a in approvals
        if (a.stage, a.version, a.digest) == subject and a.sequence < move.sequence and move.digest
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text[:40]!r} is no time; write 2026-05-03 or 2026-05-03T12:00") from None
