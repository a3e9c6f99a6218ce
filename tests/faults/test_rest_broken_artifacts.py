"""Whatever a new version is broken in, the old one goes on answering, and somebody is told why, in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.domain.deployment import Status
from lifecycle.errors import LifecycleError
from lifecycle.processes.process import owned_by_me, wait_until
from lifecycle.serving.control import read_desired, read_observed
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import folder_context
from tests.faults.asking import answer_of, processes_of, request_of, workers_of
from tests.faults.broken_models import (
    COMPILED,
    LOADERS,
    PREDICTS,
    SNAPSHOTS,
    with_code,
    with_compiled,
    with_snapshot,
)
from tests.proof import some

pytestmark = pytest.mark.slow

# A few cases of each kind in make test: every one costs a process, and those that load MLflow seconds.
SLOW = {"timeout_s": "10"}  # for those that never end
SMALL = {"timeout_s": "60", "model_memory_mb": "1500"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        yield tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def old(home, lifecycle_models):
    """What answers, and goes on answering."""
    target, model = RestTarget(folder_context(home)), lifecycle_models[0]
    deployed = target.deploy(model.spec("flights", {"timeout_s": "60"}))
    request = request_of(model.rows)
    yield target, request, answer_of(deployed.address, request), processes_of(home)
    target.undeploy("flights")


@pytest.fixture
def new(lifecycle_models):
    return lifecycle_models[1].spec("flights", {"timeout_s": "60"})


def refused(home, old, spec) -> str:
    """Try to deploy it: the line that says why not, when nothing else has changed."""
    target, request, answer, processes = old
    with pytest.raises(LifecycleError) as told:
        target.deploy(spec)
    deployed = target.describe("flights")
    assert (deployed.status, deployed.version) == (Status.READY, answer[0])
    assert answer_of(deployed.address, request) == answer
    folder = home / "deployments" / "rest" / "flights"
    wait_until(lambda: read_observed(folder).generation == read_desired(folder).generation, 20, "it is back")
    wait_until(lambda: processes_of(home).keys() == processes.keys(), 5, "nothing is left over")
    text = str(told.value)
    assert len(text) < 600
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("damage", some(SNAPSHOTS, "truncated", "MLmodel removed", "a file linked"))
def test_a_snapshot_that_was_changed(home, old, new, tmp_path, damage):
    assert "snapshot" in refused(home, old, with_snapshot(new, SNAPSHOTS[damage], tmp_path)) or damage == "gone"


@pytest.mark.parametrize("damage", some(COMPILED, "truncated onnx", "manifest.json not UTF-8", "gone"))
def test_a_compiled_form_that_was_changed(home, old, new, tmp_path, damage):
    refused(home, old, with_compiled(new, COMPILED[damage], tmp_path))


@pytest.mark.parametrize("damage", some(LOADERS, "segfault", "exit 0", "eats memory"))
def test_a_model_that_misbehaves_when_it_is_loaded(home, old, new, tmp_path, damage):
    spec = with_code(new, tmp_path, load=LOADERS[damage])
    if damage in ("loops", "sleeps"):
        spec = replace(spec, options=SLOW)
    if damage == "eats memory":
        spec = replace(spec, options=SMALL)
    text = refused(home, old, spec)
    assert "0123456789" not in text


@pytest.mark.parametrize("damage", some(PREDICTS, "one prediction too few"))
def test_a_model_that_cannot_score_its_own_example(home, old, new, tmp_path, damage):
    refused(home, old, with_code(new, tmp_path, predict=PREDICTS[damage]))


def test_after_all_that_a_good_version_comes_up(home, old, new):
    target, _, answer, _ = old
    before = workers_of(home)
    assert target.deploy(new).version == new.version != answer[0]
    assert workers_of(home) == before
