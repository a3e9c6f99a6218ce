"""A client that goes on asking and counts what it gets."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_PAUSE_S = 0.003
"""Without it the client would take the processor from the gates that the demo is about."""


@dataclass
class Tally:
    """Answers by the version that gave them, and failures by kind."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)


def ask(address: str, body: str) -> tuple[Any, str]:
    """One request on ``/invocations``; returns the predictions and the version that gave them."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
    try:
        return _ask(connection, body)
    finally:
        connection.close()


@contextmanager
def asking(address: str, body: str) -> Iterator[Tally]:
    """Ask some hundred times a second, on one connection kept alive, while the block runs."""
    tally, stop = Tally(), threading.Event()
    thread = threading.Thread(target=_keep_asking, args=(address, body, tally, stop), daemon=True)
    thread.start()
    try:
        yield tally
    finally:
        stop.set()
        thread.join(timeout=60)


def _keep_asking(address: str, body: str, tally: Tally, stop: threading.Event) -> None:
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
    while not stop.wait(_PAUSE_S):
        try:
            _, version = _ask(connection, body)
            tally.answers[version] += 1
        except (OSError, http.client.HTTPException, ValueError) as exc:
            tally.failures[type(exc).__name__] += 1
            connection.close()
    connection.close()


def _ask(connection: http.client.HTTPConnection, body: str) -> tuple[Any, str]:
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise ValueError(f"status {answer.status}")
    return json.loads(content)["predictions"], answer.getheader("X-Lifecycle-Version") or "unknown"
