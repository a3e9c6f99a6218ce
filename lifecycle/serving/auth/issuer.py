"""Refreshes an issuer's public keys in a thread of its own; requests never wait for the issuer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from time import monotonic

from lifecycle.errors import UsageError
from lifecycle.serving.auth.fetch import NotFetched
from lifecycle.serving.auth.jwks import PublicKey
from lifecycle.serving.refusal import Refusal

_LOG = logging.getLogger(__name__)
REFRESH_S = 300.0
AGAIN_S = 10.0


class IssuerKeys:
    """The issuer's keys by ``kid``: fetched at once, every five minutes, and sooner for an unknown ``kid``.

    While the issuer cannot be reached, the known keys stay.

    Args:
        read: Fetches the keys; may be slow.
        refresh_s: Seconds between two fetches.
        again_s: Least seconds between two fetches for an unknown ``kid``, which any client can send.

    Attributes:
        generation: Number that grows when the keys change.
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, PublicKey]],
        refresh_s: float = REFRESH_S,
        again_s: float = AGAIN_S,
    ) -> None:
        self.generation = 0
        self._read = read
        self._refresh_s = refresh_s
        self._again_s = again_s
        self._keys: Mapping[str, PublicKey] = {}
        self._wanted = threading.Event()
        self._wanted.set()
        self._tried = monotonic()
        self._closed = False
        threading.Thread(target=self._run, name="issuer-keys", daemon=True).start()

    def find(self, kid: str) -> PublicKey | None:
        """The key with this id; None when the issuer has none.

        Raises:
            Refusal: 503 while the keys are being fetched.
        """
        key = self._keys.get(kid)
        if key is not None:
            return key
        if not self._keys or monotonic() - self._tried >= self._again_s:
            self._wanted.set()
        if self._wanted.is_set():
            raise Refusal(503, "the issuer's keys are being fetched; try again", retry_after=1)
        return None

    def close(self) -> None:
        """Stop fetching."""
        self._closed = True
        self._wanted.set()

    def _run(self) -> None:
        while not self._closed:
            self._refresh()
            self._tried = monotonic()
            self._wanted.clear()
            self._wanted.wait(self._refresh_s if self._keys else self._again_s)

    def _refresh(self) -> None:
        try:
            keys = self._read()
        except (NotFetched, UsageError) as exc:
            _LOG.error("the issuer's keys stay as they were: %s", exc)
            return
        except Exception as exc:  # whatever fails, this thread has to go on
            _LOG.error("the issuer's keys stay as they were (%s)", type(exc).__name__)
            return
        if _thumbprints(keys) != _thumbprints(self._keys):
            self._keys = keys
            self.generation += 1
            _LOG.info("tokens signed by %d keys of the issuer are accepted", len(keys))


def _thumbprints(keys: Mapping[str, PublicKey]) -> dict[str, str]:
    return {kid: key.key.thumbprint() for kid, key in keys.items()}
