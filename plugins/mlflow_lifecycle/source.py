"""What a new version is made from, as MLflow says it."""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.utils.models import _parse_model_uri

from lifecycle.errors import PromotionRefused


def copied_version(into: str, environment: str, source: str) -> tuple[str, int]:
    """The model and version that a copy is made of, from a source such as ``models:/flights-delay/3``.

    Raises:
        PromotionRefused: it is no copy of a version, which is all that an environment takes.
    """
    try:
        parsed = _parse_model_uri(source)
    except MlflowException:
        parsed = None
    if parsed is None or not parsed.name or not parsed.version:
        raise PromotionRefused(
            f"{into} is the environment {environment}, which takes nothing but copies of versions that passed its "
            f"gates. Register the model under a name of its own, run lifecycle gate run models:/NAME/VERSION "
            f'--stage {environment}, then promote that version with MLflow\'s "Promote model" or '
            f"MlflowClient.copy_model_version"
        )
    return parsed.name, int(parsed.version)
