"""Requests that nobody would write, from requests that somebody would. All from one seed."""

from __future__ import annotations

import io
import json
import random
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = {"x": 1.5, "y": -2.0, "z": 1e10}
MIXED = {"d": 1.5, "l": 7, "t": "UA", "b": True, "w": "2026-01-01T00:00:00"}
_TYPES = {
    "json": [b"application/json", b"application/json; charset=utf-8", b"Application/JSON;charset=UTF-8"],
    "csv": [b"text/csv", b"text/csv; header=present"],
    "parquet": [b"application/vnd.apache.parquet"],
    "arrow": [b"application/vnd.apache.arrow.stream"],
    "": [
        b"text/plain",
        b"",
        b";",
        b"application/json; charset=utf-16",
        b"a/b; c=\xff",
        b"application/octet-stream",
    ],
}
_TOKENS = [
    *(b"null true false NaN Infinity -Infinity -0 1e400 -1e-400 9223372036854775808 -9223372036854775809".split()),
    *(b'{ } [ ] , : " \\ \\u0000 \\ud800 \\" [[]] {} "" [] 1.5 18446744073709551616 0x1 01 1. .5 +1 1_0'.split()),
    *(b"\xff \x00 \xef\xbb\xbf \xed\xa0\x80 \xf4\x90\x80\x80".split()),
    b"9" * 400,
    b"9" * 5000,
    b"[" * 200,
    b'{"a":' * 200,
    b'"' + b"x" * 2000 + b'"',
    b"\r\n",
    b"a,b\n",
    b"PAR1",
]
_VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    2**63,
    -(2**63) - 1,
    1.5,
    1e308,
    "",
    "x",
    "1",
    "\0",
    [],
    {},
    [1],
    {"a": 1},
]
_PATHS = [
    *["/invocations", "/", "/ping", "/health", "/version", "/metadata", "/livez", "/readyz", "/docs", "/v2"],
    *["/openapi.json", "/v2/models/mixed", "/v2/models/mixed/ready", "/v2/models/none", "/v2/health/ready"],
    *["/v2/repository/index", "/v1/models/mixed", "/v1/models/numbers/metadata", "/models/numbers/invocations"],
    *["/nope", "//", "/invocations/", "/INVOCATIONS", "/../invocations", "/%2e%2e/x", "/v2/models//infer"],
    "/models//invocations",
    "/\0",
    "/é\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "/" + "a" * 5000,
]
_SCORING = [
    "/invocations",
    "/models/{m}/invocations",
    "/v2/models/{m}/infer",
    "/v2/models/{m}/versions/1/infer",
    "/v1/models/{m}:predict",
]
_METHODS = ["POST"] * 12 + ["GET"] * 3 + ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "X"]
_HEADERS = [
    (b"accept", b"application/vnd.apache.arrow.stream"),
    (b"accept", b"text/html;q=\xff"),
    (b"x-request-id", b"\xff" * 300),
    (b"x-request-id", b"one"),
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b"identity"),
    (b"content-type", b"text/csv"),
    (b"inference-header-content-length", b"7"),
    (b"inference-header-content-length", b"-1"),
    (b"inference-header-content-length", b"99999999999999999999"),
    (b"authorization", b"Bearer \xff"),
    (b"traceparent", b"00-zz"),
    (b"x-lifecycle-timeout-ms", b"nan"),
    (b"x-lifecycle-timeout-ms", b"5000"),
    (b"cookie", b"a" * 4000),
]


