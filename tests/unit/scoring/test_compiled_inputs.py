"""How rows get into a compiled model: as one matrix where they can, as columns where they must, and exactly."""

from __future__ import annotations

import json
import shutil

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifecycle.bundle.cache import compile_snapshot, pack_bundle
from lifecycle.errors import IntegrityError
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.compiled import read_compiled
from lifecycle.scoring.contract import MATRIX, Matrix, array_of
from lifecycle.scoring.onnx_scorer import OnnxScorer
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(5)
DOUBLES = pd.DataFrame(RANDOM.normal(size=(60, 4)), columns=["a", "b", "c", "d"])
MIXED = DOUBLES.assign(c=RANDOM.integers(0, 9, 60), d=RANDOM.normal(size=60).astype(np.float32))
LABEL = (DOUBLES["a"] + DOUBLES["b"] > 0).to_numpy()
BY_NAME = make_column_transformer((StandardScaler(), ["b", "a"]), ("passthrough", ["d"]))


def compiled(model, rows: pd.DataFrame, target, folder):
    model.fit(rows, target)
    snapshot = SnapshotStore(folder / "snapshots").put(
        lambda path: mlflow.sklearn.save_model(
            model,
            str(path),
            signature=infer_signature(rows, model.predict(rows)),
            input_example=rows,
            pip_requirements=[],
            serialization_format="cloudpickle",
        )
    )
    return snapshot, compile_snapshot(snapshot, folder / "compiled")


@pytest.mark.parametrize(
    ("model", "rows", "target", "matrix"),
    [
        (LogisticRegression(), DOUBLES, LABEL, MATRIX),
        (LinearRegression(), DOUBLES, DOUBLES["a"], MATRIX),
        (LinearRegression(), DOUBLES[["a"]], DOUBLES["b"], MATRIX),
        (LinearRegression(), DOUBLES.astype(np.float32), DOUBLES["a"], MATRIX),
        (LogisticRegression(), MIXED[["c"]], LABEL, MATRIX),
        (make_pipeline(BY_NAME, LogisticRegression()), DOUBLES, LABEL, MATRIX),
        (RandomForestClassifier(5), DOUBLES, LABEL, MATRIX),
        (LogisticRegression(), MIXED, LABEL, None),
        (make_pipeline(BY_NAME, LogisticRegression()), MIXED, LABEL, None),
    ],
    ids=["doubles", "regressor", "one column", "floats", "longs", "by name", "forest", "mixed", "mixed by name"],
)
def test_plain_estimators_and_those_that_pick_columns_compile(model, rows, target, matrix, tmp_path):
    snapshot, folder = compiled(model, rows, target, tmp_path)
    assert read_compiled(folder).scorer["matrix"] == matrix
    pyfunc, scorer = PyfuncScorer(snapshot.path), OnnxScorer(read_compiled(folder))
    batch = {name: rows[name].to_numpy() for name in reversed(rows.columns)}
    np.testing.assert_allclose(scorer.predict(batch), pyfunc.predict(dict(reversed(batch.items()))), rtol=1e-6)
    if matrix:
        together = Matrix(scorer.signature.names, array_of(batch, scorer.signature))
        np.testing.assert_array_equal(scorer.predict(together), scorer.predict(batch))
        np.testing.assert_array_equal(together["a" if "a" in rows else "c"], rows.iloc[:, 0])


def test_a_compiled_model_that_has_been_changed_is_not_loaded(tmp_path):
    _, folder = compiled(LinearRegression(), DOUBLES, DOUBLES["a"], tmp_path)
    model = folder / "model.onnx"
    content = model.read_bytes()
    for damaged in (content[:-1], content + b"\0", content.replace(b"MatMul", b"MatMuI")):
        model.write_bytes(damaged)
        if damaged == content:
            continue
        with pytest.raises(IntegrityError, match="delete its folder"):
            OnnxScorer(read_compiled(folder))


def test_an_entry_of_an_older_format_is_left_alone(tmp_path):
    snapshot, folder = compiled(LinearRegression(), DOUBLES, DOUBLES["a"], tmp_path)
    older = folder.with_name(f"{snapshot.digest}-2")
    shutil.move(folder, older)
    (older / "scorer.json").write_text("{}")
    again = compile_snapshot(snapshot, folder.parent)
    assert again == folder
    assert OnnxScorer(read_compiled(again)).signature.names == ("a", "b", "c", "d")


def test_a_bundle_that_is_built_again_from_the_same_snapshot_has_the_same_bytes(tmp_path):
    snapshot, folder = compiled(
        make_pipeline(StandardScaler(), LinearRegression()), DOUBLES, DOUBLES["a"], tmp_path
    )
    again = compile_snapshot(snapshot, tmp_path / "another-cache")
    for name in ("golden.json", "manifest.json", "model.onnx"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name
    assert pack_bundle(again, "m", 1) == pack_bundle(folder, "m", 1)


def test_what_the_release_before_bundles_compiled_is_still_read(tmp_path):
    _, folder = compiled(LinearRegression(), DOUBLES, DOUBLES["a"], tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    sha256 = manifest["members"]["model.onnx"]["sha256"]
    old = {
        "digest": manifest["digest"],
        "signature": manifest["signature"],
        "sha256": sha256,
        **manifest["scorer"],
    }
    expected = read_compiled(folder).onnx
    (folder / "scorer.json").write_text(json.dumps(old))
    (folder / "manifest.json").unlink()
    assert read_compiled(folder).onnx == expected
    assert OnnxScorer(read_compiled(folder)).signature.names == ("a", "b", "c", "d")
