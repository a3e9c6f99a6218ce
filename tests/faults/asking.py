"""Clients that never stop asking over kept connections, and tell everything that no client should see."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

"""Whether to prove it at the size that the documentation states, which takes minutes."""


def request_of(rows, limit: int = 1) -> bytes:
    """The first rows as a whole HTTP request."""
    body = json.dumps({"inputs": {name: column[:limit].tolist() for name, column in rows.items()}}).encode()
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


@dataclass
class Deployed:
    """Which version is deployed; None while a deploy() is running."""

    version: int | None
    begun: int = 0

    def begin(self) -> None:
        self.begun += 1
        self.version = None

    def end(self, version: int) -> None:
        self.version = version


@dataclass(eq=False)
class Asker(threading.Thread):
    """Asks until told to stop.

    Attributes:
        bodies: The right answer by version.
        tries: How often a request is sent before it counts as failed.
        failures: What went wrong with a request for good.
        retried: Requests that went wrong once and were sent again.
        wrong: Answers that are not the version's, or come from a version that had been replaced.
    """

    address: str
    request: bytes
    bodies: dict[int, bytes]
    deployed: Deployed
    tries: int = 1
    pause_s: float = 0.0
    answered: int = 0
    connections: int = 0
    retried: int = 0
    failures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._connection: Connection | None = None

    def run(self) -> None:
        while not self.over.wait(self.pause_s) if self.pause_s else not self.over.is_set():
            self._ask(self.tries)
        self._close()

    def _ask(self, tries: int) -> None:
        begun, settled = self.deployed.begun, self.deployed.version
        try:
            if self._connection is None:
                self._connection = Connection(self.address)
                self.connections += 1
            status, version, body, closes = self._connection.ask(self.request)
        except OSError as exc:
            self._close()
            if tries > 1:
                self.retried += 1
                self._ask(tries - 1)
            else:
                self.failures.append(repr(exc))
            return
        if closes:
            self._close()
        if status != 200:
            self.failures.append(f"{status} {body[:200]!r}")
            return
        self.answered += 1
        if self.bodies.get(version) != body:
            self.wrong.append(f"version {version} gave {body[:200]!r}")
        if settled not in (None, version) and self.deployed.begun == begun:
            self.wrong.append(f"version {version} answered after {settled} had been deployed")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def asked(askers: list[Asker]) -> int:
    """How many requests have been answered."""
    return sum(asker.answered for asker in askers)


def stop(askers: list[Asker]) -> None:
    """Have them end. Idempotent."""
    for asker in askers:
        asker.over.set()
    for asker in askers:
        asker.join()


class Connection:
    """The least that speaks HTTP: the clients must not be what limits the load."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._socket = socket.create_connection((url.hostname, url.port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[int, int, bytes, bool]:
        """Status, version, body, and whether the server closes the connection."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        while len(body) < int(headers[b"content-length"]):
            body += self._more()
        closes = headers.get(b"connection") == b"close"
        return int(first.split()[1]), int(headers.get(b"x-lifecycle-version", 0)), body, closes

    def _more(self) -> bytes:
        more = self._socket.recv(65536)
        if not more:
            raise ConnectionResetError("closed without an answer")
        return more

    def close(self) -> None:
        self._socket.close()


def answer_of(address: str, request: bytes) -> tuple[int, bytes]:
    """Version and body of one answer."""
    connection = Connection(address)
    status, version, body, _ = connection.ask(request)
    connection.close()
    assert status == 200, body
    return version, body


def processes_of(home: Path) -> dict[int, list[str]]:
    """Command line by process id, of everything that runs for a deployment below ``home``."""
    running = (p for p in psutil.process_iter(["cmdline", "status"]) if p.info["status"] != psutil.STATUS_ZOMBIE)
    found = {p.pid: p.info["cmdline"] or [] for p in running}
    return {pid: line for pid, line in found.items() if any(part.startswith(str(home)) for part in line)}


def servers_of(home: Path) -> list[int]:
    """Every running server below ``home``; none only when no worker is left either."""
    found = processes_of(home)
    servers = [pid for pid, line in found.items() if "lifecycle.serving.supervisor" in line]
    return servers or list(found)


def workers_of(home: Path) -> list[int]:
    """Every running worker below ``home``."""
    return sorted(pid for pid, line in processes_of(home).items() if "lifecycle.serving.worker" in line)
