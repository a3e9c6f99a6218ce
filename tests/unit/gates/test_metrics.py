import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifecycle.gates.performance.metrics import METRICS, measure
from lifecycle.gates.performance.targets import Unmeasurable

LABELS = np.array([0, 0, 1, 1])
SHORT = {"accuracy", "precision", "recall", "f1", "mae", "mse", "rmse", "mape", "r2"}
OURS_ALONE = {"brier_score"}
BINARY = {
    "accuracy_score",
    "precision_score",
    "recall_score",
    "f1_score",
    "roc_auc",
    "precision_recall_auc",
    "log_loss",
}
NUMBERS = {
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_percentage_error",
    "max_error",
    "r2_score",
}


@pytest.fixture(scope="module")
def tumours():
    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[::2], y[::2])
    return y[1::2], model.predict_proba(x[1::2]), model.predict(x[1::2])


@pytest.fixture(scope="module")
def wines():
    x, y = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(x[::2], y[::2])
    return y[1::2], model.predict_proba(x[1::2]), model.predict(x[1::2])


@pytest.fixture(scope="module")
def patients():
    x, y = load_diabetes(return_X_y=True)
    return y[1::2], LinearRegression().fit(x[::2], y[::2]).predict(x[1::2])


def test_two_classes_are_measured_as_scikit_learn_does(tumours):
    labels, probabilities, classes = tumours
    assert measure("roc_auc", labels, probabilities) == sk.roc_auc_score(labels, probabilities[:, 1])
    assert measure("roc_auc", labels, probabilities[:, 1]) == sk.roc_auc_score(labels, probabilities[:, 1])
    assert measure("log_loss", labels, probabilities) == pytest.approx(sk.log_loss(labels, probabilities))
    assert measure("brier_score", labels, probabilities) == sk.brier_score_loss(labels, probabilities[:, 1])
    for predictions in (classes, probabilities, probabilities[:, 1]):
        assert measure("accuracy", labels, predictions) == sk.accuracy_score(labels, classes)
        assert measure("f1", labels, predictions) == sk.f1_score(labels, classes)


def test_three_classes_are_weighted_by_their_rows(wines):
    labels, probabilities, classes = wines
    weighted = {"average": "weighted"}
    assert measure("roc_auc", labels, probabilities) == pytest.approx(
        sk.roc_auc_score(labels, probabilities, multi_class="ovr", **weighted)
    )
    assert measure("brier_score", labels, probabilities) == sk.brier_score_loss(labels, probabilities)
    for predictions in (classes, probabilities):
        assert measure("accuracy", labels, predictions) == sk.accuracy_score(labels, classes)
        assert measure("f1", labels, predictions) == sk.f1_score(labels, classes, **weighted)


def test_text_and_true_false_labels_are_classes_too(tumours):
    labels, probabilities, classes = tumours
    names = np.array(["benign", "malignant"])
    want = measure("roc_auc", labels, probabilities)
    assert measure("roc_auc", labels.astype(bool), probabilities) == want
    assert measure("roc_auc", names[labels], probabilities) == want
    assert measure("accuracy", names[labels], names[classes]) == measure("accuracy", labels, classes)


def test_a_class_that_the_labels_lack_is_a_wrong_answer():
    assert measure("accuracy", np.array(["a", "b", "a", "b"]), np.array(["a", "b", "c", "c"])) == 0.5
    assert measure("recall", np.array(["a", "b", "a", "b"]), np.array(["a", "b", "c", "c"])) == 0.5


