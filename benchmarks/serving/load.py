"""Load generators: as fast as possible and at about a rate (both wrk), and at a fixed rate."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop


@dataclass(frozen=True)
class Measured:
    """Result of one run: answers per second, latencies in ms, and answers other than 200."""

    per_second: float
    p50: float
    p99: float
    errors: int


def closed_loop(url: str, body: bytes, content_type: str, connections: int, seconds: float) -> Measured:
    """Run wrk in a closed loop: each connection sends the next request after its answer."""
    return _wrk(url, body, content_type, connections, seconds)


def at_rate(url: str, body: bytes, rate: float, connections: int, seconds: float) -> Measured:
    """Run wrk at a rate: each connection sends about ``rate / connections`` requests a second, at random times.

    A client in Python would need a processor of its own, and its pauses would count as the server's. Delays are
    whole milliseconds, so they have to be many: take connections enough.
    """
    longest = round(2000 * connections / rate)
    delay = f"math.randomseed(7)\nfunction delay() return math.random(0, {longest}) end\n"
    return _wrk(url, body, "application/json", connections, seconds, delay)


def _wrk(url: str, body: bytes, content_type: str, connections: int, seconds: float, more: str = "") -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        script = Path(folder) / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{content_type}"\n'
            f'local f = io.open("{folder}/body", "rb")\nwrk.body = f:read("*all")\nf:close()\n{more}'
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", "-s"]
        done = subprocess.run([*command, str(script), url], capture_output=True, text=True, check=True)
    return _of_wrk(done.stdout)


def _of_wrk(text: str) -> Measured:
    def latency(percentile: str) -> float:
        found = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s|m)\b", text)
        assert found, text
        return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[found[2]]

    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate, text
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Measured(float(rate[1]), latency("50"), latency("99"), int(refused[1]) if refused else 0)


def answers_at_rate(
    url: str, body: bytes, rate: float, connections: int, seconds: float
) -> tuple[list[tuple[int, float]], float]:
    """Status and ms of each answer, and the seconds of the whole run.

    A request waits from when it was due, also for a free connection: for overload.
    """
    return uvloop.run(_answers_at_rate(url, body, rate, connections, seconds))


async def _answers_at_rate(
    url: str, body: bytes, rate: float, connections: int, seconds: float
) -> tuple[list[tuple[int, float]], float]:
    server = urlsplit(url)
    head = f"POST {server.path} HTTP/1.1\r\nHost: {server.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
    for _ in range(connections):
        free.put_nowait(await asyncio.open_connection(server.hostname, server.port))
    answers: list[tuple[int, float]] = []

    async def one(due: float) -> None:
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        free.put_nowait((reader, writer))
        answers.append((int(head.split(b" ", 2)[1]), (time.perf_counter() - due) * 1e3))

    began = time.perf_counter()
    tasks = []
    for n in range(int(rate * seconds)):
        due = began + n / rate
        while (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait if wait > 0.002 else 0)
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    return answers, time.perf_counter() - began
