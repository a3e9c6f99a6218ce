"""The input example that was logged with a model, in each protocol's form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.json_rows import batch_from_content, golden_content
from lifecycle.scoring.signature import InvalidInput, Signature
from lifecycle.serving.codecs.tfserving import nested
from lifecycle.serving.codecs.v2_signature import described
from lifecycle.serving.codecs.v2_tensors import to_json
from lifecycle.serving.release import Release

_ROWS = 3


class Example:
    """A few example rows.

    Args:
        scoring: The rows in MLflow's form, as logged.
    """

    def __init__(self, scoring: Any, batch: Batch, signature: Signature) -> None:
        few = {name: values[:_ROWS] for name, values in batch.items()}
        v2 = {"inputs": [_tensor(announced, few[column.name]) for announced, column in _pairs(signature)]}
        columns = {name: _plain(nested(values)) for name, values in few.items()}
        if signature.is_tensor and len(columns) == 1:
            tf: Any = {"instances": next(iter(columns.values()))}
        else:
            rows = zip(*columns.values(), strict=True)
            tf = {"instances": [dict(zip(columns, row, strict=True)) for row in rows]}
        self._by_codec = {"mlflow": scoring, "v2": v2, "tfserving": tf}

    def of(self, codec: str) -> Any:
        """The request body for a protocol."""
        return self._by_codec.get(codec)


def example_of(release: Release) -> Example | None:
    """A release's example; None when there is none or it cannot be read. Reads files."""
    try:
        content = golden_content(Path(release.desired.snapshot))
        if content is None:
            return None
        return Example(content, batch_from_content(content, release.signature), release.signature)
    except (OSError, ValueError, InvalidInput):
        return None  # a page without an example is better than none


def _pairs(signature: Signature) -> Any:
    return zip(described(signature.inputs, "input"), signature.inputs, strict=True)


def _tensor(announced: dict[str, Any], values: Any) -> dict[str, Any]:
    return {
        "name": announced["name"],
        "datatype": announced["datatype"],
        "shape": list(values.shape),
        "data": _plain(to_json(values)),
    }


def _plain(values: Any) -> Any:
    """Values as JSON types; NaN becomes null."""
    return orjson.loads(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