@pytest.mark.parametrize(
    ("metric", "labels", "predictions", "what"),
    [
        ("roc_auc", LABELS, LABELS, "no_scores"),
        ("roc_auc", LABELS, LABELS.astype(float), "no_scores"),
        ("roc_auc", np.zeros(4, int), np.array([0.1, 0.2, 0.3, 0.4]), "one_class"),
        ("accuracy", np.zeros(4, int), np.zeros(4, int), "one_class"),
        ("accuracy", LABELS, np.array([-3.0, 0.2, 5.0, 1.0]), "not_classes"),
        ("roc_auc", LABELS, np.full((4, 3), 1 / 3), "classes_differ"),
        ("precision_recall_auc", np.array([0, 1, 2, 2]), np.full((4, 3), 1 / 3), "two_classes_only"),
        ("roc_auc", LABELS, np.array([0.1, np.nan, 0.3, 0.4]), "predictions_not_finite"),
        ("rmse", LABELS, np.array([0.1, np.inf, 0.3, 0.4]), "predictions_not_finite"),
        ("rmse", np.array([0.1, np.inf, 0.3, 0.4]), np.ones(4), "labels_not_finite"),
        ("rmse", np.array([1e300, 1.0, 0.3, 0.4]), np.full(4, -1e300), "metric_not_finite"),
        ("r2", np.ones(4), np.ones(4), "one_value"),
        ("rmse", np.array(["a", "b", "c", "d"]), np.ones(4), "not_numbers"),
        ("rmse", np.array([{}, [], "c", 1], dtype=object), np.ones(4), "labels_unusable"),
        ("log_loss", LABELS, np.array([-3.0, 0.2, 5.0, 0.7]), "unmeasurable"),
        ("accuracy", LABELS, np.array([0, 1]), "rows_differ"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_cannot_be_measured_is_named_and_not_guessed(metric, labels, predictions, what):
    with pytest.raises(Unmeasurable) as refused:
        measure(metric, labels, predictions)
    assert refused.value.what == what


def test_which_way_is_better_is_known_for_every_metric():
    lower = {name for name, m in METRICS.items() if not m.higher_is_better}
    assert lower == NUMBERS - {"r2_score"} | {"mae", "mse", "rmse", "mape", "log_loss", "brier_score"}


def samples(tumours, wines, patients):
    """Labels and predictions of every kind, less tidy than the models' own: with ties and with many errors."""
    noise = np.random.default_rng(0)
    for labels, probabilities, _ in (tumours, wines):
        blurred = np.round(
            0.5 * probabilities + 0.5 * noise.dirichlet(np.ones(len(probabilities[0])), len(labels)), 2
        )
        yield labels, blurred / blurred.sum(axis=1, keepdims=True)
    yield patients


@pytest.mark.parametrize("name", sorted(set(METRICS) - SHORT - {"max_error"}))
def test_an_interval_is_as_wide_as_resampling_the_rows_makes_it(name, tumours, wines, patients):
    metric, tried = METRICS[name], 0
    for labels, predictions in samples(tumours, wines, patients):
        try:
            answers = metric.answers(labels, predictions)
            metric.value(answers)
        except Unmeasurable:
            continue
        draw = np.random.default_rng(1).integers(0, len(labels), (100, len(labels)))
        resampled = np.std([metric.value(answers.at(rows)) for rows in draw])
        influence = metric.influence(answers)
        assert influence.sum() == pytest.approx(0, abs=1e-9)
        assert np.sqrt((influence**2).sum()) == pytest.approx(resampled, rel=0.25)
        tried += 1
    assert tried


# The same values as MLflow's


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """What ``mlflow.models.evaluate`` says of a model on rows, and what the model predicts for them."""
    import mlflow

    store = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"

    def evaluate(model, x, y, model_type):
        mlflow.set_tracking_uri(store)
        try:
            artifacts = tmp_path_factory.mktemp("artifacts").as_uri()
            experiment = mlflow.create_experiment(model_type + str(len(set(y))), artifacts)
            with mlflow.start_run(experiment_id=experiment), warnings.catch_warnings(action="ignore"):
                logged = mlflow.sklearn.log_model(model, name="model", serialization_format="cloudpickle")
                result = mlflow.models.evaluate(
                    logged.model_uri,
                    pd.DataFrame(x).assign(label=y),
                    targets="label",
                    model_type=model_type,
                    evaluator_config={"log_model_explainability": False},
                )
        finally:
            mlflow.set_tracking_uri(None)
        return result.metrics

    return evaluate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "model", "model_type", "names"),
    [
        (load_breast_cancer, LogisticRegression(C=1e-4, max_iter=50), "classifier", BINARY),
        pytest.param(
            load_wine,
            LogisticRegression(C=1e-4, max_iter=50),
            "classifier",
            BINARY - {"precision_recall_auc"},
            marks=pytest.mark.proof,
        ),
        (load_diabetes, LinearRegression(), "regressor", NUMBERS),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_values_are_those_of_mlflow_models_evaluate(evaluated, load, model, model_type, names):
    x, y = load(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), model).fit(x[::2].to_numpy(), y[::2])
    rows, labels = x[1::2].to_numpy(), y[1::2].to_numpy()
    theirs = evaluated(model, rows, labels, model_type)
    predictions = model.predict(rows) if model_type == "regressor" else model.predict_proba(rows)
    assert set(METRICS) & set(theirs) == names
    for name in names:
        assert measure(name, labels, predictions) == pytest.approx(theirs[name], abs=1e-9), name


def test_every_metric_is_one_of_mlflows_or_a_short_name_for_it_or_known_to_be_ours():
    assert set(METRICS) == BINARY | NUMBERS | SHORT | OURS_ALONE
