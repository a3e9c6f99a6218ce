"""Malformed requests: the same bytes to our server and to ``mlflow models serve``."""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from contenders import Running, contenders
from models import Model, make_models

PATIENCE_S = 90.0
"""Seconds; longer than any limit of either server."""
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """The answer's status: 0 for none in time, -1 for a closed connection."""

    status: int
    seconds: float
    body: bytes

    def __str__(self) -> str:
        word = {0: "no answer", -1: "cut"}.get(self.status, str(self.status))
        notes = [word, f"{self.seconds * 1e3:.0f} ms"]
        if b"stack_trace" in self.body or b"Traceback" in self.body:
            notes.append("traceback")
        if b"NaN" in self.body and self.status == 200:
            notes.append("no JSON")
        return ", ".join(notes)


def send(running: Running, body: bytes, content_type: str | None = JSON, head: str = "") -> Answer:
    """Send one request, whatever its headers claim."""
    server = urlsplit(running.url)
    lines = [f"POST {server.path} HTTP/1.1", f"Host: {server.netloc}", "Connection: close"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [head or f"Content-Length: {len(body)}", "", ""]
    began = time.perf_counter()
    received = b""
    try:
        with socket.create_connection((server.hostname, server.port), timeout=PATIENCE_S) as client:
            client.sendall("\r\n".join(lines).encode() + body)
            while chunk := client.recv(65536):
                received += chunk
    except TimeoutError:
        return Answer(0, time.perf_counter() - began, received)
    except OSError:
        pass
    status = int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else -1
    return Answer(status, time.perf_counter() - began, received)


def faults(model: Model) -> Iterator[tuple[str, Callable[[Running], Answer]]]:
    """Rows 24 to 28 of the fault catalogue: a name and the bytes to send."""
    split = json.loads(model.one)["dataframe_split"]

    def of(value: str) -> bytes:
        row = ", ".join([value, *map(str, split["data"][0][1:])])
        columns = json.dumps(split["columns"])
        return f'{{"dataframe_split": {{"columns": {columns}, "data": [[{row}]]}}}}'.encode()

    values = ("NaN", "Infinity", "1e400", "1" + "0" * 4999, "true", '"1.5"', "null", "{}")
    for value in values:
        yield f"a number that is {value if len(value) < 20 else '5,000 digits'}", _sends(of(value))
    short = {"columns": split["columns"][1:], "data": [split["data"][0][1:]]}
    yield "a missing column", _sends(json.dumps({"dataframe_split": short}).encode())
    yield "no rows", _sends(json.dumps({"dataframe_split": {"columns": split["columns"], "data": []}}).encode())
    yield "JSON 100,000 levels deep", _sends(b"[" * 100_000 + b"]" * 100_000)
    yield "a million keys", _sends(b'{"inputs": {' + b",".join(b'"%d":1' % n for n in range(1_000_000)) + b"}}")
    yield "no UTF-8", _sends(b'{"inputs": "\xff\xfe"}')
    yield "truncated JSON", _sends(model.one[:-5])
    yield "bytes after the JSON", _sends(model.one + b" x")
    yield "100 MB", _sends(b" " * 100_000_000)
    yield "Content-Length that is no number", _sends(b"{}", head="Content-Length: many")
    yield "no Content-Type", _sends(model.one, None)
    yield "text/plain", _sends(model.one, "text/plain")
    yield "UTF-16 declared", _sends(model.one, "application/json; charset=utf-16")
    yield "garbage as Parquet", _sends(b"PAR1" + b"x" * 100 + b"PAR1", "application/vnd.apache.parquet")
    yield "ragged CSV", _sends(b"a,b\n1\n1,2,3\n", "text/csv")


def _sends(body: bytes, content_type: str | None = JSON, head: str = "") -> Callable[[Running], Answer]:
    return lambda running: send(running, body, content_type, head)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_models(Path(folder))[0]
        named = {c.name: c for c in contenders(Path()) if c.name in ("lifecycle", "mlflow")}
        with named["lifecycle"].serving(model) as ours, named["mlflow"].serving(model) as stock:
            print("| sent | ours | mlflow models serve |\n| --- | --- | --- |")
            for name, fault in faults(model):
                print(f"| {name} | {fault(ours)} | {fault(stock)} |", flush=True)
            print(f"| memory afterwards, MiB | {ours.mib:.0f} | {stock.mib:.0f} |")


if __name__ == "__main__":
    main()
