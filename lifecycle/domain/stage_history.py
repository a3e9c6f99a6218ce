"""Which version held which stage from when to when, as a ledger tells it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from lifecycle.domain.canonical import to_timestamp
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.errors import UsageError


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A day, or one moment: then both ends are the same. UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> TimeRange:
        """Read a date, which is its whole day, or a time; in UTC unless it says otherwise.

        Raises:
            UsageError: it is neither.
        """
        try:
            day = date.fromisoformat(text)
        except ValueError:
            moment = _moment(text)
            return cls(moment, moment)
        return cls(datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC))

    def as_dict(self) -> dict[str, str]:
        """JSON types only."""
        return {"from": to_timestamp(self.start), "to": to_timestamp(self.end)}


@dataclass(frozen=True, slots=True)
class StageAssignment:
    """A version's time in a stage.

    Attributes:
        entry: What put it there, or found it there when the guard came.
        approvals: Those for these very files and this stage, by then.
        ended_by: What ended it; None: it goes on.
    """

    entry: LedgerEntry
    approvals: tuple[LedgerEntry, ...] = ()
    ended_by: LedgerEntry | None = None

    @property
    def since(self) -> datetime:
        """UTC."""
        return self.entry.at

    @property
    def until(self) -> datetime | None:
        """UTC; None: it goes on."""
        return self.ended_by.at if self.ended_by else None

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who approved."""
        return tuple(dict.fromkeys(approval.actor for approval in self.approvals))

    def touches(self, period: TimeRange) -> bool:
        """Whether any of it lies in that time; the moment in which it gives way to another version does not."""
        return self.since <= period.end and (self.until is None or period.start < self.until)

    def why_not_served(self, now: datetime) -> str:
        """Why nothing served the version then, though the stage held it; empty where it was served."""
        if self.entry.stands(max(now, self.since)):
            return ""
        return "its override had ended" if self.entry.moved else "the guard had found it there, unchecked"


class StageHolders:
    """The versions in each stage, followed entry by entry.

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
        """Take the next entry in; returns those whose versions it took out of a stage."""
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
        """What put the versions there that are in a stage."""
        return self._holders.get(stage, ())

    def everywhere(self) -> list[LedgerEntry]:
        """The same for every stage."""
        return [entry for holders in self._holders.values() for entry in holders]

    def _take(self, leaves: Callable[[LedgerEntry], bool]) -> list[LedgerEntry]:
        taken = [held for held in self.everywhere() if leaves(held)]
        for held in taken:
            self._holders[held.stage].remove(held)
        return taken


def stage_assignments(
    entries: Iterable[LedgerEntry], aliases_alone: Collection[str] = ()
) -> list[StageAssignment]:
    """Every version's time in every stage, in the order in which they began.

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
    """An approval is worth nothing to other files, or to a move that came before it."""
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
