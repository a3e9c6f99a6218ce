"""``lifecycle.track()``: what the gates will need later, logged by the training run itself."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import UsageError, unknown

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "lifecycle"
"""Artifact folder of the run that holds the three files."""
REFERENCE = "reference.parquet"
SUITE = "expectations.json"
MANIFEST = "track.json"
_SEED = 0


def track(reference: pd.DataFrame, label: str | None = None, *, max_rows: int = 20_000) -> None:
    """Log held-out rows, and the expectations that they meet, with the active MLflow run.

    Call it once beside ``log_model``. The data-quality and drift gates compare the data of later with
    these rows; the performance gate measures on them when no labelled current data is given, so they should
    be rows that the model was not fitted on. They are stored as they are, readable by whoever may read the run.

    Args:
        reference: Model inputs, and the label column if there is one. Not changed.
        label: Name of the label column.
        max_rows: Keep at most this many rows, drawn at random with a fixed seed.

    Raises:
        UsageError: no run is active, no rows, no such label, or a column that Parquet cannot hold.

    Example:
        >>> with mlflow.start_run():  # doctest: +SKIP
        ...     mlflow.sklearn.log_model(model, name="model", signature=..., input_example=...)
        ...     lifecycle.track(validation, label="late")
    """
    import mlflow

    from lifecycle.gates.data_quality.expectations import derive_suite

    if mlflow.active_run() is None:
        raise UsageError("lifecycle.track() needs an active run: call it inside 'with mlflow.start_run():'")
    _check(reference, label, max_rows)
    rows = reference if len(reference) <= max_rows else reference.sample(max_rows, random_state=_SEED)
    inputs = reference.drop(columns=[label]) if label else reference
    with tempfile.TemporaryDirectory(prefix="lifecycle-track-") as folder:
        path = Path(folder) / REFERENCE
        _write_parquet(rows, path)
        manifest = {"label": label, "rows": len(rows), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        mlflow.log_artifact(str(path), FOLDER)
    mlflow.log_dict(derive_suite(inputs), f"{FOLDER}/{SUITE}")
    # Last: where it is, the others are.
    mlflow.log_text(json.dumps(manifest, indent=2), f"{FOLDER}/{MANIFEST}")


def _check(reference: pd.DataFrame, label: str | None, max_rows: int) -> None:
    if max_rows < 1:
        raise UsageError("lifecycle.track(): max_rows must be at least 1")
    if not len(reference):
        raise UsageError("lifecycle.track(): the reference has no rows")
    if not all(isinstance(name, str) for name in reference.columns) or reference.columns.has_duplicates:
        raise UsageError("lifecycle.track(): every column needs a name of its own, and that as text")
    if label is not None and label not in reference.columns:
        raise UsageError(f"lifecycle.track(): {unknown('label column', label, reference.columns)}")


def _write_parquet(rows: pd.DataFrame, path: Path) -> None:
    try:
        rows.to_parquet(path, index=False)
    except Exception as exc:  # pyarrow's own errors, whose texts quote values
        raise UsageError(
            f"lifecycle.track(): the reference cannot be written as Parquet ({type(exc).__name__}); "
            "does a column mix types, such as text and numbers?"
        ) from exc
