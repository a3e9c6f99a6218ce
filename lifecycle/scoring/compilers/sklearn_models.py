"""scikit-learn's predictors that skl2onnx does not convert, or not exactly.

- Linear classifiers are matrix products in float64; ONNX's ``LinearClassifier`` is float32.
- Trees and forests compare float32 with thresholds in float64, and send missing values to the side that each node
  has learned; skl2onnx sends all to one side.
- ``HistGradientBoosting*`` compares doubles, and sends missing values to the side that it learned.
- Support vector regression in float64; ONNX Runtime has a float32 kernel only.
- ``IsolationForest`` adds up path lengths (Liu, Ting and Zhou, ICDM 2008).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.svm import SVR, LinearSVC, NuSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from lifecycle.scoring.compilers.sklearn_steps import Conversion, Nodes

_ML = "ai.onnx.ml"


def _scores(nodes: Nodes) -> str:
    """Decision values of a linear model, of shape (rows, classes), or (rows, 1) for two classes."""
    product = nodes.add("MatMul", nodes.matrix(), nodes.constant(np.transpose(np.atleast_2d(nodes.step.coef_))))
    return nodes.add("Add", product, nodes.constant([np.ravel(nodes.step.intercept_)]))


def _label(nodes: Nodes, scores: str, *, two: bool) -> None:
    """The class with the largest score; the second of two where the only score is positive."""
    if two:
        positive = nodes.cast(nodes.add("Greater", scores, nodes.constant(0)), np.int64)
        chosen = nodes.add("Reshape", positive, nodes.constant([-1], np.int64))
    else:
        chosen = nodes.add("ArgMax", scores, axis=1, keepdims=0)
    classes = np.asarray(nodes.step.classes_)
    kind = np.int64 if classes.dtype.kind in "iub" else object
    nodes.add("Gather", nodes.constant(classes, kind), chosen, output=nodes.outputs[0], axis=0)


def _shares(nodes: Nodes, scores: str, *, two: bool) -> None:
    """Probabilities by the logistic function or, for more than two classes, softmax."""
    if len(nodes.outputs) == 1:
        return
    if not two:
        nodes.add("Softmax", scores, output=nodes.outputs[1], axis=1)
        return
    second = nodes.add("Sigmoid", scores)
    first = nodes.add("Sub", nodes.constant(1), second)
    nodes.add("Concat", first, second, output=nodes.outputs[1], axis=1)


def _linear_classifier(nodes: Nodes) -> None:
    if np.ndim(nodes.step.classes_[0]):
        raise NotImplementedError("a classifier of several targets has no ONNX form")
    scores, two = _scores(nodes), len(nodes.step.classes_) == 2
    _label(nodes, scores, two=two)
    _shares(nodes, scores, two=two)


def _hist_trees(nodes: Nodes) -> str:
    """Raw predictions of shape (rows, trees per iteration), as doubles."""
    step = nodes.step
    if step._preprocessor is not None:
        raise NotImplementedError("categorical features of HistGradientBoosting have no ONNX form yet")
    rows = [
        _tree(predictor.nodes, number, target)
        for number, (target, predictor) in enumerate(
            pair for iteration in step._predictors for pair in enumerate(iteration)
        )
    ]
    raw = _ensemble(nodes, nodes.cast(nodes.matrix(), np.float64), rows, step.n_trees_per_iteration_)
    return nodes.add("Add", nodes.cast(raw, np.float64), nodes.constant(step._baseline_prediction, np.float64))


def _tree(tree: NDArray[Any], number: int, target: int) -> Mapping[str, Sequence[Any]]:
    """Attributes of one tree: those of its nodes, and those of its leaves."""
    leaf = tree["is_leaf"].astype(bool)
    leaves = np.flatnonzero(leaf)
    return {
        "nodes_treeids": [number] * len(tree),
        "nodes_nodeids": list(range(len(tree))),
        "nodes_featureids": np.where(leaf, 0, tree["feature_idx"]).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(leaf, 0.0, tree["num_threshold"]).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, tree["left"]).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, tree["right"]).tolist(),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, tree["missing_go_to_left"]).tolist(),
        "target_treeids": [number] * len(leaves),
        "target_nodeids": leaves.tolist(),
        "target_ids": [target] * len(leaves),
        "target_weights": tree["value"][leaves].tolist(),
    }


_AS_TENSOR = ("nodes_values", "target_weights")


def _ensemble(nodes: Nodes, matrix: str, trees: Iterable[Mapping[str, Sequence[Any]]], targets: int) -> str:
    """The sums of the trees' leaves; thresholds and input are doubles, sums float32."""
    whole: dict[str, list[Any]] = {}
    for tree in trees:
        for name, values in tree.items():
            whole.setdefault(name, []).extend(values)
    attributes: dict[str, Any] = {
        f"{name}_as_tensor": helper.make_tensor(name, TensorProto.DOUBLE, [len(whole[name])], whole[name])
        for name in _AS_TENSOR
    }
    attributes |= {name: values for name, values in whole.items() if name not in _AS_TENSOR}
    return nodes.add("TreeEnsembleRegressor", matrix, domain=_ML, n_targets=targets, **attributes)


