import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifecycle.gates.metrics import METRICS, Unmeasurable, measure

LABELS = np.array([0, 0, 1, 1])


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


def test_two_classes_are_measured_as_scikit_learn_does(tumours):
    labels, probabilities, classes = tumours
    assert measure("roc_auc", labels, probabilities) == sk.roc_auc_score(labels, probabilities[:, 1])
    assert measure("roc_auc", labels, probabilities[:, 1]) == sk.roc_auc_score(labels, probabilities[:, 1])
    assert measure("log_loss", labels, probabilities) == pytest.approx(sk.log_loss(labels, probabilities))
    for predictions in (classes, probabilities, probabilities[:, 1]):
        assert measure("accuracy", labels, predictions) == sk.accuracy_score(labels, classes)
        assert measure("f1", labels, predictions) == sk.f1_score(labels, classes)


def test_three_classes_are_measured_as_scikit_learn_does(wines):
    labels, probabilities, classes = wines
    assert measure("roc_auc", labels, probabilities) == sk.roc_auc_score(labels, probabilities, multi_class="ovr")
    for predictions in (classes, probabilities):
        assert measure("accuracy", labels, predictions) == sk.accuracy_score(labels, classes)
        assert measure("f1", labels, predictions) == sk.f1_score(labels, classes, average="macro")


def test_numbers_are_measured_as_scikit_learn_does():
    x, y = load_diabetes(return_X_y=True)
    predictions = LinearRegression().fit(x[::2], y[::2]).predict(x[1::2])
    assert measure("rmse", y[1::2], predictions) == sk.root_mean_squared_error(y[1::2], predictions)
    assert measure("mae", y[1::2], predictions) == sk.mean_absolute_error(y[1::2], predictions)
    assert measure("r2", y[1::2], predictions) == sk.r2_score(y[1::2], predictions)


def test_text_and_true_false_labels_are_classes_too(tumours):
    labels, probabilities, classes = tumours
    names = np.array(["benign", "malignant"])
    want = measure("roc_auc", labels, probabilities)
    assert measure("roc_auc", labels.astype(bool), probabilities) == want
    assert measure("roc_auc", names[labels], probabilities) == want
    assert measure("accuracy", names[labels], names[classes]) == measure("accuracy", labels, classes)


def test_a_class_that_the_labels_lack_is_a_wrong_answer():
    assert measure("accuracy", np.array(["a", "b", "a", "b"]), np.array(["a", "b", "c", "c"])) == 0.5


@pytest.mark.parametrize(
    ("metric", "labels", "predictions", "what"),
    [
        ("roc_auc", LABELS, LABELS, "no_scores"),
        ("roc_auc", LABELS, LABELS.astype(float), "no_scores"),
        ("roc_auc", np.zeros(4, int), np.array([0.1, 0.2, 0.3, 0.4]), "one_class"),
        ("accuracy", np.zeros(4, int), np.zeros(4, int), "one_class"),
        ("accuracy", LABELS, np.array([-3.0, 0.2, 5.0, 1.0]), "not_classes"),
        ("roc_auc", LABELS, np.full((4, 3), 1 / 3), "classes_differ"),
        ("roc_auc", LABELS, np.array([0.1, np.nan, 0.3, 0.4]), "predictions_not_finite"),
        ("rmse", LABELS, np.array([0.1, np.inf, 0.3, 0.4]), "predictions_not_finite"),
        ("r2", np.ones(4), np.ones(4), "one_value"),
        ("rmse", np.array(["a", "b", "c", "d"]), np.ones(4), "not_numbers"),
        ("log_loss", LABELS, np.array([-3.0, 0.2, 5.0, 0.7]), "unmeasurable"),
    ],
)
def test_what_cannot_be_measured_is_named_and_not_guessed(metric, labels, predictions, what):
    with pytest.raises(Unmeasurable) as refused:
        measure(metric, labels, predictions)
    assert refused.value.what == what


def test_which_way_is_better_is_known_for_every_metric():
    assert {name for name, m in METRICS.items() if not m.higher_is_better} == {"log_loss", "rmse", "mae"}
