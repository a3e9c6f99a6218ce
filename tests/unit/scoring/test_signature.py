"""Reading a signature without MLflow gives what MLflow wrote."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from lifecycle.scoring.signature import Column, NoSignature, Signature


def snapshot_with(folder, **mlmodel):
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
    return folder


def test_columns_and_tensors_are_read_with_types_and_requiredness(tmp_path):
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    signature = ModelSignature(
        Schema([ColSpec("double", "a"), ColSpec("string", "b", required=False)]),
        Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
    )
    assert Signature.from_snapshot(snapshot_with(tmp_path, signature=signature.to_dict())) == Signature(
        (Column("a", "double"), Column("b", "string", required=False)), (Column("", "float64", (-1, 2)),)
    )


@pytest.mark.parametrize("mlmodel", [{"flavors": {}}, {"signature": None}, {"signature": {"inputs": None}}])
def test_a_model_without_a_signature_says_how_to_log_one(tmp_path, mlmodel):
    with pytest.raises(NoSignature, match="infer_signature"):
        Signature.from_snapshot(snapshot_with(tmp_path, **mlmodel))


def test_a_type_that_cannot_be_served_is_named(tmp_path):
    inputs = '[{"type": "map", "name": "m", "required": true}]'
    with pytest.raises(NoSignature, match=r"'m'.*'map'"):
        Signature.from_snapshot(snapshot_with(tmp_path, signature={"inputs": inputs}))


def test_own_form_survives_a_round_trip():
    signature = Signature((Column("a", "double"), Column("t", "float32", (-1, 3))), (Column("", "int64", (-1,)),))
    assert Signature.from_dict(signature.as_dict()) == signature


def test_the_compiled_path_imports_none_of_the_heavy_libraries():
    probe = (
        "import sys, lifecycle.scoring.onnx_scorer, lifecycle.scoring.payload, lifecycle.scoring.json_rows;"
        "print([m for m in ('mlflow', 'sklearn', 'pandas', 'skl2onnx', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
