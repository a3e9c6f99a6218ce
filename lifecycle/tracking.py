"""``lifecycle.track()``: log the reference rows and expectations that the gates need later."""

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

    Call it once beside ``log_model``. The data-quality and drift gates compare later data with these rows. The
    performance gate measures on them when no labelled current data is given, so the model must not have been
    trained on them. They are stored unchanged, and everyone who may read the run may read them.

    Args:
        reference: Model inputs, and the label column if there is one. Not changed.
        label: Name of the label column.
        max_rows: Keep at most this many rows, drawn at random with a fixed seed.

    Raises:
        UsageError: no run is active, there are no rows, the label is unknown, or Parquet cannot hold a column.

    Example:
        >>> with mlflow.start_run():  # doctest: +SKIP
        ...     mlflow.sklearn.log_model(model, name="model", signature=..., input_example=...)
        ...     lifecycle.track(validation, label="late")
    """
    import mlflow

    from lifecycle.gates.data_quality.profiler import derive_suite

    if mlflow.active_run() is None:
        raise UsageError("lifecycle.track() needs an active run: call it inside 'with mlflow.start_run():'")
    _check(reference, label, max_rows)
    rows = reference if len(reference) <= max_rows else reference.sample(max_rows, random_state=_SEED)
    inputs = reference.drop(columns=[label]) if label else reference
    with tempfile.TemporaryDirectory(prefix="lifecycle-track-") as folder:
        path = Path(folder) / REFERENCE
        try:
            rows.to_parquet(path, index=False)
        except Exception as exc:  # pyarrow's errors quote values
            raise UsageError(
                f"lifecycle.track(): the reference cannot be written as Parquet ({type(exc).__name__}); "
                "does a column mix types, such as text and numbers?"
            ) from exc
        manifest = {"label": label, "rows": len(rows), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        mlflow.log_artifact(str(path), FOLDER)
    mlflow.log_dict(derive_suite(inputs), f"{FOLDER}/{SUITE}")
    # The manifest comes last: where it exists, the other files do.
    mlflow.log_text(json.dumps(manifest, indent=2), f"{FOLDER}/{MANIFEST}")


def _check(reference: pd.DataFrame, label: str | None, max_rows: int) -> None:
    if max_rows < 1:
        raise UsageError("lifecycle.track(): max_rows must be at least 1")
    if not len(reference):
        raise UsageError("lifecycle.track(): the reference has no rows")
    if not all(isinstance(name, str) for name in reference.columns) or reference.columns.has_duplicates:
        raise UsageError("lifecycle.track(): column names have to be text, each different")
    if label is not None and label not in reference.columns:
        raise UsageError(f"lifecycle.track(): {unknown('label column', label, reference.columns)}")
