"""The ``mlflow.deployments`` plugin: ``mlflow deployments create -t lifecycle:/rest …``.

MLflow demands exactly one client class in this module's namespace, a ``run_local`` and a ``target_help``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException

from lifecycle.errors import LifecycleError, UsageError
from mlflow_lifecycle.errors import as_mlflow

if TYPE_CHECKING:
    import pandas as pd

    from lifecycle.domain.deployment import Deployment


class LifecycleDeploymentClient(BaseDeploymentClient):  # type: ignore[misc]  # MLflow ships no types
    """Deployments on ``lifecycle:/rest``, ``lifecycle:/batch`` and ``lifecycle:/edge``."""

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)
        self._kind = _kind_of(target_uri)

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, str] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy a promoted version and wait until it answers."""
        with _mlflow_errors():
            _demand_no_endpoint(endpoint)
            deployment = _product().deploy(self._kind, name, model_uri, dict(config or {}))
            return _as_mlflow_dict(deployment, flavor)

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, str] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Change version or options without losing a request."""
        with _mlflow_errors():
            _demand_no_endpoint(endpoint)
            deployment = _product().redeploy(self._kind, name, model_uri, dict(config or {}))
            return _as_mlflow_dict(deployment, flavor)

    def delete_deployment(
        self, name: str, config: Mapping[str, str] | None = None, endpoint: str | None = None
    ) -> None:
        """Stop and remove a deployment; an unknown name is not an error."""
        del config
        with _mlflow_errors():
            _demand_no_endpoint(endpoint)
            _product().target(self._kind).undeploy(name)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """All deployments of this target."""
        with _mlflow_errors():
            _demand_no_endpoint(endpoint)
            return [_as_mlflow_dict(d) for d in _product().target(self._kind).list()]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """One deployment."""
        with _mlflow_errors():
            _demand_no_endpoint(endpoint)
            return _as_mlflow_dict(_product().target(self._kind).describe(name))

    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Score a DataFrame, or anything that makes one; the answer is that of ``/invocations``."""
        from lifecycle.scoring.payload import encode

        with _mlflow_errors():
            _demand_no_endpoint(endpoint)
            if deployment_name is None:
                raise UsageError("say which deployment: --name NAME")
            predictions = _product().predict(self._kind, deployment_name, _frame(inputs))
            return PredictionsResponse(json.loads(encode(predictions)))


def run_local(
    name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, str] | None = None
) -> None:
    """Deploy to the ``rest`` target on this machine."""
    LifecycleDeploymentClient("lifecycle:/rest").create_deployment(name, model_uri, flavor, config)


def target_help() -> str:
    """The text of ``mlflow deployments help -t lifecycle``."""
    from lifecycle.controller.deployer import ReleaseOptions
    from lifecycle.targets.contract import TARGETS

    kinds = TARGETS.names()
    parts = [f"lifecycle:/{kind}\n{TARGETS.load(kind).help}" for kind in kinds]
    return "\n\n".join(
        [
            f"Targets: {', '.join(f'lifecycle:/{kind}' for kind in kinds)}",
            *parts,
            f"Every target takes:\n{ReleaseOptions.describe()}",
        ]
    )


def _kind_of(target_uri: str) -> str:
    from lifecycle.targets.contract import TARGETS

    kind = target_uri.removeprefix("lifecycle").removeprefix(":").strip("/")
    if not kind:
        known = ", ".join(f"lifecycle:/{name}" for name in TARGETS.names())
        raise MlflowException.invalid_parameter_value(f"say which kind of target: {known}")
    return kind


def _product() -> Any:
    from lifecycle.assembly import assemble

    return assemble()


@contextmanager
def _mlflow_errors() -> Iterator[None]:
    try:
        yield
    except LifecycleError as exc:
        raise as_mlflow(exc) from None


def _demand_no_endpoint(endpoint: str | None) -> None:
    if endpoint is not None:
        raise UsageError("lifecycle targets have no endpoints; leave --endpoint out")


def _as_mlflow_dict(deployment: Deployment, flavor: str | None = None) -> dict[str, Any]:
    """A deployment as MLflow's dict: its command line reads ``name`` and ``flavor``."""
    return {
        "name": deployment.name,
        "flavor": flavor or "lifecycle",
        "model_uri": str(deployment.ref),
        "version": deployment.version,
        "digest": deployment.digest,
        "status": str(deployment.status),
        "address": deployment.address,
        "detail": deployment.detail,
        "config": dict(deployment.options),
        "figures": dict(deployment.figures),
        "variants": [variant.as_dict() for variant in deployment.variants],
    }


def _frame(inputs: Any) -> pd.DataFrame:
    import pandas as pd

    try:
        return inputs if isinstance(inputs, pd.DataFrame) else pd.DataFrame(inputs)
    except (ValueError, TypeError) as exc:  # whose texts may quote values
        raise UsageError(f"this {type(inputs).__name__} does not make a table; give a DataFrame") from exc
