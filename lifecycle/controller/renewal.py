"""Keeps a claimed gate run while its gates take their time."""

from __future__ import annotations

import logging
import threading
from typing import Self

from lifecycle.domain.gate_claim import Claim, QueuedGates
from lifecycle.errors import Conflict, NotFound
from lifecycle.registry.contract import ModelRegistry

_LOG = logging.getLogger(__name__)
_JOIN_S = 5.0


class ClaimLost(Exception):
    """Somebody else runs the gates now, or nobody waits for them any more."""


class Renewal:
    """A thread that says every few seconds that the worker is still at it, whatever the worker is busy with."""

    def __init__(self, registry: ModelRegistry, gates: QueuedGates, claim: Claim, every_s: float) -> None:
        self._registry = registry
        self._gates = gates
        self._claim = claim
        self._every_s = every_s
        self._over = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_JOIN_S)  # what it says after us must not undo what we say next

    def check(self) -> None:
        """Raises ClaimLost."""
        if self._lost:
            raise ClaimLost(self._lost)

    def _renew(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self._registry.claim(self._gates, self._claim)
            except (Conflict, NotFound) as exc:
                self._lost = str(exc)
                return
            except Exception as exc:  # it may answer again before the lease is over
                _LOG.warning("the lease is not renewed: %s", exc)
