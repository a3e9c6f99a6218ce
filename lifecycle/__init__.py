"""mlflow-lifecycle in Python, for training scripts and notebooks.

::

    import lifecycle

    lifecycle.track(reference, label="late")                 # in the training run
    lifecycle.check("models:/flights-delay/1", stage="staging")
    lifecycle.promote("models:/flights-delay/1", stage="staging", reason="first try")
    deployed = lifecycle.deploy("models:/flights-delay/Production", name="flights")
    deployed.predict(rows)
    lifecycle.rollback("flights-delay", reason="complaints")
    lifecycle.history("flights-delay")

A notebook shows results as tables. Exceptions are in ``lifecycle.errors``. The import is quick: each call imports
what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from lifecycle.display import DeploymentView, History, Moved
    from lifecycle.gates.report import GateReport

__all__ = ["check", "deploy", "errors", "history", "promote", "rollback", "track", "undeploy"]


def track(reference: pd.DataFrame, label: str | None = None) -> None:
    """Log reference rows, and expectations derived from them, with the active MLflow run.

    Args:
        reference: Rows that the model was not trained on: its inputs, and the label if there is one.
        label: Name of the label column.

    Raises:
        UsageError: there is no active MLflow run, or no such column.
    """
    from lifecycle.tracking import track as log

    log(reference, label)


def check(
    model_uri: str,
    stage: str,
    current: str | pd.DataFrame | None = None,
    reference: str | pd.DataFrame | None = None,
    only: Sequence[str] = (),
) -> GateReport:
    """Run a stage's gates on a version and record the result as evidence.

    Args:
        model_uri: ``models:/name/version``, ``models:/name/Stage`` or ``models:/name@alias``.
        stage: Stage of the policy whose gates to run.
        current: Current rows: a DataFrame, or a file, directory, glob or query.
        reference: Rows to compare with. Default: those that the training run logged.
        only: Run only these gates. The result is not recorded and cannot be used to promote.

    Raises:
        NotFound: unknown model, version, stage, gate or file.
        UsageError: the data cannot be read.
        PromotionRefused: the version has no attempt left.
    """
    from lifecycle.assembly import assemble
    from lifecycle.display import gate_progress
    from lifecycle.domain.model import ModelRef

    with gate_progress() as progress:
        return assemble().gate_runner(progress).run(ModelRef.parse(model_uri), stage, current, reference, only)


def promote(model_uri: str, stage: str, reason: str = "") -> Moved:
    """Promote a version to a stage, if its gates have PASSED.

    Raises:
        PromotionRefused: the policy does not allow it; the message names what is missing.
        Conflict: another promotion was first.
    """
    from lifecycle.assembly import assemble
    from lifecycle.display import Moved
    from lifecycle.domain.model import ModelRef

    return Moved(assemble().promoter.promote(ModelRef.parse(model_uri), stage, reason))


def rollback(model: str, reason: str, stage: str = "production", to: int | None = None) -> Moved:
    """Return a stage to a version that held it before, without running gates again.

    Args:
        to: The version to return to. Default: the one before the current one.

    Raises:
        NotFound: the stage held no earlier version, or never held ``to``.
    """
    from lifecycle.assembly import assemble
    from lifecycle.display import Moved

    return Moved(assemble().promoter.rollback(model, stage, to, reason))


def deploy(model_uri: str, name: str, target: str = "rest", **options: object) -> DeploymentView:
    """Deploy a promoted version. Given a stage or alias, the deployment follows later promotions.

    Args:
        options: The target's options, such as ``port=8080`` or ``promote=True``.

    Raises:
        NotPromoted: the version does not hold the deployment's stage.
        DeploymentFailed: it did not come up; nothing is left behind.
    """
    from lifecycle.assembly import assemble
    from lifecycle.display import DeploymentView

    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()}
    product = assemble()
    deployment = product.deploy(target, name, model_uri, texts)
    return DeploymentView(deployment, lambda rows: product.predict(target, name, rows))


def undeploy(name: str, target: str = "rest") -> None:
    """Stop and remove a deployment. A name that is not deployed is not an error."""
    from lifecycle.assembly import assemble

    assemble().target(target).undeploy(name)


def history(model: str) -> History:
    """The model's ledger: who moved which version where, when, why and on what evidence."""
    from lifecycle.assembly import assemble
    from lifecycle.display import History

    return History(tuple(assemble().registry.history(model)))