def _forest(nodes: Nodes) -> str:
    """The mean of the trees' values, of shape (rows, classes or 1), as doubles."""
    step = nodes.step
    fitted = getattr(step, "estimators_", [step])
    if step.n_outputs_ > 1:
        raise NotImplementedError("trees of several outputs have no exact ONNX form")
    single = nodes.cast(nodes.cast(nodes.matrix(), np.float32), np.float64)
    rows = [_sklearn_tree(one.tree_, number, len(fitted)) for number, one in enumerate(fitted)]
    return nodes.cast(_ensemble(nodes, single, rows, fitted[0].tree_.value.shape[2]), np.float64)


def _sklearn_tree(tree: Any, number: int, trees: int) -> Mapping[str, Sequence[Any]]:
    """Attributes of one of so many trees, whose leaves hold means, or shares of classes."""
    leaf = tree.children_left < 0
    values = tree.value[:, 0, :]
    if values.shape[1] > 1:
        values = values / values.sum(axis=1, keepdims=True)
    leaves, classes = np.nonzero(leaf[:, None] & ((values != 0) | (values.shape[1] == 1)))
    return {
        **_sklearn_nodes(tree, number, tree.feature),
        "target_treeids": [number] * len(leaves),
        "target_nodeids": leaves.tolist(),
        "target_ids": classes.tolist(),
        "target_weights": (values[leaves, classes] / trees).tolist(),
    }


def _sklearn_nodes(tree: Any, number: int, features: NDArray[Any]) -> dict[str, Sequence[Any]]:
    leaf = tree.children_left < 0
    return {
        "nodes_treeids": [number] * tree.node_count,
        "nodes_nodeids": list(range(tree.node_count)),
        "nodes_featureids": np.where(leaf, 0, features).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(leaf, 0.0, tree.threshold).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, tree.children_left).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, tree.children_right).tolist(),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, tree.missing_go_to_left).tolist(),
    }


def _forest_regressor(nodes: Nodes) -> None:
    nodes.cast(_forest(nodes), nodes.dtype, nodes.outputs[0])


def _forest_classifier(nodes: Nodes) -> None:
    shares = _forest(nodes)
    _label(nodes, shares, two=False)
    if len(nodes.outputs) > 1:
        nodes.cast(shares, nodes.dtype, nodes.outputs[1])


def _hist_regressor(nodes: Nodes) -> None:
    raw = _hist_trees(nodes)
    exponential = nodes.step._loss.link.__class__.__name__ == "LogLink"  # poisson and gamma
    nodes.add("Exp" if exponential else "Identity", raw, output=nodes.outputs[0])


def _hist_classifier(nodes: Nodes) -> None:
    raw, two = _hist_trees(nodes), nodes.step.n_trees_per_iteration_ == 1
    _label(nodes, raw, two=two)
    _shares(nodes, raw, two=two)


def _support_vectors(nodes: Nodes) -> None:
    step = nodes.step
    if callable(step.kernel) or step.kernel == "precomputed":
        raise NotImplementedError("a support vector machine with a kernel of its own has no ONNX form")
    weighted = nodes.add("MatMul", _kernel(nodes), nodes.constant(step.dual_coef_.T))
    nodes.add("Add", weighted, nodes.constant([step.intercept_]), output=nodes.outputs[0])


