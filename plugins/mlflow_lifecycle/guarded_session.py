"""MLflow's store in one transaction with the guard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from mlflow.store.db.db_types import MYSQL, POSTGRES
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Table, bindparam, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from lifecycle.errors import LifecycleError
from mlflow_lifecycle.errors import as_answer, as_refusal
from mlflow_lifecycle.model_transaction import SqlModelTransaction

_LOCK_WITHIN_S = 20
_PATIENCE = text(f"SET LOCAL lock_timeout = '{_LOCK_WITHIN_S}s'")
_MODELS: Table = SqlRegisteredModel.__table__
_LOCK = (
    update(_MODELS)
    .where(_MODELS.c.workspace == bindparam("the_workspace"), _MODELS.c.name == bindparam("the_name"))
    .values(last_updated_time=_MODELS.c.last_updated_time)
)


class JoiningStore(SqlAlchemyStore):  # type: ignore[misc]  # MLflow ships no types
    """MLflow's store with methods that join the transaction of their thread."""

    ManagedSessionMaker: Callable[..., AbstractContextManager[Session]]

    def __init__(self, db_uri: str, read_db_uri: str | None) -> None:
        super().__init__(db_uri, read_db_uri=read_db_uri)
        self._own = threading.local()
        self._new_session = self.ManagedSessionMaker
        self.ManagedSessionMaker = self._session

    @contextmanager
    def _session(self, read_only: bool = True) -> Iterator[Session]:
        """MLflow's session, or the open one inside of :meth:`_joined`."""
        joined = getattr(self._own, "session", None)
        if joined is not None:
            yield joined
        else:
            with self._new_session(read_only=read_only) as session:
                yield session

    @contextmanager
    def _joined(self, read_only: bool = False) -> Iterator[Session]:
        """One transaction that MLflow's own methods join: a new one, or the open one of this thread.

        Our errors leave it as refusals, the database's as one-line answers, and it is rolled back.
        """
        joined = getattr(self._own, "session", None)
        if joined is not None:
            yield joined
            return
        with self._new_session(read_only=read_only) as session:
            self._own.session = session
            try:
                yield session
                session.commit()  # not MLflow's way, which would reword the database's errors
            except LifecycleError as exc:
                raise as_refusal(exc) from exc
            except DBAPIError as exc:
                raise as_answer(exc) from None
            finally:
                self._own.session = None

    @contextmanager
    def _locked(self, name: str) -> Iterator[SqlModelTransaction]:
        """One transaction with the exclusive lock of a registered model.

        MLflow reads, then writes, so two of its promotions can both succeed. Here the first statement
        is a write: it takes the row's lock (the file's on SQLite), and what is read afterwards stays true.
        """
        with self._joined() as session:
            self._lock(session, name)
            yield self._model(session, name)

    def _lock(self, session: Session, name: str) -> None:
        if self.db_type == POSTGRES:  # which would wait for ever; SQLite waits 20 s, MySQL 50 s
            session.execute(_PATIENCE)
        session.execute(_LOCK, {"the_workspace": self._get_active_workspace(), "the_name": name})

    def _model(self, session: Session, name: str) -> SqlModelTransaction:
        """The registered model in this transaction, written by MLflow's own methods."""
        return SqlModelTransaction(self, super(), session, name)

    def _spelled(self, name: str) -> str:
        """A model's name as the database spells it: MySQL ignores letter case, a policy does not."""
        if self.db_type != MYSQL:
            return name
        query = select(SqlRegisteredModel.name).where(
            SqlRegisteredModel.workspace == self._get_active_workspace(), SqlRegisteredModel.name == name
        )
        with self._joined(read_only=True) as session:
            return session.execute(query).scalar() or name
