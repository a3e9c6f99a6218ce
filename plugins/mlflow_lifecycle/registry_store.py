"""The entry points ``mlflow.model_registry_store``.

Every MLflow client loads them, to fill its list of schemes, so this module imports nothing: MLflow's database
store takes seconds to import, and only a server or a client of ``lifecycle+<dialect>://…`` needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore


def GuardedRegistryStore(store_uri: str) -> SqlAlchemyStore:  # noqa: N802 - the entry point's name
    """The guarded store at ``lifecycle+<dialect>://…``. Its policies are read once, when it is made."""
    from lifecycle.assembly import make_guard
    from lifecycle.registry.snapshot import ArtifactDigests
    from mlflow_lifecycle.guarded_store import guarded_store

    return guarded_store(store_uri, make_guard(), ArtifactDigests().of)
