"""The server's own log in the form of its access log: one JSON object a line."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime

import orjson


class JsonFormatter(logging.Formatter):
    """Says of an exception what it was and where, but not its text: libraries quote rows in theirs."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            fields["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return orjson.dumps(fields, default=str).decode()


class JsonLogging:
    """Switches the handlers of the root logger to JSON and back."""

    def __init__(self) -> None:
        self._before: dict[logging.Handler, logging.Formatter | None] = {}

    def switch(self, on: bool) -> None:
        """Idempotent, and cheap when nothing changes."""
        if on == bool(self._before):
            return
        if not on:
            for handler, formatter in self._before.items():
                handler.setFormatter(formatter)
            self._before = {}
            return
        for handler in logging.getLogger().handlers:
            self._before[handler] = handler.formatter
            handler.setFormatter(JsonFormatter())
