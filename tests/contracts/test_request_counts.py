"""How many HTTP requests a promotion and a gate run make at a real guarded server.

The gates themselves are stood in for: they ask the registry nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from mlflow import MlflowClient

from lifecycle.assembly import load_settings
from lifecycle.domain.model import ModelRef
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.run import GateJob, GateResults, Progress
from lifecycle.promotion.gate_runner import GateRunner
from lifecycle.promotion.promoter import Promoter
from lifecycle.registry.location import Location
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.signing.local_key import own_key, trust_store
from lifecycle.stack import start_server, stop_server
from tests.contracts.test_registries import now, version_folder

pytestmark = pytest.mark.slow

POLICY = """
models:
  wine:
    stages:
      production: {stage: Production, alias: champion, gates: [signature, safety]}
"""
A_PROMOTION, A_GATE_RUN = 5, 12
ARTIFACTS = "/api/2.0/mlflow-artifacts/"
ASKED_ONCE = (
    "GET /api/2.0/mlflow/model-versions/get-download-uri",  # where a version's files are, and which the run has
    "GET /api/2.0/mlflow/runs/get",
    "POST /api/2.0/mlflow/logged-models/search",
    "POST /api/2.0/mlflow/experiments/create",
    "GET /api/3.0/mlflow/server-info",  # by MLflow's own client, once in a process that transfers artifacts
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("counted")
    (root / "lifecycle.yaml").write_text(POLICY)
    return root


@pytest.fixture(scope="module")
def url(root: Path) -> Iterator[str]:
    """Artifacts go through the server, as they do where clients have no access to its disk."""
    try:
        url = start_server(root, root / "lifecycle.yaml").url
        client = MlflowClient(url, url)
        client.create_registered_model("wine")
        experiment = client.create_experiment("training")
        for number in (1, 2):
            run = client.create_run(experiment)
            client.log_artifacts(run.info.run_id, str(version_folder(root, number)), "model")
            for name, text in (("reference.parquet", "rows"), ("expectations.json", "{}"), ("track.json", "{}")):
                client.log_text(run.info.run_id, text, f"lifecycle/{name}")
            source = f"{run.info.artifact_uri}/model"
            client.create_model_version("wine", source, run.info.run_id, await_creation_for=None)
        yield url
    finally:
        stop_server(root)


@pytest.fixture
def fresh(url: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], MlflowRegistry]:
    """Makes what a new process would have, with the same home."""
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(root / "lifecycle.yaml"))
    monkeypatch.setenv("LIFECYCLE_HOME", str(root))
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # as lifecycle.assembly has it
    policies, trust = load_settings().policies, trust_store(root, {})
    signer = EvidenceSigner(lambda: own_key(root, {}, trust, now()), trust)
    snapshots = SnapshotStore(root / "client" / "snapshots")
    return lambda: MlflowRegistry(Location(url, url), snapshots, policies, now, signer)


def judged(job: GateJob, _progress: Progress) -> GateResults:
    return GateResults(tuple(Verdict(g.name, Outcome.PASSED, f"{g.name}.ok", "fine") for g in job.gates), {})


def gate_run(registry: MlflowRegistry, version: int) -> None:
    runner = GateRunner(registry, load_settings().policies, judged, now, "ada")
    runner.run(ModelRef("wine", version=version), "production")


def promote(registry: MlflowRegistry, version: int) -> None:
    promoter = Promoter(registry, load_settings().policies, lambda _: None, "ada", now)
    promoter.promote(ModelRef("wine", version=version), "production")


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every request of this process, as method and path."""
    made: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def counting(self: object, request: requests.PreparedRequest, *args: object, **kwargs: object) -> object:
        made.append(f"{request.method} {urlsplit(str(request.url)).path}")
        return send(self, request, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(requests.adapters.HTTPAdapter, "send", counting)
        yield made


def test_gate_runs_and_promotions_make_few_requests(fresh, monkeypatch):
    with counted(monkeypatch) as first_run:
        gate_run(fresh(), 1)
    fetched = [one for one in first_run if one.startswith(f"GET {ARTIFACTS}") or one in ASKED_ONCE]
    assert fetched
    assert len(first_run) - len(fetched) <= A_GATE_RUN, "\n".join(first_run)
    with counted(monkeypatch) as promotion:
        promote(fresh(), 1)
    assert len(promotion) <= A_PROMOTION, "\n".join(promotion)
    gate_run(fresh(), 2)
    with counted(monkeypatch) as again:
        gate_run(fresh(), 2)
    assert [one for one in again if one.startswith(f"GET {ARTIFACTS}")] == []
    assert len(again) <= A_GATE_RUN, "\n".join(again)
    with counted(monkeypatch) as promotion:
        promote(fresh(), 2)
    assert len(promotion) <= A_PROMOTION, "\n".join(promotion)
