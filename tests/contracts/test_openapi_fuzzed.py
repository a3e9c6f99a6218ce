"""What /openapi.json promises, held against what the server does: thousands of requests made up from it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from lifecycle.scoring.signature import Column
from tests.proof import FULL, rounds
from tests.serving_here import Model, echo, mixed, numbers, serving

pytestmark = pytest.mark.slow

EXAMPLES, ACCEPTED = rounds(200, 2), rounds(500, 10)


def narrow() -> Model:
    """The types with limits."""
    inputs = (
        Column("small", "integer"),
        Column("short", "float"),
        Column("large", "long"),
        Column("text", "string"),
    )
    return Model(inputs, lambda rows: rows["large"], (Column("", "long"),))


MODELS = {"mixed": mixed(), "echo": echo(), "narrow": narrow(), "numbers": numbers()}
FUZZED = tuple(MODELS) if FULL else ("mixed", "echo")
PATHS = rf"^(?!/(v1/|v2/|v2/repository/)?models/)|/models/({'|'.join(FUZZED)})([/:]|$)"


@pytest.fixture(scope="module")
def here():
    with serving(MODELS) as here:
        yield here


@pytest.fixture(scope="module")
def document(here) -> dict[str, Any]:
    return here.ask("GET", "/openapi.json").json


@pytest.mark.timeout(1500)
def test_no_request_breaks_it_and_every_answer_is_as_documented(here, tmp_path, record_property):
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"http://{here.address}/openapi.json"),
            *("--exclude-path", "/metrics"),  # nobody counts in this process
            *("--include-path-regex", PATHS),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1"),
            # Columns of one length, and as many values as a shape says, are beyond a schema: see the next test.
            *("--exclude-checks", "positive_data_acceptance", "--no-color", "--suppress-health-check", "all"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=1200,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:]
    generated = int(re.search(r"([\d,]+) generated", run.stdout).group(1).replace(",", ""))
    record_property("requests", generated)
    assert generated > 500


SCORING = ["/models/{}/invocations", "/v2/models/{}/infer", "/v1/models/{}:predict"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("path", SCORING)
def test_rows_as_documented_are_scored(here, document, path, model):
    operation = schemathesis.openapi.from_dict(document)[path.format(model)]["POST"]
    names, statuses = here.state.releases.get(model).signature.names, []

    @settings(
        max_examples=ACCEPTED,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def ask(case):
        if case.media_type != "application/json":
            return
        body = fitting(case.body, names)
        answer = here.ask("POST", path.format(model), body)
        statuses.append(answer.status)
        assert answer.status == 200, (body, answer.body)

    ask()
    assert len(statuses) >= ACCEPTED / 5


def fitting(body: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The same with columns of one length, and shapes that say how long they are."""
    inputs, split = body.get("inputs"), body.get("dataframe_split")
    if split:
        return {"dataframe_split": {name: value for name, value in split.items() if name != "index"}}
    if isinstance(inputs, dict):
        columns = {name: inputs[name] for name in names if name in inputs}
        columns = {name: values if isinstance(values, list) else [values] for name, values in columns.items()}
        rows = min(map(len, columns.values()))
        return body | {"inputs": {name: values[:rows] for name, values in columns.items()}}
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], dict) and "datatype" in inputs[0]:
        width = 2 if inputs[0]["name"] == "input-0" else 1
        rows = max(min(len(tensor["data"]) for tensor in inputs) // width, 1)
        shape = [rows, width] if width > 1 else [rows]
        made = [tensor | {"data": (tensor["data"] * width)[: rows * width], "shape": shape} for tensor in inputs]
        return unasked(body | {"inputs": made})
    return body


def unasked(body: dict[str, Any]) -> dict[str, Any]:
    """Without what may ask for the impossible: an output twice, or a time that is over."""
    made = {name: value for name, value in body.items() if name not in ("outputs", "parameters")}
    made["inputs"] = [{k: v for k, v in tensor.items() if k != "parameters"} for tensor in made["inputs"]]
    return made
