"""The input example that was logged with a model, as a batch.

Format: https://mlflow.org/docs/latest/ml/model/signatures, "Model input example".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.json_rows import batch_from_content
from lifecycle.scoring.signature import Signature


def golden_batch(snapshot: Path) -> Batch | None:
    """The snapshot's input example as a batch, or None without one.

    Raises:
        InvalidInput: the example does not fit the model's own signature.
    """
    content = golden_content(snapshot)
    return None if content is None else batch_from_content(content, Signature.from_snapshot(snapshot))


def golden_content(snapshot: Path) -> Any:
    """The input example as it was logged: parsed JSON, not yet converted by the signature."""
    mlmodel = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))
    example = mlmodel.get("saved_input_example_info") or {}
    serving = snapshot / Path(example.get("serving_input_path") or "serving_input_example.json").name
    if not example or not serving.is_file():
        return None
    # MLflow writes a missing number as a bare NaN, which is not JSON
    return json.loads(serving.read_text(encoding="utf-8"), parse_constant=lambda _: None)
