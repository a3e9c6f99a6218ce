"""lifecycle.yaml: what it means, and what its errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.config.load import load_config
from lifecycle.domain.policy import GateSpec
from lifecycle.errors import ConfigError

GOOD = """
models:
  flights-delay:
    stages:
      staging: {stage: Staging, gates: [signature]}
      production:
        stage: Production
        alias: champion
        after: staging
        max_age_days: 2
        gates:
          - signature
          - drift: {max_drifted_share: 0.2}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "lifecycle.yaml"
    path.write_text(text)
    return path


def loaded(folder: Path, text: str):
    return load_config({}, folder, written(folder, text))


def test_a_file_becomes_the_policy_of_its_models(tmp_path):
    production = loaded(tmp_path, GOOD).policies.of("flights-delay").stage("production")
    assert (production.stage, production.alias, production.after) == ("Production", "champion", "staging")
    assert production.gates == (GateSpec("signature"), GateSpec("drift", {"max_drifted_share": 0.2}))
    assert production.max_age.days == 2


def test_where_data_lies_starts_from_the_files_folder_and_a_query_stands_for_itself(tmp_path):
    query = "${WAREHOUSE}::SELECT 1"
    policy = loaded(
        tmp_path,
        f"""
defaults:
  reference: held_out.parquet
  stages:
    staging:
      stage: Staging
      max_attempts: 3
      gates: [data_quality: {{current: "data/*.csv", suite: suite.json}}, drift: {{current: "{query}"}}]
""",
    ).policies.default
    (staging,) = policy.stages
    assert policy.reference == str(tmp_path / "held_out.parquet")
    assert staging.max_attempts == 3
    assert [dict(gate.options) for gate in staging.gates] == [
        {"current": str(tmp_path / "data/*.csv"), "suite": str(tmp_path / "suite.json")},
        {"current": query},
    ]


def test_without_a_reference_of_its_own_a_model_is_compared_with_what_its_run_tracked(tmp_path):
    assert loaded(tmp_path, GOOD).policies.of("flights-delay").reference is None
    assert (
        loaded(tmp_path, GOOD.replace("    stages:", "    reference: run\n    stages:", 1))
        .policies.of("flights-delay")
        .reference
        is None
    )


def test_a_model_without_an_entry_gets_the_built_in_policy(tmp_path):
    other = loaded(tmp_path, GOOD).policies.of("other")
    assert [(s.name, s.stage) for s in other.stages] == [("staging", "Staging"), ("production", "Production")]
    assert other.stage("production").alias == "champion"
    assert {g.name for g in other.stage("production").gates} == {
        *("signature", "safety", "data_quality", "drift", "performance")
    }


def test_without_any_file_the_built_in_policy_holds(tmp_path):
    config = load_config({}, tmp_path)
    assert config.file is None
    assert config.policies.of("anything").guarding_alias("champion") is not None


def test_the_file_is_found_upward_and_the_environment_beats_it(tmp_path):
    above, named = written(tmp_path, GOOD), tmp_path / "other.yaml"
    named.write_text("models: {}")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert load_config({}, below).file == above
    assert load_config({"LIFECYCLE_CONFIG": str(named)}, below).file == named
    assert load_config({"LIFECYCLE_CONFIG": str(named)}, below, explicit=above).file == above


def test_home_comes_from_the_environment(tmp_path):
    assert load_config({"LIFECYCLE_HOME": str(tmp_path / "h")}, tmp_path).home == tmp_path / "h"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles: {}", ["unknown key 'modles'", "did you mean 'models'"]),
        (GOOD.replace("alias:", "alais:"), ["models.flights-delay.stages.production", "'alais'", "'alias'"]),
        (GOOD.replace("stage: Production", "stage: Canary"), ["stages.production.stage", "Production"]),
        (GOOD.replace("after: staging", "after: stagign"), ["'stagign'", "not a stage here"]),
        (GOOD.replace("stage: Staging,", "stage: Staging, after: production,"), ["circle"]),
        (GOOD.replace("stage: Staging", "stage: Production"), ["share one stage"]),
        (GOOD.replace("max_age_days: 2", "max_age_days: 0"), ["max_age_days", "greater than 0"]),
        (GOOD.replace("gates: [signature]", "gates: []"), ["gates"]),
        (GOOD.replace("- signature", "- {signature: {}, drift: {}}"), ["gates", "a gate is a name"]),
        (GOOD.replace("staging:", "history:"), ["'history'", "usable stage name"]),
        (GOOD.replace("staging:", "Staging:"), ["'Staging'", "usable stage name"]),
        ("models: [", ["line", "YAML"]),
        ("- a", ["should be a valid dictionary"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_errors_name_the_file_the_key_and_the_nearest_known_key(tmp_path, text, said):
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text)
    message = str(refused.value)
    assert str(tmp_path / "lifecycle.yaml") in message
    assert "\n" not in message
    for words in said:
        assert words in message


def test_a_file_that_is_named_and_missing_is_an_error_and_never_the_built_in_policy(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config({"LIFECYCLE_CONFIG": str(tmp_path / "gone.yaml")}, tmp_path)


def test_where_the_current_data_lies_is_no_demand(tmp_path):
    def digest(source):
        text = GOOD.replace("max_drifted_share: 0.2", f"max_drifted_share: 0.2, current: {source}")
        return loaded(tmp_path, text).policies.of("flights-delay").stage("production").digest

    assert digest("monday.parquet") == digest("tuesday.parquet")


def test_a_relative_path_of_current_data_starts_from_the_file(tmp_path):
    text = GOOD.replace("max_drifted_share: 0.2", "current: data/july.parquet")
    drift = loaded(tmp_path, text).policies.of("flights-delay").stage("production").gates[1]
    assert drift.options["current"] == str(tmp_path / "data" / "july.parquet")


def test_a_changed_threshold_is_another_policy(tmp_path):
    def digest(share):
        text = GOOD.replace("0.2", str(share))
        return loaded(tmp_path, text).policies.of("flights-delay").stage("production").digest

    assert digest(0.2) != digest(0.3)
