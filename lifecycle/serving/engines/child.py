"""The process of one model: ``python -m lifecycle.serving.engines.child FD DIGEST SNAPSHOT OWNER BYTES``.

Loads a snapshot with pyfunc, reports that, and scores frame after frame until the other end closes. Only here
are MLflow, pandas and the model's code imported; what they do ends with this process.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from lifecycle.domain.model import Snapshot
from lifecycle.errors import LifecycleError
from lifecycle.scoring.contract import Scorer
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.loader import load_verified
from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.engines.warm_up import warm_up
from lifecycle.serving.engines.wire import LENGTHS, Columns, columns_of, kind_of, pack, unpack
from lifecycle.serving.failure import where

_LOG = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1  # prctl(2)
OUT_OF_MEMORY = 78
"""Exit status after a MemoryError, as the heap may be damaged."""


def main(channel: socket.socket, snapshot: Snapshot) -> None:
    """Score until the other end closes."""
    try:
        scorer = load_verified(snapshot, None)
        measured = warm_up(scorer, golden_batch(snapshot.path))
    except LifecycleError as exc:
        _send(channel, {"code": exc.code, "error": str(exc)}, {})
        return
    _send(channel, {"signature": scorer.signature.as_dict(), "measured": measured}, {})
    while (frame := _receive(channel)) is not None:
        _answer(channel, scorer, *frame)


def _answer(channel: socket.socket, scorer: Scorer, header: dict[str, Any], batch: Columns) -> None:
    started = perf_counter()
    try:
        predictions = scorer.predict(batch, header["params"])
        seconds = perf_counter() - started
        frame = pack({"kind": kind_of(predictions), "seconds": seconds}, columns_of(predictions))
    except MemoryError as exc:
        _LOG.error("out of memory: %s", where(exc))
        os._exit(OUT_OF_MEMORY)
    except InvalidInput as exc:
        frame = pack({"invalid": str(exc)}, {})
    except Exception as exc:  # a model's libraries may raise anything, row values included
        _LOG.error("a batch failed: %s", where(exc))
        frame = pack({"broke": type(exc).__name__}, {})
    for part in frame:
        channel.sendall(part)


def _send(channel: socket.socket, header: dict[str, Any], columns: Columns) -> None:
    for part in pack(header, columns):
        channel.sendall(part)


def _receive(channel: socket.socket) -> tuple[dict[str, Any], Columns] | None:
    lengths = _exactly(channel, LENGTHS.size)
    if lengths is None:
        return None
    head, body = (_exactly(channel, length) for length in LENGTHS.unpack(lengths))
    return None if head is None or body is None else unpack(head, body)


def _exactly(channel: socket.socket, length: int) -> bytearray | None:
    """So many bytes, writable since models change their input; None when the other end has closed."""
    data, filled = bytearray(length), 0
    while filled < length:
        got = channel.recv_into(memoryview(data)[filled:])
        if not got:
            return None
        filled += got
    return data


def _end_with(owner: int, channel: socket.socket) -> None:
    """Make the kernel end this process with its owner, however that dies. A closed channel ends it too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner:  # it died before the call
        os._exit(0)

    def watch() -> None:
        poll = select.poll()
        poll.register(channel, getattr(select, "POLLRDHUP", select.POLLHUP))
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


def _take_no_more_than(memory: int) -> None:
    """Limit this process's memory, so that a shortage hits the model and not the server."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    fd, digest, path, parent, most = sys.argv[1:]
    own_end = socket.socket(fileno=int(fd))
    _end_with(int(parent), own_end)
    _take_no_more_than(int(most))
    main(own_end, Snapshot(digest, Path(path)))
