"""Translates errors of MLflow and of the libraries below it to ours, in one place."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import requests
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException
from sqlalchemy.exc import SQLAlchemyError

from lifecycle.errors import Conflict, LifecycleError, NotFound, PromotionRefused, Unavailable, UsageError

_LOG = logging.getLogger(__name__)
_BY_STATUS: dict[int, type[LifecycleError]] = {
    400: UsageError,
    401: UsageError,
    403: PromotionRefused,
    404: NotFound,
    409: Conflict,
}
_PASSWORD = re.compile(r"(?<=://)[^/\s@]*@")
_DATABASE_SAYS = re.compile(r"\((?:sqlite3|psycopg2?|pymysql|MySQLdb)\.[\w.]+\)")  # "(sqlite3.DatabaseError) …"
_ASIDE = "(raised as a result of"  # what SQLAlchemy sometimes puts before that line, of no use to readers

_translating: ContextVar[bool] = ContextVar("translating", default=False)
# MLflow logs a traceback for the very database error that it raises, and that we pass on as one line.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: not (_translating.get() and record.exc_info))


@contextmanager
def translated() -> Iterator[None]:
    """Translate MLflow's errors to ours, as one line without passwords.

    The cause adds nothing and fills a notebook's screen, so it goes to the debug log.

    Raises:
        UsageError, PromotionRefused, NotFound, Conflict: by MLflow's error code.
        Unavailable: the server or the database is gone, locked, broken or does not answer.
    """
    token = _translating.set(True)
    try:
        yield
    except MlflowException as exc:
        _LOG.debug("MLflow refused", exc_info=True)
        raise _ours(exc) from None
    except (requests.RequestException, SQLAlchemyError, OSError) as exc:
        _LOG.debug("MLflow does not answer", exc_info=True)
        raise _unavailable(str(exc)) from None
    finally:
        _translating.reset(token)


def _ours(error: MlflowException) -> LifecycleError:
    message = str(error.message).removeprefix(f"{error.error_code}: ")
    # MLflow answers BAD_REQUEST to a broken database file, so the text decides, not the code
    if isinstance(error.__cause__, SQLAlchemyError) or _DATABASE_SAYS.search(message):
        return _unavailable(message)
    if error.error_code == "RESOURCE_ALREADY_EXISTS":
        return Conflict(_one_line(message))
    kind = _BY_STATUS.get(ERROR_CODE_TO_HTTP_STATUS.get(error.error_code, 500))
    return kind(_one_line(message)) if kind else _unavailable(message)


def _unavailable(message: str) -> Unavailable:
    return Unavailable(f"the model registry does not answer: {_one_line(message)}")


def _one_line(text: str) -> str:
    lines = (line for line in text.strip().splitlines() if not line.startswith(_ASIDE))
    first = next(lines, "no reason given")
    return _PASSWORD.sub("", first)[:1000]