@dataclass(frozen=True)
class Fuzzed:
    """One request, as a server hands it to an application."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    query: bytes = b""


class Fuzzer:
    """Makes requests; the same ones from the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._bodies = _corpus()

    def request(self) -> Fuzzed:
        """The next one."""
        pick, chance = self._random.choice, self._random.random
        kind, fitting, body = pick(self._bodies)
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 3, 8))):
            body = self._mutated(kind, body)
        content_type = pick(_TYPES[kind if chance() < 0.9 else pick(list(_TYPES))])
        headers = [(b"content-type", content_type)] if chance() < 0.98 else []
        headers += [pick(_HEADERS) for _ in range(2) if chance() < 0.15]
        path = fitting
        if chance() < 0.3:
            path = (
                pick(_SCORING).format(m=pick(("mixed", "numbers", "tensor"))) if chance() < 0.7 else pick(_PATHS)
            )
        method = "POST" if chance() < 0.9 else pick(_METHODS)
        return Fuzzed(method, path, headers, body, b"" if chance() < 0.95 else pick(_TOKENS))

    def _mutated(self, kind: str, body: bytes) -> bytes:
        if kind == "json" and self._random.random() < 0.5:
            try:
                return json.dumps(self._changed(json.loads(body))).encode("utf-8", "surrogatepass")
            except (ValueError, RecursionError):
                pass
        at, until = sorted(self._random.randrange(len(body) + 1) for _ in range(2))
        until = min(until, at + 40)
        return self._random.choice(
            (
                lambda: body[:at] + self._random.choice(_TOKENS) + body[until:],
                lambda: body[:at] + self._random.choice(_TOKENS) + body[at:],
                lambda: body[:at] + body[until:],
                lambda: body[:at],
                lambda: body[:until] + body[at:],
                lambda: body[:at] + bytes([self._random.randrange(256)]) + body[at + 1 :],
                lambda: self._random.choice(self._bodies)[-1][:until] + body[at:],
            )
        )()

    def _changed(self, content: object) -> object:
        """One node replaced, left out or repeated."""
        if isinstance(content, dict) and content and self._random.random() < 0.8:
            key = self._random.choice(list(content))
            if self._random.random() < 0.1:
                return {k: v for k, v in content.items() if k != key}
            return content | {key: self._changed(content[key])}
        if isinstance(content, list) and content and self._random.random() < 0.8:
            at = self._random.randrange(len(content))
            if self._random.random() < 0.1:
                return content[:at] + content[at + 1 :]
            return [*content[:at], self._changed(content[at]), *content[at + 1 :]]
        return self._random.choice(_VALUES)


def _corpus() -> list[tuple[str, str, bytes]]:
    """Kind, a path that takes it, and the body."""
    return [
        *_table_bodies("numbers", NUMBERS),
        *_table_bodies("mixed", MIXED),
        ("json", "/models/tensor/invocations", b'{"inputs": [[1, 2], [3, 4]]}'),
        ("json", "/models/tensor/invocations", b'{"instances": [[1.5, 2.5]]}'),
        ("json", "/v1/models/tensor:predict", b'{"signature_name": "s", "instances": [[1, 2]]}'),
    ]


def _table_bodies(model: str, row: dict[str, object]) -> list[tuple[str, str, bytes]]:
    names, cells, path = list(row), list(row.values()), f"/models/{model}/invocations"
    contents = [
        {"dataframe_split": {"columns": names, "data": [cells] * 3}},
        {"dataframe_split": {"columns": names, "index": [0, 1], "data": [cells] * 2}, "params": {"k": 1}},
        {"dataframe_records": [row] * 2},
        {"instances": [row]},
        {"inputs": {name: [cell] * 2 for name, cell in row.items()}},
    ]
    table = pa.table({name: [cell] * 3 for name, cell in row.items()})
    lines = [",".join(names), ",".join(map(str, cells)), ""]
    tensors = {"inputs": [_tensor(name, cell) for name, cell in row.items()], "id": "7"}
    return [
        *(("json", path, json.dumps(content).encode()) for content in contents),
        ("json", f"/v2/models/{model}/infer", json.dumps(tensors).encode()),
        ("json", f"/v1/models/{model}:predict", json.dumps({"instances": [row]}).encode()),
        ("csv", path, "\n".join(lines).encode()),
        ("parquet", path, _parquet(table)),
        ("arrow", path, _stream(table)),
    ]


def _tensor(name: str, cell: object) -> dict[str, object]:
    kind = {float: "FP64", int: "INT64", bool: "BOOL", str: "BYTES"}[type(cell)]
    return {"name": name, "shape": [2, 1], "datatype": kind, "data": [cell, cell]}


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
