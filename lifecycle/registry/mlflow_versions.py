"""A model's versions and queued gate runs, read through MLflow's client, and its errors translated to ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import requests
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException
from mlflow.tracking import MlflowClient

from lifecycle.domain.deployment import apply_lease
from lifecycle.domain.gate_queue import GIVEN_UP, QueuedGates
from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.model import ModelVersion, is_model_name
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.text import sha256_of
from lifecycle.errors import Conflict, LifecycleError, NotFound, PromotionRefused, Unavailable, UsageError
from lifecycle.registry.tags import HISTORY, PROOF, QUEUE, history_of

_PAGE = 1000


def all_versions(client: MlflowClient, model: str) -> list[Any]:
    """All versions from MLflow with their tags, oldest first."""
    return sorted(_pages(client, f"name='{model}'", []), key=lambda mv: int(mv.version))


def _pages(client: MlflowClient, wanted: str, order: list[str]) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_model_versions(wanted, _PAGE, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def in_our_words(found: Sequence[Any], aliases: Mapping[str, int]) -> list[ModelVersion]:
    """MLflow's versions as ours, with the aliases, which a search leaves out."""
    return [
        ModelVersion(
            model=mv.name,
            version=int(mv.version),
            stage=mv.current_stage,
            aliases=tuple(alias for alias, number in aliases.items() if number == int(mv.version)),
            run_id=mv.run_id or None,
            created_at_ms=mv.creation_timestamp,
        )
        for mv in found
    ]


def ledger_of(found: Sequence[Any]) -> list[LedgerEntry]:
    """The model's ledger from the tags of its versions, oldest first.

    Each version shows its own newest entries, so a very long history has gaps.

    Raises:
        IntegrityError: a tag is malformed.
    """
    return sorted((e for mv in found for e in history_of(mv.tags)), key=lambda entry: entry.sequence)


def fingerprint(registered: Any) -> str:
    """Change token of a registered model: its aliases, and the newest version of each stage."""
    newest = []
    for mv in registered.latest_versions:
        deciding = sorted((key, text) for key, text in mv.tags.items() if key == HISTORY or key.startswith(PROOF))
        newest.append([mv.version, mv.current_stage, mv.creation_timestamp, deciding])
    return sha256_of([registered.creation_timestamp, dict(registered.aliases), sorted(newest)])


def queued_gates(client: MlflowClient, policies: PolicyBook) -> Iterator[QueuedGates]:
    """All open gate runs of the models and stages in the policies, those that wait longest first in each stage.

    That is as far as MLflow knows: tags have no time.
    """
    stages = {stage.name for policy in (policies.default, *policies.models.values()) for stage in policy.stages}
    for stage in sorted(stages):
        key = QUEUE + stage
        for version in _pages(client, f"tags.`{key}` LIKE '%'", ["last_updated_timestamp ASC"]):
            shown = version.tags.get(key, GIVEN_UP)
            if not shown.startswith(GIVEN_UP) and is_model_name(version.name):
                yield QueuedGates(version.name, int(version.version), stage, shown)


def lease_plainly(client: MlflowClient, model: str, key: str, said: str, now: datetime) -> None:
    """Apply what a follower says to the lease in a tag, without a guard to do so in one step.

    Raises:
        Conflict: another follower has it, or was faster.
    """
    kept = client.get_registered_model(model).tags.get(key, "")
    after = apply_lease(kept, said, now)
    if after:
        client.set_registered_model_tag(model, key, after)
        apply_lease(client.get_registered_model(model).tags.get(key, ""), said, now)
    elif kept:
        client.delete_registered_model_tag(model, key)


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
        raise _our_error(exc) from None
    except (requests.RequestException, _database_error(), OSError) as exc:
        _LOG.debug("MLflow does not answer", exc_info=True)
        raise _unavailable(str(exc)) from None
    finally:
        _translating.reset(token)


def _database_error() -> type[Exception]:
    from sqlalchemy.exc import SQLAlchemyError  # slow to import, and a client of a server needs nothing else of it

    return SQLAlchemyError


def _our_error(error: MlflowException) -> LifecycleError:
    message = str(error.message).removeprefix(f"{error.error_code}: ")
    # MLflow answers BAD_REQUEST to a broken database file, so the text decides, not the code
    if isinstance(error.__cause__, _database_error()) or _DATABASE_SAYS.search(message):
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
