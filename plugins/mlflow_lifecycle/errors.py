"""Translates our errors and the database's to MLflow's, in one place."""

from __future__ import annotations

import sqlite3
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    INVALID_STATE,
    PERMISSION_DENIED,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from lifecycle import errors

_CODES: dict[type[errors.LifecycleError], int] = {
    errors.LifecycleError: BAD_REQUEST,
    errors.UsageError: INVALID_PARAMETER_VALUE,
    errors.PromotionRefused: PERMISSION_DENIED,
    errors.NotPromoted: PERMISSION_DENIED,
    errors.NotTrusted: PERMISSION_DENIED,
    errors.Inconclusive: PERMISSION_DENIED,
    errors.CheckBroke: INVALID_STATE,
    errors.NotFound: RESOURCE_DOES_NOT_EXIST,
    errors.Conflict: RESOURCE_CONFLICT,
    errors.Unavailable: TEMPORARILY_UNAVAILABLE,
    errors.IntegrityError: INVALID_STATE,
    errors.DeploymentFailed: INTERNAL_ERROR,
}


def as_mlflow(error: errors.LifecycleError) -> MlflowException:
    """An error with the same message and the nearest MLflow error code."""
    code = next(_CODES[cls] for cls in type(error).__mro__ if cls in _CODES)
    return MlflowException(f"{error} [{error.code}]", error_code=code)


_REFUSALS: dict[type[errors.LifecycleError], int] = {
    errors.LifecycleError: INVALID_PARAMETER_VALUE,
    errors.ConfigError: PERMISSION_DENIED,
    errors.PromotionRefused: PERMISSION_DENIED,
    errors.NotTrusted: PERMISSION_DENIED,
    errors.IntegrityError: PERMISSION_DENIED,
    errors.Conflict: RESOURCE_CONFLICT,
    errors.NotFound: RESOURCE_DOES_NOT_EXIST,
}
"""MLflow's client retries 5xx for minutes, so the guard's answers are always 4xx."""


def as_refusal(error: errors.LifecycleError) -> MlflowException:
    """The guard's message as a 4xx; MLflow's UI shows it unchanged."""
    code = next(_REFUSALS[cls] for cls in type(error).__mro__ if cls in _REFUSALS)
    return MlflowException(str(error), error_code=code)


_BUSY_SQLSTATES = ("55P03", "40P01", "40001")  # PostgreSQL: no lock within lock_timeout, deadlock, too late
_BUSY_NUMBERS = (1205, 1213)  # MySQL: no lock within innodb_lock_wait_timeout, deadlock
_MAX_CHARS = 300


def as_answer(error: DBAPIError) -> MlflowException:
    """A database error as 409 after a conflict, 400 for wrong values, else 503.

    MLflow's client retries 5xx, and would wait for the same lock several times.
    """
    if _is_busy(error.orig) or isinstance(error, IntegrityError):
        return MlflowException(
            "another client is changing this model or the whole database; nothing was changed. Try again",
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
