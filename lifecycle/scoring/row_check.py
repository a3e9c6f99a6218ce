"""Which rows fit a model, and the predictions of those that do: for batches and streams, by the rules of requests.

Single rows are rejected and the others scored. A request over HTTP is refused as a whole instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifecycle.errors import DeploymentFailed, LifecycleError
from lifecycle.scoring.arrow_rows import arrow_from_predictions
from lifecycle.scoring.contract import Batch, Scorer
from lifecycle.scoring.csv_rows import values_of
from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.scoring.tensor_rows import lacking, may_hold, rows_of_one_shape, tensor_of
from lifecycle.scoring.values import assemble, coerce

MISSING, UNFIT, REFUSED = "missing_value", "unfit_value", "refused_by_model"
"""Reason codes of rejected rows: no value where the type needs one; a value that is not of the type; a row that
fits and that the model refuses."""

_TYPES = pa.types


@dataclass(frozen=True, slots=True)
class RowRejections:
    """Rows that were rejected.

    Attributes:
        positions: Where they are among the rows that were given.
        reasons: The reason code of each.
        columns: The first column that it applies to; None where it is the row as a whole.
    """

    positions: NDArray[np.int64]
    reasons: Sequence[str]
    columns: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """What became of rows: each was scored or rejected.

    Attributes:
        positions: Of the rows that were scored.
        predictions: Theirs, in the same order.
    """

    positions: NDArray[np.int64]
    predictions: pa.RecordBatch
    rejected: RowRejections


def score_rows(scorer: Scorer, rows: pa.RecordBatch, where: str, texts: Iterable[str] = ()) -> ScoredRows:
    """Score the rows that fit, and say of the others why they do not.

    Args:
        rows: Arrow columns by name. ``binary`` ones hold raw CSV cells; others are left out.
        where: Names the rows in error messages.
        texts: Columns of raw cells that have to be UTF-8 although the model does not take them.

    Raises:
        DeploymentFailed: the model broke, or did not answer with one prediction a row.
    """
    groups = rows_of_one_shape(rows, scorer.signature) if scorer.signature.is_tensor else ()
    if len(groups) > 1:
        parts = [_score(scorer, rows.take(pa.array(group)), where, texts) for group in groups]
        return _merged(parts, groups, where)
    return _score(scorer, rows, where, texts)


def _score(scorer: Scorer, rows: pa.RecordBatch, where: str, texts: Iterable[str]) -> ScoredRows:
    positions = np.arange(rows.num_rows)
    rejected: list[RowRejections] = []
    for find in (_misfits_of, _refused_of):
        try:
            return ScoredRows(positions, _predict(scorer, rows, where, texts), _joined(rejected))
        except InvalidInput:
            bad = find(scorer, rows, where, texts)
            rejected.append(RowRejections(positions[bad.positions], bad.reasons, bad.columns))
            fits = np.ones(rows.num_rows, dtype=bool)
            fits[bad.positions] = False
            positions, rows = positions[fits], rows.filter(pa.array(fits))
    return ScoredRows(positions, _predict(scorer, rows, where, texts), _joined(rejected))


def batch_of(rows: pa.RecordBatch, signature: Signature) -> Batch:
    """The rows as the scorer takes them. Raises InvalidInput if some value does not fit."""
    if signature.is_tensor:
        return {column.name: tensor_of(rows.column(column.name), column) for column in signature.inputs}
    types = {column.name: column for column in signature.inputs}
    return assemble(
        signature, rows.schema.names, lambda name: _numpy_of(rows.column(name), types[name]), rows.num_rows
    )


def may_fit(column: Column, given: pa.DataType) -> bool:
    """Whether an Arrow type has values that fit the column."""
    if column.shape is not None:
        return may_hold(column, given)
    if _TYPES.is_dictionary(given):
        given = given.value_type
    if column.type in ("double", "float", "long", "integer"):
        fits = _TYPES.is_integer(given) or _TYPES.is_floating(given)
    elif column.type == "boolean":
        fits = _TYPES.is_boolean(given)
    else:
        text = _TYPES.is_string(given) or _TYPES.is_large_string(given) or _TYPES.is_string_view(given)
        fits = text or (column.type == "datetime" and (_TYPES.is_timestamp(given) or _TYPES.is_date(given)))
    return bool(fits or _TYPES.is_null(given))


def find_misfits(rows: pa.RecordBatch, columns: Iterable[Column]) -> RowRejections:
    """Rows with a value that does not fit; a row is blamed on the first such column."""
    mask = np.zeros(rows.num_rows, dtype=bool)
    reasons, names = np.empty(rows.num_rows, dtype=object), np.empty(rows.num_rows, dtype=object)
    for column in columns:
        unblamed = np.flatnonzero(~mask)
        values = rows.column(column.name).take(pa.array(unblamed))
        refused = refused_rows(len(values), partial(_coerced, values, column))
        reasons[unblamed[refused]] = UNFIT
        reasons[unblamed[refused][lacking(values.filter(pa.array(refused)))]] = MISSING
        names[unblamed[refused]] = column.name
        mask[unblamed[refused]] = True
    return RowRejections(np.flatnonzero(mask), list(reasons[mask]), list(names[mask]))


def refused_rows(rows: int, take: Callable[[slice], object]) -> NDArray[np.bool_]:
    """Which rows make ``take`` raise InvalidInput, found by halving: cheap where they are few."""
    mask = np.zeros(rows, dtype=bool)
    unsure = [slice(0, rows)]
    while unsure:
        part = unsure.pop()
        try:
            take(part)
        except InvalidInput:
            if part.stop - part.start == 1:
                mask[part] = True
                continue
            middle = (part.start + part.stop) // 2
            unsure += [slice(part.start, middle), slice(middle, part.stop)]
    return mask


def text_of(cells: pa.Array, name: str) -> pa.Array:
    """Raw CSV cells as text. Raises InvalidInput for bytes that are not UTF-8."""
    try:
        return pc.cast(cells, pa.string())
    except pa.ArrowInvalid:
        raise InvalidInput(f"column {name!r} holds bytes that are not UTF-8") from None


def _predict(scorer: Scorer, rows: pa.RecordBatch, where: str, texts: Iterable[str]) -> pa.RecordBatch:
    """Raises InvalidInput when any row does not fit."""
    if not rows.num_rows:
        return pa.RecordBatch.from_pydict({})
    for name in texts:
        text_of(rows.column(name), name)
    batch = batch_of(rows, scorer.signature)
    try:
        predictions = arrow_from_predictions(scorer.predict(batch))
    except LifecycleError:
        raise
    except Exception as exc:  # a model raises what it likes, and its text may quote the rows
        raise DeploymentFailed(f"the model broke ({type(exc).__name__}) on {where}") from exc
    if predictions.num_rows != rows.num_rows:
        raise DeploymentFailed(f"the model gave {predictions.num_rows} predictions for {where}")
    return predictions


def _misfits_of(scorer: Scorer, rows: pa.RecordBatch, where: str, texts: Iterable[str]) -> RowRejections:
    del where
    present = rows.schema.names
    columns = {name: Column(name, "string") for name in texts}
    columns |= {c.name: c for c in scorer.signature.inputs if c.name in present}
    return find_misfits(rows, columns.values())


def _refused_of(scorer: Scorer, rows: pa.RecordBatch, where: str, texts: Iterable[str]) -> RowRejections:
    def take(part: slice) -> None:
        _predict(scorer, rows.slice(part.start, part.stop - part.start), where, texts)

    positions = np.flatnonzero(refused_rows(rows.num_rows, take))
    return RowRejections(positions, [REFUSED] * len(positions), [None] * len(positions))


def _merged(parts: Sequence[ScoredRows], groups: Sequence[NDArray[np.int64]], where: str) -> ScoredRows:
    """The rows of several groups, in their order before."""
    pairs = list(zip(parts, groups, strict=True))
    positions = np.concatenate([group[part.positions] for part, group in pairs])
    order = np.argsort(positions)
    tables = [pa.Table.from_batches([part.predictions]) for part in parts if part.predictions.num_columns]
    try:
        table = pa.concat_tables(tables).take(pa.array(order)).combine_chunks() if tables else pa.table({})
    except pa.ArrowInvalid:
        raise DeploymentFailed(
            f"the model's answers to rows of different lengths differ in shape on {where}"
        ) from None
    rejected = [replace(part.rejected, positions=group[part.rejected.positions]) for part, group in pairs]
    (predictions,) = table.to_batches() or [pa.RecordBatch.from_pydict({})]
    return ScoredRows(positions[order], predictions, _joined(rejected))


def _joined(parts: Sequence[RowRejections]) -> RowRejections:
    return RowRejections(
        np.concatenate([np.empty(0, np.int64), *(part.positions for part in parts)]),
        [reason for part in parts for reason in part.reasons],
        [column for part in parts for column in part.columns],
    )


def _coerced(values: pa.Array, column: Column, part: slice) -> object:
    if column.shape is not None:
        return tensor_of(values[part], column)
    return coerce(column, _numpy_of(values[part], column))


def _numpy_of(values: pa.Array, column: Column) -> NDArray[Any]:
    if _TYPES.is_binary(values.type):
        return values_of(values, column)
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array
