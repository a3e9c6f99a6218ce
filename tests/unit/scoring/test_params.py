"""MLflow's inference parameters: the same are taken, and become the same, as MLflow itself has it."""

from __future__ import annotations

import json

import pytest

from lifecycle.scoring.payload import read
from lifecycle.scoring.signature import Column, InvalidParams, NoSignature, Param, Signature, checked

TYPES = ["boolean", "integer", "long", "float", "double", "string", "datetime"]
VALUES = [None, True, 1, -5, 1.5, "x", "2026-01-02T03:04:05", [1], {"a": 1}]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_mlflow_takes_the_same_and_makes_the_same_of_it(kind, value, many):
    from mlflow.exceptions import MlflowException
    from mlflow.models.utils import _enforce_params_schema
    from mlflow.types import ParamSchema, ParamSpec

    default = {"boolean": True, "string": "d", "datetime": "2026-01-01T00:00:00"}.get(kind, 1)
    spec = ParamSpec("p", kind, [default] if many else default, shape=(-1,) if many else None)
    given = {"p": [value] if many else value}
    try:
        expected = _enforce_params_schema(dict(given), ParamSchema([spec]))
    except MlflowException:
        with pytest.raises(InvalidParams, match="'p'"):
            checked(given, [Param("p", kind, None, many)])
    else:
        assert checked(given, [Param("p", kind, None, many)]) == expected


def test_a_request_gets_the_defaults_of_what_it_leaves_out_and_the_rest_is_ignored():
    signature = Signature((Column("a", "double"),), params=(Param("k", "double", 1.5), Param("n", "long", 2)))
    body = json.dumps({"inputs": {"a": [1]}, "params": {"n": 3, "z": 4}}).encode()
    assert read(body, "application/json", signature).params == {"k": 1.5, "n": 3}
    assert read(b"a\n1\n", "text/csv", signature).params == {"k": 1.5, "n": 2}
    assert read(body, "application/json", Signature((Column("a", "double"),))).params is None


def test_they_are_read_from_the_model_as_mlflow_wrote_them(tmp_path):
    import yaml
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    params = ParamSchema([ParamSpec("k", "double", 1.5), ParamSpec("names", "string", ["a"], shape=(-1,))])
    written = ModelSignature(Schema([ColSpec("double", "a")]), params=params).to_dict()
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"signature": written}))
    signature = Signature.from_snapshot(tmp_path)
    assert signature.params == (Param("k", "double", 1.5), Param("names", "string", ["a"], many=True))
    assert Signature.from_dict(signature.as_dict()) == signature


def test_a_type_that_cannot_be_served_is_named(tmp_path):
    import yaml

    params = '[{"name": "p", "type": "object", "default": {}, "shape": null}]'
    inputs = '[{"type": "double", "name": "a", "required": true}]'
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"signature": {"inputs": inputs, "params": params}}))
    with pytest.raises(NoSignature, match=r"'p'.*'object'"):
        Signature.from_snapshot(tmp_path)
