"""The server's own log as JSON, one object per line, like its access log."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime

import orjson


class JsonFormatter(logging.Formatter):
    """Formats records as JSON. Of an exception it gives type and place but not the text, which may quote rows."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
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
    """Switches the handlers of the root logger between text and JSON."""

    def __init__(self) -> None:
        self._before: dict[logging.Handler, logging.Formatter | None] = {}

    def switch(self, on: bool) -> None:
        """Switch the format. Idempotent, and cheap when nothing changes."""
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
