"""Which keys are trusted, and with what: one JSON file beside the server; a change counts at the next look."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

from lifecycle.errors import ConfigError, Conflict, NotFound, UsageError, unknown
from lifecycle.signing.files import TooOpenError, locked, read_closed, write_closed
from lifecycle.signing.keys import PublicKey
from lifecycle.signing.trusted_key import Permission, TrustedKey, check_key_name
from lifecycle.signing.unambiguous import unambiguous_json

__all__ = ["TRUST_VARIABLE", "Permission", "TrustStore", "TrustedKey"]

TRUST_VARIABLE = "LIFECYCLE_TRUSTED_KEYS"
"""Environment variable with the path of the file, where it isn't in the home."""

_WRITABLE_BY_OTHERS = 0o022
_MIN_THUMBPRINT_CHARS = 8


class TrustStore:
    """The file of trusted keys. A file that is not there trusts nobody; one that is broken is an error."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._parsed: tuple[bytes, tuple[TrustedKey, ...]] | None = None

    def keys(self) -> Sequence[TrustedKey]:
        """Every key, the oldest first, revoked ones too.

        Raises:
            ConfigError: the file does not parse, cannot be read, or others may write to it.
        """
        try:
            content = read_closed(self.file, _WRITABLE_BY_OTHERS)
            parsed = self._parsed
            if parsed is None or parsed[0] != content:
                parsed = self._parsed = (content, _parse(content))
            return parsed[1]
        except FileNotFoundError:
            return ()
        except TooOpenError:
            raise ConfigError(
                f"{self.file}: others may write to this file of trusted keys, and so trust a key of theirs. "
                f"Look through it (lifecycle keys list), after: chmod go-w {shlex.quote(str(self.file))}"
            ) from None
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(f"{self.file}: not a file of trusted keys: {why}") from exc

    def find(self, kid: str) -> TrustedKey | None:
        """The key with that thumbprint."""
        return next((key for key in self.keys() if key.kid == kid), None)

    def trust(self, key: PublicKey, name: str | None, may: Iterable[Permission], now: datetime) -> TrustedKey:
        """Trust a key with these things and no others, from now on; also one that was revoked.

        Args:
            name: None keeps the name that it has.

        Raises:
            UsageError: that is no name for a key, it has none yet, or it would be trusted with nothing.
            Conflict: another key that counts has the name.
            ConfigError, Unavailable: the file cannot be read or written.
        """
        allowed = frozenset(may)
        if not allowed:
            raise UsageError("trusted with nothing, a key is of no use: say what it may sign")
        with locked(self.file):
            known = self.find(key.kid)
            called = known.name if name is None and known else check_key_name(name)
            others = [other for other in self.keys() if other.kid != key.kid]
            if called in _names_in_use(others):
                raise Conflict(f"another key is called {called!r}: choose a name, or revoke that one first")
            trusted = TrustedKey(key.kid, key.coordinate, called, allowed, now)
            self._write([*others, trusted])
        return trusted

    def introduce(self, key: PublicKey, name: str, may: Iterable[Permission], now: datetime) -> TrustedKey:
        """Trust a key that this file has never known; one that it knows, revoked or not, stays as it is.

        Where another key has the name, a number is put behind it.
        """
        known = self.find(key.kid)
        if known is not None:
            return known
        with locked(self.file):
            known = self.find(key.kid)
            if known is None:
                free = _free_name(name, self.keys())
                known = TrustedKey(key.kid, key.coordinate, free, frozenset(may), now)
                self._write([*self.keys(), known])
        return known

    def revoke(self, who: str, now: datetime) -> TrustedKey:
        """Trust a key no more; once revoked, it stays so from the first time on.

        Args:
            who: Its name, or its thumbprint, of which the first eight characters will do.

        Raises:
            NotFound: no key, or more than one, is called so.
            ConfigError, Unavailable: the file cannot be read or written.
        """
        with locked(self.file):
            keys = self.keys()
            meant = _meant(who, keys)
            revoked = replace(meant, revoked_at=meant.revoked_at or now)
            if revoked != meant:
                self._write([revoked if key.kid == revoked.kid else key for key in keys])
        return revoked

    def _write(self, keys: Sequence[TrustedKey]) -> None:
        content = json.dumps({"keys": [key.as_fields() for key in keys]}, indent=2) + "\n"
        write_closed(self.file, content.encode(), 0o644)


def _parse(content: bytes) -> tuple[TrustedKey, ...]:
    fields = unambiguous_json(content)
    if not isinstance(fields, dict) or set(fields) != {"keys"} or not isinstance(fields["keys"], list):
        raise ValueError('it holds {"keys": [...]} and nothing else')
    keys = tuple(_numbered(number, entry) for number, entry in enumerate(fields["keys"], start=1))
    names = [key.name for key in keys if key.revoked_at is None]
    if len({key.kid for key in keys}) < len(keys) or len(set(names)) < len(names):
        raise ValueError("two of its keys are the same or have the same name")
    return keys


def _numbered(number: int, entry: object) -> TrustedKey:
    try:
        return TrustedKey.from_fields(entry)
    except ValueError as exc:
        raise ValueError(f"key {number}: {exc}") from exc


def _meant(who: str, keys: Sequence[TrustedKey]) -> TrustedKey:
    """A key that counts goes before a revoked one that had the same name."""
    counting = [key for key in keys if key.name == who and key.revoked_at is None]
    printed = [key for key in keys if len(who) >= _MIN_THUMBPRINT_CHARS and key.kid.startswith(who)]
    gone = [key for key in keys if key.name == who][-1:]
    meant = counting or printed or gone
    if len(meant) != 1:
        raise NotFound(unknown("key", who[:80], {key.name for key in keys}))
    return meant[0]


def _free_name(name: str, keys: Sequence[TrustedKey]) -> str:
    candidates = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(candidate for candidate in candidates if candidate not in _names_in_use(keys))


def _names_in_use(keys: Sequence[TrustedKey]) -> set[str]:
    return {key.name for key in keys if key.revoked_at is None}
