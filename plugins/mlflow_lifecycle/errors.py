"""Our errors as MLflow's, mapped in one place."""

from __future__ import annotations

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
    """The same message under the nearest of MLflow's error codes."""
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
"""MLflow's client repeats what a 5xx answers for minutes, so what the guard says is always a 4xx."""


def as_refusal(error: errors.LifecycleError) -> MlflowException:
    """What the guard says, word for word, as a 4xx: MLflow's UI shows it as it is."""
    code = next(_REFUSALS[cls] for cls in type(error).__mro__ if cls in _REFUSALS)
    return MlflowException(str(error), error_code=code)
