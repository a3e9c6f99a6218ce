"""The file of API keys: changed by the command line, read by every server."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from lifecycle.errors import ConfigError, Conflict, NotFound, UsageError, unknown
from lifecycle.serving.auth.api_key import PREFIX, ApiKey, ApiKeyMade, make_key
from lifecycle.signing.files import TooOpenError, locked, read_protected, strict_json, write_protected

_WRITABLE_BY_OTHERS = 0o022  # hashes of random keys may be read, but a writer could add a key of their own
_MOST = 2000  # a file with this many keys stays well below the size limit for reading


def api_keys_file(home: Path) -> Path:
    """Path of a home's file of API keys."""
    return home / "keys" / "api.json"


class ApiKeys:
    """The file of API keys. A missing file has no keys; a broken one is an error."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> Sequence[ApiKey]:
        """All keys, oldest first, revoked and expired ones included.

        Raises:
            ConfigError: the file does not parse, cannot be read, or others may write to it.
        """
        try:
            return _parse(read_protected(self.file, _WRITABLE_BY_OTHERS))
        except FileNotFoundError:
            return ()
        except TooOpenError:
            raise ConfigError(
                f"{self.file}: others may write to this file of API keys, so they could have added a key. "
                f"Run: chmod 600 {shlex.quote(str(self.file))}"
            ) from None
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(f"{self.file}: not a file of API keys: {why}") from exc

    def create(
        self, name: str, may: str, deployments: Sequence[str], now: datetime, lasts: timedelta | None = None
    ) -> ApiKeyMade:
        """Create a key. Its secret is in the returned value and stored nowhere.

        Args:
            may: ``predict`` or ``admin``.
            deployments: Deployments that it opens; none for all.

        Raises:
            UsageError: a name is not valid, or there are too many keys.
            Conflict: a valid key has the name.
            ConfigError, Unavailable: the file cannot be read or written.
        """
        until = None if lasts is None else now + lasts
        made = make_key(name, may, tuple(sorted(set(deployments))), now, until)
        with locked(self.file):
            keys = self.all()
            if any(key.name == name and key.counts(now) for key in keys):
                raise Conflict(f"a key is called {name!r}: choose another name, or revoke that key first")
            # a revoked or expired key gives its name to the new one
            keys = [key for key in keys if key.name != name]
            if len(keys) >= _MOST:
                raise UsageError(f"{self.file} has {_MOST} keys, which is the maximum; revoke some")
            self._write([*keys, made.key])
        return made

    def revoke(self, who: str, now: datetime) -> ApiKey:
        """Revoke a key. Revoking it again keeps the first time.

        Args:
            who: Name or id of the key.

        Raises:
            UsageError: ``who`` is the key itself, which is not repeated in the message.
            NotFound: no key has this name or id.
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
        raise ValueError('it has to hold {"keys": [...]} and nothing else')
    keys = [_numbered(number, entry) for number, entry in enumerate(fields["keys"], start=1)]
    for what in _UNIQUE:
        if len({what(key) for key in keys}) < len(keys):
            raise ValueError("two of its keys are equal or have the same name")
    return keys


_UNIQUE: tuple[Callable[[ApiKey], str], ...] = (lambda key: key.id, lambda key: key.name)


def _numbered(number: int, entry: object) -> ApiKey:
    try:
        return ApiKey.from_fields(entry)
    except (ValueError, TypeError) as exc:
        raise ValueError(f"key {number}: {exc}") from exc
