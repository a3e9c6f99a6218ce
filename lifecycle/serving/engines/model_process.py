"""One process of a model, from the server's side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from lifecycle.errors import DeploymentFailed, IntegrityError, LifecycleError
from lifecycle.scoring.contract import Batch, Params, Predictions
from lifecycle.scoring.signature import InvalidInput, Signature
from lifecycle.serving.engines.batcher import Lost
from lifecycle.serving.engines.launch import Launch, Started
from lifecycle.serving.engines.wire import LENGTHS, Columns, pack, predictions_from, unpack

_LOG = logging.getLogger(__name__)
_START_S = 300.0

Frame = tuple[dict[str, Any], Columns]


class ModelBroke(Exception):
    """The model raised an exception; its traceback is in the log."""


class ModelProcess:
    """Scores one batch at a time.

    Args:
        longest_s: Seconds for one batch after which the process is killed.
        on_end: Called once when the process has ended, for any reason.
    """

    def __init__(self, launch: Launch, longest_s: float, on_end: Callable[[ModelProcess], None]) -> None:
        self._started: Started = launch.start()
        self._longest_s = longest_s
        self._on_end = on_end
        self._ended = False
        self._answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._hearing: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._started.process.pid

    async def come_up(self) -> tuple[Signature, list[tuple[int, float]]]:
        """Wait until the model is loaded, has scored its example and is warm.

        Returns:
            The signature, and rows and seconds of each warm-up batch.

        Raises:
            LifecycleError: the model does not load; the process has been ended.
        """
        try:
            reader, self._writer = await asyncio.open_connection(sock=self._started.channel)
            self._hearing = asyncio.create_task(self._hear(reader))
            async with asyncio.timeout(_START_S):
                header, _ = await self._answer
        except TimeoutError:
            self.end()
            raise DeploymentFailed(f"the model does not load within {_START_S:g} s") from None
        except Lost:
            status = await asyncio.to_thread(self._started.process.wait)
            why = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise DeploymentFailed(f"the model's process ended while it loaded ({why}); see the log") from None
        except BaseException:
            self.end()
            raise
        if "error" in header:
            raise _load_error(header)
        return Signature.from_dict(header["signature"]), [(rows, s) for rows, s in header["measured"]]

    async def run(self, batch: Batch, params: Params | None) -> tuple[Predictions, float]:
        """Score a batch, as :meth:`Place.run <lifecycle.serving.engines.batcher.Place.run>` says."""
        if self._writer is None or self._answer.cancelled():
            raise Lost
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        overdue = loop.call_later(self._longest_s, self._overdue)
        try:
            self._writer.writelines(pack({"params": params}, batch))
            header, columns = await self._answer
        finally:
            overdue.cancel()
        return _predictions(header, columns), header["seconds"]

    def end(self) -> None:
        """Kill the process. Idempotent."""
        if not self._ended:
            self._ended = True
            self._started.end()

    def _overdue(self) -> None:
        _LOG.error("process %d has been scoring one batch for %g s and is killed", self.pid, self._longest_s)
        self.end()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Read the process's messages until it closes the channel."""
        try:
            while True:
                head, body = LENGTHS.unpack(await reader.readexactly(LENGTHS.size))
                frame = unpack(await reader.readexactly(head), await reader.readexactly(body))
                if not self._answer.done():
                    self._answer.set_result(frame)
        except (asyncio.IncompleteReadError, OSError):
            _LOG.info("process %d has closed its channel", self.pid)
        except (ValueError, LookupError, TypeError):
            _LOG.exception("process %d has sent a malformed answer", self.pid)
        finally:
            self._gone()

    def _gone(self) -> None:
        if not self._answer.done():
            self._answer.set_exception(Lost())
            self._answer.exception()  # mark it as retrieved, also when no caller awaits it
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.end()
        self._on_end(self)


def _predictions(header: dict[str, Any], columns: Columns) -> Predictions:
    if "invalid" in header:
        raise InvalidInput(header["invalid"])
    if "broke" in header:
        raise ModelBroke(header["broke"])
    return predictions_from(header["kind"], columns)


def _load_error(header: dict[str, Any]) -> LifecycleError:
    kind = IntegrityError if header["code"] == IntegrityError.code else DeploymentFailed
    return kind(header["error"])
