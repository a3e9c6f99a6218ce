"""The file of API keys: made, listed and revoked by the command line, read by every server."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from lifecycle.errors import ConfigError, Conflict, NotFound, UsageError, unknown
from lifecycle.serving.auth.api_key import PREFIX, ApiKey, ApiKeyMade, make_key
from lifecycle.signing.files import TooOpenError, locked, read_protected, write_protected
from lifecycle.signing.strict_json import strict_json

_WRITABLE_BY_OTHERS = (
    0o022  # hashes of random keys tell nothing, but whoever may write here makes keys of their own
)
_MOST = 2000  # a file of as many is well below what is read of one


def api_keys_file(home: Path) -> Path:
    """Where a home keeps them."""
    return home / "keys" / "api.json"


class ApiKeys:
    """The file. One that is not there has no keys; one that is broken is an error."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> Sequence[ApiKey]:
        """Every key, the oldest first, revoked and expired ones too.

        Raises:
            ConfigError: the file does not parse, cannot be read, or others may write to it.
        """
        try:
            return _parse(read_protected(self.file, _WRITABLE_BY_OTHERS))
        except FileNotFoundError:
            return ()
        except TooOpenError:
            raise ConfigError(
                f"{self.file}: others may write to this file of API keys, and so make a key of their own. "
                f"Look through it (lifecycle keys api list), after: chmod 600 {shlex.quote(str(self.file))}"
            ) from None
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(f"{self.file}: not a file of API keys: {why}") from exc

    def create(
        self, name: str, may: str, deployments: Sequence[str], now: datetime, lasts: timedelta | None = None
    ) -> ApiKeyMade:
        """A new key. Its secret is in what is returned and nowhere else.

        Args:
            may: ``predict`` or ``admin``.
            deployments: Those that it is to open; none for all.

        Raises:
            UsageError: a name is none, or there are too many keys.
            Conflict: a key that counts has the name.
            ConfigError, Unavailable: the file cannot be read or written.
        """
        until = None if lasts is None else now + lasts
        made = make_key(name, may, tuple(sorted(set(deployments))), now, until)
        with locked(self.file):
            keys = self.all()
            if any(key.name == name and key.counts(now) for key in keys):
                raise Conflict(f"a key is called {name!r}: choose another name, or revoke that one first")
            # A dead key of that name has had its day: its successor is the one that people mean.
            keys = [key for key in keys if key.name != name]
            if len(keys) >= _MOST:
                raise UsageError(f"{self.file} has {_MOST} keys, which is as many as it holds")
            self._write([*keys, made.key])
        return made

    def revoke(self, who: str, now: datetime) -> ApiKey:
        """Have a key open nothing any more; once revoked, it stays so from the first time on.

        Args:
            who: Its name or its id.

        Raises:
            UsageError: that is a key itself, which is never repeated.
            NotFound: no key is called so.
            ConfigError, Unavailable: the file cannot be read or written.
        """
        if who.startswith(PREFIX.decode()):
            raise UsageError("that is the key itself: say its name, or its id, the 12 characters after lck_")
        with locked(self.file):
            keys = self.all()
            meant = next((key for key in keys if who in (key.name, key.id)), None)
            if meant is None:
                raise NotFound(unknown("key", who[:40], {key.name for key in keys}))
            revoked = replace(meant, revoked_at=meant.revoked_at or now)
            self._write([revoked if key.id == revoked.id else key for key in keys])
        return revoked

    def _write(self, keys: Sequence[ApiKey]) -> None:
        content = json.dumps({"keys": [key.as_fields() for key in keys]}, indent=1) + "\n"
        write_protected(self.file, content.encode(), 0o600)


def _parse(content: bytes) -> Sequence[ApiKey]:
    fields = strict_json(content)
    if not isinstance(fields, dict) or set(fields) != {"keys"} or not isinstance(fields["keys"], list):
        raise ValueError('it holds {"keys": [...]} and nothing else')
    keys = [_numbered(number, entry) for number, entry in enumerate(fields["keys"], start=1)]
    for what in _UNIQUE:
        if len({what(key) for key in keys}) < len(keys):
            raise ValueError("two of its keys are the same or have the same name")
    return keys


_UNIQUE: tuple[Callable[[ApiKey], str], ...] = (lambda key: key.id, lambda key: key.name)


def _numbered(number: int, entry: object) -> ApiKey:
    try:
        return ApiKey.from_fields(entry)
    except (ValueError, TypeError) as exc:
        raise ValueError(f"key {number}: {exc}") from exc
