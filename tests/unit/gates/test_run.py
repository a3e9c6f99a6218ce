import logging
from dataclasses import replace

import pytest

from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.domain.policy import GateSpec
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import ConfigError
from lifecycle.gates.run import GateJob, Progress, run_gates, run_here
from lifecycle.scoring.loader import load_scorer

VERSION = (ModelVersion("m", 1), Snapshot("0" * 64, None))


def test_every_gate_runs_in_order_with_progress_and_time(candidate_of, subject_of):
    said = []
    verdicts = run_gates(
        [GateSpec("drift"), GateSpec("signature")],
        subject_of(candidate_of()),
        Progress(lambda name: said.append(f"{name} ..."), lambda verdict: said.append(verdict.outcome)),
    )
    assert said == ["drift ...", Outcome.INCONCLUSIVE, "signature ...", Outcome.PASSED]
    assert [v.gate for v in verdicts] == ["drift", "signature"]
    assert all(v.seconds > 0 for v in verdicts)


def test_a_wrong_option_stops_everything_before_the_first_gate(candidate_of, subject_of):
    started = []
    with pytest.raises(ConfigError, match="drift"):
        run_gates(
            [GateSpec("signature"), GateSpec("drift", {"rows": 1})],
            subject_of(candidate_of()),
            Progress(started.append),
        )
    assert started == []


def test_a_gate_that_breaks_is_an_error_without_the_exceptions_text_and_the_next_one_runs(
    candidate_of, subject_of, july, caplog
):
    def raises():
        raise RuntimeError("could not convert 'hush'")

    subject = subject_of(replace(candidate_of(), load_scorer=raises), july.rename(columns={"hour": "x"}))
    specs = [GateSpec("performance", {"metric": "f1", "min": 0.5}), GateSpec("data_quality")]
    with caplog.at_level(logging.DEBUG, logger="lifecycle"):
        broken, after = run_gates(specs, subject)
    assert (broken.outcome, broken.reason) == (Outcome.ERROR, "performance.error")
    assert "RuntimeError at test_run.py:" in broken.message
    assert "hush" not in broken.message
    assert "hush" in caplog.text
    assert after.reason == "data_quality.no_current_data"


def test_a_model_that_raises_on_its_rows_fails_without_the_exceptions_text(candidate_of, subject_of, july):
    def raises(_):
        raise ValueError("could not convert 'hush'")

    subject = subject_of(candidate_of(raises), july.rename(columns={"hour": "x"}))
    (verdict,) = run_gates([GateSpec("performance", {"metric": "f1", "min": 0.5})], subject)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "performance.model_raises")
    assert "ValueError" in verdict.message
    assert "hush" not in verdict.message


def test_a_file_that_is_not_there_is_inconclusive_and_a_broken_one_an_error(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"no Parquet")
    for name, outcome in (("gone.parquet", Outcome.INCONCLUSIVE), ("broken.parquet", Outcome.ERROR)):
        spec = GateSpec("data_quality", {"current": str(tmp_path / name)})
        (verdict,) = run_here(GateJob((spec,), "s", VERSION), Progress(), load_scorer).verdicts
        assert verdict.outcome is outcome
        assert name in verdict.message
