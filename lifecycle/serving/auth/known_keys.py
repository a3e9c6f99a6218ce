"""A server's view of the file of API keys."""

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
_WRONG = "no such key opens this server"


class KnownKeys:
    """Keys by id. The file is looked at when a request comes and the last look is a second ago.

    So no request that comes a second after a change goes by the old keys, and a server that nobody asks does
    nothing. A file that cannot be read leaves the keys as they were: nothing in it is believed.
    """

    def __init__(self, file: Path) -> None:
        self._store = ApiKeys(file)
        self._stamp: object = ()
        self._next_look = 0.0
        self._keys: dict[bytes, tuple[bytes, ApiKey, Caller]] = {}

    def find(self, token: bytes) -> Caller:
        """Whose key that is. Takes as long for a near miss as for a far one.

        Raises:
            NotKnown: nobody's that counts.
        """
        if monotonic() >= self._next_look:
            self._look()
        if not looks_like_key(token):
            raise NotKnown(_WRONG)
        found = self._keys.get(token[ID])
        # An id that nobody has costs as much as one that somebody has.
        right = compare_digest(sha256(token).digest(), found[0] if found is not None else _NOBODYS)
        if found is None or not right:
            raise NotKnown(_WRONG)
        _, key, caller = found
        # From here on, whoever asks has the key, and may know what became of it.
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
        _LOG.info("%d API keys open this server", counting)


def _caller(key: ApiKey) -> Caller:
    until = float("inf") if key.expires_at is None else key.expires_at.timestamp()
    return Caller(key.name, MAY[key.may], frozenset(key.deployments), until)


def _stamp(file: Path) -> object:
    """Differs after every change, also of its mode."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode
