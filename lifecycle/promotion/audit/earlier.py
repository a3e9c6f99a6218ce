"""An earlier export against the ledger of today, of which it has to be the beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Row

from lifecycle.promotion.audit.export import Earlier, evidence_digest, evidence_key
from lifecycle.promotion.audit.findings import Broken, Finding


class Comparison:
    """Takes off what an export holds, as it is met again; what is left or different was rewritten."""

    def __init__(self, earlier: Earlier, names: Mapping[str, str]) -> None:
        self._entries = {uid: dict(entries) for uid, entries in earlier.entries.items()}
        self._evidence = {uid: dict(records) for uid, records in earlier.evidence.items()}
        self._names = names
        self._different: dict[str, list[int]] = {}
        self._changed: list[tuple[str, str]] = []

    def entry(self, model_uid: str, sequence: int, entry_hash: str) -> None:
        """An entry of today's."""
        then = self._entries.get(model_uid, {}).pop(sequence, entry_hash)
        if then != entry_hash:
            self._different.setdefault(model_uid, []).append(sequence)

    def evidence(self, row: Row[Any]) -> None:
        """A record of evidence of today's."""
        key = evidence_key(row.version, row.stage, row.evidence_id)
        now = evidence_digest(row.signed, row.received_from)
        if self._evidence.get(row.model_uid, {}).pop(key, now) != now:
            self._changed.append((row.model_uid, key))

    def differences(self, uids: frozenset[str] | None) -> Iterator[Finding]:
        """What the export tells differently, after everything of today's; None: of every ledger.

        One finding a ledger: where the first difference is, everything after it differs too.
        """
        for uid, sequences in self._different.items():
            yield self._finding(uid, min(sequences), f"is another than in the export ({len(sequences)} are)")
        for uid, left in self._entries.items():
            if left and (uids is None or uid in uids):
                yield self._finding(uid, min(left), f"is in the export, and not there any more ({len(left)} are)")
        for uid, key in self._changed:
            yield self._finding(uid, None, f"evidence {key} is another than in the export")
        for uid, records in self._evidence.items():
            for key in records if uids is None or uid in uids else ():
                yield self._finding(uid, None, f"evidence {key} is in the export, and not there any more")

    def _finding(self, uid: str, sequence: int | None, message: str) -> Finding:
        return Finding(Broken.REWRITTEN, self._names.get(uid, ""), uid, sequence, message)
