"""Approvals, queues and environments in lifecycle.yaml: what they mean, and what makes no sense together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifecycle.config.load import load_config
from lifecycle.domain.policy import OnMissing
from lifecycle.errors import ConfigError

STAGES = """
defaults:
  stages:
    staging: {stage: Staging, gates: [signature]}
    production: {stage: Production, alias: champion, after: staging, gates: [signature]%s}
"""
ENVIRONMENT = "\nmodels:\n  prod.wine: {environment: production}\n"


def loaded(folder: Path, text: str) -> Any:
    file = folder / "lifecycle.yaml"
    file.write_text(text)
    return load_config({}, folder, file).policies


def production(folder: Path, more: str) -> Any:
    return loaded(folder, STAGES % f", {more}").of("wine").stage("production")


def test_without_a_word_about_them_nobody_approves_and_nothing_is_queued(tmp_path):
    policy = loaded(tmp_path, STAGES % "").of("wine").stage("production")
    assert (policy.approvals, policy.approvers) == (0, frozenset())
    assert (policy.on_missing, policy.auto_promote) == (OnMissing.REFUSE, False)


def test_approvals_and_approvers(tmp_path):
    policy = production(tmp_path, "approvals: 2, approvers: [grace, linus, margaret]")
    assert (policy.approvals, policy.approvers) == (2, frozenset({"grace", "linus", "margaret"}))
    assert production(tmp_path, "approvals: 1").approvers == frozenset()


def test_queueing(tmp_path):
    policy = production(tmp_path, "on_missing: enqueue, auto_promote: true")
    assert (policy.on_missing, policy.auto_promote) == (OnMissing.ENQUEUE, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("approvals: -1", "greater than or equal to 0"),
        ("approvals: many", "approvals"),
        ("approvers: [grace]", "say how many have to approve"),
        ("approvals: 2, approvers: [grace]", "2 approvals are demanded of only 1 approvers"),
        ("approvals: 2, approvers: [grace, grace]", "2 approvals are demanded of only 1 approvers"),
        ("aprovals: 1", "did you mean 'approvals'"),
        ("on_missing: queue", "on_missing"),
        ("auto_promote: true", "needs on_missing: enqueue"),
        ("auto_promote: true, on_missing: refuse", "needs on_missing: enqueue"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_key(tmp_path, more, said):
    with pytest.raises(ConfigError, match=said) as refused:
        production(tmp_path, more)
    assert str(tmp_path / "lifecycle.yaml") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_environment_stands_for_a_stage_of_the_defaults(tmp_path):
    book = loaded(tmp_path, STAGES % "" + ENVIRONMENT)
    environment = book.of("prod.wine")
    assert environment.environment == "production"
    assert environment.stage("production").alias == "champion"
    assert book.of("wine").environment is None


def test_an_environment_goes_by_the_built_in_stages_where_the_file_has_no_defaults(tmp_path):
    assert loaded(tmp_path, ENVIRONMENT).of("prod.wine").environment == "production"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{environment: prodcution}", "prod.wine: environment 'prodcution' is not a stage of defaults"),
        ("{environment: Production}", "'Production' is not a usable stage name"),
        ("{}", "either stages or an environment"),
        (
            "{environment: production, stages: {staging: {stage: Staging, gates: [signature]}}}",
            "either stages or an environment",
        ),
        ("{environemnt: production}", "did you mean 'environment'"),
    ],
)
def test_an_environment_that_is_none_is_refused(tmp_path, entry, said):
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, STAGES % "" + f"\nmodels:\n  prod.wine: {entry}\n")


def test_only_models_without_an_entry_inherit(tmp_path):
    own = "\nmodels:\n  wine:\n    stages:\n      staging: {stage: Staging, gates: [signature]}\n"
    book = loaded(tmp_path, STAGES % "" + own)
    assert not any(stage.inherited for stage in book.of("wine").stages)
    assert all(stage.inherited for stage in book.of("beer").stages)


def test_a_model_with_an_entry_but_another_letter_case_goes_by_that_entry(tmp_path):
    own = "\nmodels:\n  wine:\n    stages:\n      staging: {stage: Staging, gates: [signature]}\n"
    assert [s.name for s in loaded(tmp_path, STAGES % "" + own).of("Wine").stages] == ["staging"]
