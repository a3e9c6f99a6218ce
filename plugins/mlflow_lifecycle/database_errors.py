"""What a database says, as an answer to whoever asked: one line without the statement and the values in it."""

from __future__ import annotations

import sqlite3
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, RESOURCE_CONFLICT, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

_BUSY_SQLSTATES = ("55P03", "40P01", "40001")  # PostgreSQL: no lock within lock_timeout, deadlock, too late
_BUSY_NUMBERS = (1205, 1213)  # MySQL: no lock within innodb_lock_wait_timeout, deadlock
_MAX_CHARS = 300


def as_answer(error: DBAPIError) -> MlflowException:
    """A 409 where somebody else was at it, a 400 where the caller's values are wrong, else a 503.

    MLflow's client repeats what a 5xx answers, and would wait for a lock as long again, several times.
    """
    if _is_busy(error.orig) or isinstance(error, IntegrityError):
        return MlflowException(
            "somebody else is changing the same model, or the whole database, and nothing was changed. Try again",
            RESOURCE_CONFLICT,
        )
    code = BAD_REQUEST if isinstance(error, DataError) else TEMPORARILY_UNAVAILABLE
    return MlflowException(f"the registry's database answers: {_one_line(error.orig)}", code)


def _is_busy(cause: Any) -> bool:
    return (
        getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        or getattr(cause, "sqlstate", None) in _BUSY_SQLSTATES
        or getattr(cause, "args", ())[:1] in [(number,) for number in _BUSY_NUMBERS]
    )


def _one_line(cause: object) -> str:
    words = cause.args[-1] if isinstance(cause, Exception) and cause.args else ""
    lines = str(words).strip().splitlines() or [type(cause).__name__]
    return lines[0][:_MAX_CHARS]
