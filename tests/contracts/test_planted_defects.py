"""Each planted defect is caught by a gate that is there for it, and its clean twin passes them all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.model import ModelVersion
from lifecycle.domain.policy import GateSpec
from lifecycle.gates.data_quality.profiler import derive_suite
from lifecycle.gates.run import run_gates
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer
from tests.proof import some

pytestmark = pytest.mark.slow

INPUTS = ["month", "sched_dep_time", "dep_delay", "distance", "carrier", "origin"]
FLOATS = dict.fromkeys(["month", "sched_dep_time", "dep_delay", "distance"], "float64")
GATES = (
    GateSpec("data_quality"),
    # Not the month: no later one has the values of January to June.
    GateSpec("drift", {"columns": INPUTS[1:]}),
    GateSpec(
        "performance",
        {"metric": "roc_auc", "min": 0.8, "max_drop_vs_champion": 0.02, "by": "carrier", "max_slice_drop": 0.05},
    ),
)


@pytest.fixture(scope="module")
def reference(flights):
    rows = flights[flights.month <= 6][[*INPUTS, "late"]].sample(20_000, random_state=0)
    return rows.astype(FLOATS).reset_index(drop=True)


@pytest.fixture(scope="module", params=some([7, 10], 7))
def later(flights, request):
    return flights[flights.month == request.param][[*INPUTS, "late"]].astype(FLOATS).reset_index(drop=True)


@pytest.fixture(scope="module")
def model(lifecycle_models):
    scorer = PyfuncScorer(lifecycle_models[0].snapshot.path)
    return Candidate(ModelVersion("flights-delay", 2), lifecycle_models[0].snapshot, lambda: scorer)


@dataclass
class QuietLoss:
    """A model that is another's but for the rows of one carrier, which it gets the wrong way round."""

    scorer: PyfuncScorer
    carrier: str
    kind = "pyfunc"

    @property
    def signature(self):
        return self.scorer.signature

    def predict(self, batch):
        answers = self.scorer.predict(batch).copy()
        hit = np.asarray(batch["carrier"]) == self.carrier
        answers[hit] = answers[hit][:, ::-1]
        return answers

    def close(self):
        pass


def judged(candidate, reference, current):
    suite = derive_suite(reference[INPUTS[1:]])
    champion = replace(candidate, version=ModelVersion("flights-delay", 1))
    if isinstance(candidate.scorer, QuietLoss):
        champion = replace(champion, load_scorer=lambda: candidate.scorer.scorer)
    subject = Subject(
        candidate,
        "production",
        load_reference=lambda: dataset_from_frame(reference, "late", "the reference rows"),
        load_current=lambda _: dataset_from_frame(current, "late", "today's rows"),
        load_suite=lambda: suite,
        load_champion=lambda: champion,
    )
    return {v.gate: v for v in run_gates(GATES, subject)}


def leak_of_nulls(rows):
    return rows.assign(dep_delay=rows.dep_delay.mask(np.random.default_rng(0).random(len(rows)) < 0.2))


def kilometres(rows):
    return rows.assign(distance=rows.distance * 1.609)


def hours(rows):
    return rows.assign(dep_delay=rows.dep_delay / 60)


def swapped_columns(rows):
    return rows.assign(distance=rows.sched_dep_time, sched_dep_time=rows.distance)


def new_category(rows):
    return rows.assign(carrier=rows.carrier.mask(np.random.default_rng(0).random(len(rows)) < 0.15, "ZZ"))


def stuck(rows):
    return rows.assign(dep_delay=rows.dep_delay.iloc[0])


def flipped_labels(rows):
    return rows.assign(late=rows.late ^ (np.random.default_rng(0).random(len(rows)) < 0.3))


def test_the_clean_twin_passes(model, reference, later):
    verdicts = judged(model, reference, later)
    assert {gate: v.outcome for gate, v in verdicts.items()} == dict.fromkeys(verdicts, "PASSED"), [
        v.message for v in verdicts.values()
    ]


@pytest.mark.parametrize(
    ("defect", "gates"),
    [
        (leak_of_nulls, {"data_quality", "drift"}),
        (kilometres, {"drift"}),
        (hours, {"data_quality"}),
        (swapped_columns, {"data_quality", "drift"}),
        (new_category, {"data_quality", "drift"}),
        (stuck, {"data_quality"}),
        (flipped_labels, {"performance"}),
    ],
)
def test_a_defect_of_the_data_is_caught(model, reference, later, defect, gates):
    verdicts = judged(model, reference, defect(later))
    assert gates <= {gate for gate, v in verdicts.items() if v.outcome == "FAILED"}, [
        v.message for v in verdicts.values()
    ]


def test_a_quiet_loss_on_one_slice_is_caught_although_the_whole_looks_fine(model, reference, later):
    scorer = QuietLoss(model.scorer, "FL")
    broken = replace(model, load_scorer=lambda: scorer)
    verdicts = judged(broken, reference, later)
    performance = verdicts["performance"]
    assert performance.figures["value"] > 0.8
    assert performance.outcome == "FAILED"
    assert "FL" in performance.message
    assert verdicts["data_quality"].outcome == verdicts["drift"].outcome == "PASSED"
