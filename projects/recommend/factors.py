"""Matrix factorisation of who liked what, and the same as an ONNX graph from a user's id to ranked items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

FEWEST = 10
"""Ratings that an item needs to be recommended."""


@dataclass(frozen=True)
class Factors:
    """Row 0 stands for users who are not known: they get what is liked most.

    Attributes:
        users: Shape (largest user id + 1, factors).
        items: Shape (items, factors).
        seen: Whether a user has rated an item, of shape (users, items).
        item_ids: Shape (items,).
    """

    users: np.ndarray
    items: np.ndarray
    seen: np.ndarray
    item_ids: np.ndarray


def factorise(rows: pd.DataFrame, factors: int) -> Factors:
    """Truncated singular value decomposition: the best matrix of that rank, found without a random start."""
    counts = rows["movieId"].value_counts()
    item_ids = np.sort(counts[counts >= FEWEST].index.to_numpy(np.int64))
    rows = rows[rows["movieId"].isin(item_ids)]
    at = rows["userId"].to_numpy(), np.searchsorted(item_ids, rows["movieId"].to_numpy())
    stars = np.zeros((rows["userId"].max() + 1, len(item_ids)))
    stars[at] = rows["rating"] - 2  # more stars for what is liked, less than none for what is not
    seen = np.zeros(stars.shape, bool)
    seen[at] = True
    stars[0] = stars.sum(axis=0) / seen.any(axis=1).sum()
    left, strength, right = np.linalg.svd(stars, full_matrices=False)
    known = (seen.any(axis=1) | (np.arange(len(stars)) == 0))[:, None]
    users = np.where(known, left * strength, left[0] * strength)[:, :factors]
    return Factors(users.astype(np.float32), right[:factors].T.astype(np.float32), seen, item_ids)


def as_onnx(found: Factors, k: int) -> onnx.ModelProto:
    """``user_id`` of shape (rows,) to ``item_id`` and ``score`` of shape (rows, k), the best first."""
    constants = {
        "users": found.users,
        "items": np.ascontiguousarray(found.items.T),
        "seen": found.seen,
        "item_ids": found.item_ids,
        "count": np.array(len(found.users), np.int64),
        "first_row": np.array(0, np.int64),
        "never": np.array(-1e9, np.float32),
        "k": np.array([k], np.int64),
    }
    nodes = [
        helper.make_node("GreaterOrEqual", ["user_id", "first_row"], ["not_negative"]),
        helper.make_node("Less", ["user_id", "count"], ["not_beyond"]),
        helper.make_node("And", ["not_negative", "not_beyond"], ["in_table"]),
        helper.make_node("Where", ["in_table", "user_id", "first_row"], ["row"]),
        helper.make_node("Gather", ["users", "row"], ["user"]),
        helper.make_node("MatMul", ["user", "items"], ["all_scores"]),
        helper.make_node("Gather", ["seen", "row"], ["seen_by_user"]),
        helper.make_node("Where", ["seen_by_user", "never", "all_scores"], ["new_scores"]),
        helper.make_node("TopK", ["new_scores", "k"], ["score", "place"]),
        helper.make_node("Gather", ["item_ids", "place"], ["item_id"]),
    ]
    graph = helper.make_graph(
        nodes,
        "recommend",
        [helper.make_tensor_value_info("user_id", TensorProto.INT64, ["rows"])],
        [
            helper.make_tensor_value_info("item_id", TensorProto.INT64, ["rows", k]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows", k]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
