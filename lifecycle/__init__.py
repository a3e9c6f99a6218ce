"""mlflow-lifecycle in a notebook.

::

    import lifecycle

    lifecycle.track(reference, label="late")                 # in the training run
    lifecycle.check("models:/flights-delay/1", stage="staging")
    lifecycle.promote("models:/flights-delay/1", stage="staging", reason="first try")
    deployed = lifecycle.deploy("models:/flights-delay/Production", name="flights")
    deployed.predict(rows)
    lifecycle.rollback("flights-delay", reason="complaints")
    lifecycle.history("flights-delay")

Results show themselves as tables. What goes wrong is in ``lifecycle.errors``. Importing this costs nothing;
each call imports what it needs.
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
    """Log reference rows, and data expectations derived from them, with the active training run.

    Args:
        reference: Rows that the model did not learn from: its inputs, and the label where there is one.
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
    """Run a stage's gates on a version and record the evidence.

    Args:
        model_uri: ``models:/name/version``, ``models:/name/Stage`` or ``models:/name@alias``.
        stage: The stage of the policy to judge for.
        current: The rows of today: a frame, or a file, directory, glob or query.
        reference: Rows to compare with instead of those that the training run tracked.
        only: Run these gates alone: a look, which is no evidence.

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
    """Promote a version on the evidence that its gates left.

    Raises:
        PromotionRefused: the policy says no; the message says what is missing.
        Conflict: somebody else was first.
    """
    from lifecycle.assembly import assemble
    from lifecycle.display import Moved
    from lifecycle.domain.model import ModelRef

    return Moved(assemble().promoter.promote(ModelRef.parse(model_uri), stage, reason))


def rollback(model: str, reason: str, stage: str = "production", to: int | None = None) -> Moved:
    """Give a stage back to a version that held it before.

    Args:
        to: The version; default: the one before the current one.

    Raises:
        NotFound: the stage held no version before this one, or never held that one.
    """
    from lifecycle.assembly import assemble
    from lifecycle.display import Moved

    return Moved(assemble().promoter.rollback(model, stage, to, reason))


def deploy(model_uri: str, name: str, target: str = "rest", **options: object) -> DeploymentView:
    """Deploy a promoted version; a stage or alias is followed from then on.

    Args:
        options: As ``-C`` on the command line, such as ``port=8080`` or ``promote=True``.

    Raises:
        NotPromoted: the version is not in the stage that the deployment belongs to.
        DeploymentFailed: it did not come up; nothing is left behind.
    """
    from lifecycle.assembly import assemble
    from lifecycle.display import DeploymentView

    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()}
    product = assemble()
    deployment = product.deploy(target, name, model_uri, texts)
    return DeploymentView(deployment, lambda rows: product.predict(target, name, rows))


def undeploy(name: str, target: str = "rest") -> None:
    """Take a deployment down; a name that is not deployed is no error."""
    from lifecycle.assembly import assemble

    assemble().target(target).undeploy(name)


def history(model: str) -> History:
    """Who moved which version where, when, why and on what evidence."""
    from lifecycle.assembly import assemble
    from lifecycle.display import History

    return History(tuple(assemble().registry.history(model)))
