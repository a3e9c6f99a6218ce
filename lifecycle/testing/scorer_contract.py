"""Contract tests for scorers. Inherit ``ScorerContract`` and supply its fixtures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from lifecycle.scoring.contract import Batch, Predictions, Scorer, row_count, rows_of
from lifecycle.scoring.signature import InvalidInput
from lifecycle.testing.target_contract import same_predictions


@dataclass(frozen=True)
class ScorerExample:
    """A scorer, rows for it (at least 10), and pyfunc's predictions for them."""

    scorer: Scorer
    rows: Batch
    expected: Predictions


class ScorerContract:
    """Tests that every scorer passes. A subclass supplies the fixture ``example``."""

    def test_it_answers_as_pyfunc_does(self, example: ScorerExample) -> None:
        got = example.scorer.predict(example.rows)
        assert same_predictions(got, example.expected)
        assert rows_of(got) == row_count(example.rows)

    def test_a_row_scores_the_same_alone_and_in_a_batch(self, example: ScorerExample) -> None:
        together = example.scorer.predict(example.rows)
        for row in range(10):
            assert _identical(example.scorer.predict(_slice(example.rows, row)), _slice_of(together, row))

    def test_the_same_rows_score_the_same_again_and_in_any_thread(self, example: ScorerExample) -> None:
        first = example.scorer.predict(example.rows)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: example.scorer.predict(example.rows), range(8)))
        assert all(_identical(answer, first) for answer in answers)

    def test_no_rows_give_no_predictions(self, example: ScorerExample) -> None:
        nothing = {name: values[:0] for name, values in example.rows.items()}
        assert rows_of(example.scorer.predict(nothing)) == 0

    def test_the_rows_are_left_as_they_were(self, example: ScorerExample) -> None:
        before = {name: values.copy() for name, values in example.rows.items()}
        example.scorer.predict(example.rows)
        for name, values in example.rows.items():
            np.testing.assert_array_equal(values, before[name])

    def test_a_missing_column_is_invalid_input_and_named(self, example: ScorerExample) -> None:
        name = example.scorer.signature.names[0]
        lacking = {key: values for key, values in example.rows.items() if key != name}
        with pytest.raises(InvalidInput, match=name):
            example.scorer.predict(lacking)

    def test_its_kind_and_signature_are_told(self, example: ScorerExample) -> None:
        assert example.scorer.kind in ("compiled", "pyfunc")
        assert set(example.scorer.signature.names) == set(example.rows)

    def test_closing_twice_is_no_error(self, example: ScorerExample) -> None:
        example.scorer.close()
        example.scorer.close()


def _slice(rows: Batch, row: int) -> Batch:
    return {name: values[row : row + 1] for name, values in rows.items()}


def _slice_of(predictions: Predictions, row: int) -> Predictions:
    if isinstance(predictions, np.ndarray):
        return predictions[row : row + 1]
    return _slice(predictions, row)


def _identical(got: Predictions, expected: Predictions) -> bool:
    if isinstance(got, np.ndarray) != isinstance(expected, np.ndarray):
        return False
    ours, theirs = ({"": p} if isinstance(p, np.ndarray) else p for p in (got, expected))
    return list(ours) == list(theirs) and all(np.array_equal(ours[name], theirs[name]) for name in ours)