def _kernel(nodes: Nodes) -> str:
    """Kernel of each row with each support vector (https://scikit-learn.org/stable/modules/svm.html)."""
    step, matrix = nodes.step, nodes.matrix()
    vectors = np.asarray(step.support_vectors_)
    product = nodes.add("MatMul", matrix, nodes.constant(vectors.T))
    if step.kernel == "linear":
        return product
    if step.kernel == "rbf":
        squares = nodes.add("ReduceSumSquare", matrix, nodes.constant([1], np.int64), keepdims=1)
        twice = nodes.add("Mul", product, nodes.constant(2))
        lengths = nodes.add("Add", squares, nodes.constant([(vectors**2).sum(axis=1)]))
        distance = nodes.add("Sub", lengths, twice)
        return nodes.add("Exp", nodes.add("Mul", distance, nodes.constant(-step._gamma)))
    scaled = nodes.add("Mul", product, nodes.constant(step._gamma))
    moved = nodes.add("Add", scaled, nodes.constant(step.coef0))
    if step.kernel == "sigmoid":
        return nodes.add("Tanh", moved)
    return nodes.add("Pow", moved, nodes.constant(step.degree))


def _isolation_forest(nodes: Nodes) -> None:
    step = nodes.step
    single = nodes.cast(nodes.matrix(), np.float32)
    lengths = nodes.cast(_ensemble(nodes, nodes.cast(single, np.float64), _isolating(step), 1), np.float64)
    most = len(step.estimators_) * _average_path_length(step._max_samples)
    score = nodes.add(
        "Pow", nodes.constant(2, np.float64), nodes.add("Mul", lengths, nodes.constant(-1 / most, np.float64))
    )
    decision = nodes.add("Sub", nodes.add("Neg", score), nodes.constant(step.offset_, np.float64))
    inlier = nodes.add("GreaterOrEqual", decision, nodes.constant(0, np.float64))
    nodes.add("Where", inlier, nodes.constant(1, np.int64), nodes.constant(-1, np.int64), output=nodes.outputs[0])
    if len(nodes.outputs) > 1:
        nodes.add("Identity", decision, output=nodes.outputs[1])


def _isolating(step: IsolationForest) -> Iterator[Mapping[str, Sequence[Any]]]:
    for number, (fitted, features) in enumerate(zip(step.estimators_, step.estimators_features_, strict=True)):
        tree = fitted.tree_
        leaves = np.flatnonzero(tree.children_left < 0)
        lengths = step._decision_path_lengths[number] + step._average_path_length_per_tree[number] - 1.0
        yield {
            **_sklearn_nodes(tree, number, features[np.maximum(tree.feature, 0)]),
            "target_treeids": [number] * len(leaves),
            "target_nodeids": leaves.tolist(),
            "target_ids": [0] * len(leaves),
            "target_weights": lengths[leaves].tolist(),
        }


def _average_path_length(samples: int) -> float:
    """Of an unsuccessful search in a binary tree of so many samples: equation 1 of Liu, Ting and Zhou."""
    if samples <= 2:
        return float(samples == 2)
    return float(2.0 * (np.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples)


def _isolated_shape(operator: Any) -> None:
    operator.outputs[0].type = Int64TensorType([None, 1])
    if len(operator.outputs) > 1:
        operator.outputs[1].type = DoubleTensorType([None, 1])


def _regressed_shape(operator: Any) -> None:
    single = all(isinstance(given.type, FloatTensorType) for given in operator.inputs)
    operator.outputs[0].type = (FloatTensorType if single else DoubleTensorType)([None, 1])


_FORESTS = {
    Conversion(_forest_classifier): (
        DecisionTreeClassifier,
        ExtraTreeClassifier,
        RandomForestClassifier,
        ExtraTreesClassifier,
    ),
    Conversion(_forest_regressor, _regressed_shape): (
        DecisionTreeRegressor,
        ExtraTreeRegressor,
        RandomForestRegressor,
        ExtraTreesRegressor,
    ),
}
MODELS: Mapping[type, Conversion] = {
    **{kind: conversion for conversion, kinds in _FORESTS.items() for kind in kinds},
    LinearDiscriminantAnalysis: Conversion(_linear_classifier),
    LinearSVC: Conversion(_linear_classifier),
    RidgeClassifier: Conversion(_linear_classifier),
    RidgeClassifierCV: Conversion(_linear_classifier),
    HistGradientBoostingClassifier: Conversion(_hist_classifier),
    HistGradientBoostingRegressor: Conversion(_hist_regressor, _regressed_shape),
    SVR: Conversion(_support_vectors, _regressed_shape),
    NuSVR: Conversion(_support_vectors, _regressed_shape),
    IsolationForest: Conversion(_isolation_forest, _isolated_shape),
}
