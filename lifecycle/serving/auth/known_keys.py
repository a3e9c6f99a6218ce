"""A server's cached view of the file of API keys."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from time import monotonic, time

from lifecycle.errors import ConfigError
from lifecycle.serving.auth.api_key import ID, ApiKey, looks_like_key
from lifecycle.serving.auth.api_keys import ApiKeys
from lifecycle.serving.auth.caller import MAY, Caller, NotKnown

_LOG = logging.getLogger(__name__)
_LOOK_S = 1.0
_NOBODYS = bytes(32)
_WRONG = "this key does not open this server"


class KnownKeys:
    """API keys by id. A request reads the file again when the last look at it is a second old.

    So a change takes effect within a second, and a server without requests does
    nothing. A file that cannot be read leaves the keys as they were.
    """

    def __init__(self, file: Path) -> None:
        self._store = ApiKeys(file)
        self._stamp: object = ()
        self._next_look = 0.0
        self._keys: dict[bytes, tuple[bytes, ApiKey, Caller]] = {}

    def find(self, token: bytes) -> Caller:
        """The caller with this key. Takes the same time for similar and dissimilar keys.

        Raises:
            NotKnown: unknown, revoked or expired.
        """
        if monotonic() >= self._next_look:
            self._look()
        if not looks_like_key(token):
            raise NotKnown(_WRONG)
        found = self._keys.get(token[ID])
        # an unknown id costs as much time as a known one
        right = compare_digest(sha256(token).digest(), found[0] if found is not None else _NOBODYS)
        if found is None or not right:
            raise NotKnown(_WRONG)
        _, key, caller = found
        # from here on the client has the key, so it may learn that it was revoked or has expired
        if key.revoked_at is not None:
            raise NotKnown("this key was revoked")
        if time() >= caller.until:
            raise NotKnown("this key has expired")
        return caller

    def _look(self) -> None:
        self._next_look = monotonic() + _LOOK_S
        stamp = _stamp(self._store.file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            keys = self._store.all()
        except ConfigError as exc:
            _LOG.error("the API keys stay as they were: %s", exc)
            return
        self._keys = {key.id.encode(): (bytes.fromhex(key.sha256), key, _caller(key)) for key in keys}
        counting = sum(key.counts(datetime.now(UTC)) for key in keys)
        _LOG.info("%d API keys are valid", counting)


def _caller(key: ApiKey) -> Caller:
    until = float("inf") if key.expires_at is None else key.expires_at.timestamp()
    return Caller(key.name, MAY[key.may], frozenset(key.deployments), until)


def _stamp(file: Path) -> object:
    """Differs after every change of the file, of its mode too."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode
