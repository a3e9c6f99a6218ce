"""Whether a database's MLflow tables are those of the MLflow that is installed here."""

from __future__ import annotations

import os

from sqlalchemy import Engine

from lifecycle.errors import ConfigError


def check_mlflow_schema(engine: Engine) -> None:
    """Demand a schema that this MLflow works with.

    Raises:
        ConfigError: MLflow's own words, which name ``mlflow db upgrade``.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which begins when MLflow is imported
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.utils import _verify_schema

    try:
        _verify_schema(engine)
    except MlflowException as exc:
        raise ConfigError(exc.message) from exc
