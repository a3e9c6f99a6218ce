"""The ten steps. Each does what a user would do, checks what a user would see, and says what happened."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from lifecycle.cli.demo.scene import MODEL, Scene, demand
from lifecycle.processes.process import wait_until

_PAUSE_S = 0.003
"""Without it the client would take the processor from the gates that the demo is about."""


@dataclass
class Tally:
    """Answers by the version that gave them, and failures by kind."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)


def ask(address: str, body: str) -> tuple[Any, str]:
    """One request on ``/invocations``; returns the predictions and the version that gave them."""
    with _session() as session:
        return _ask(session, address, body)


@contextmanager
def asking(address: str, body: str) -> Iterator[Tally]:
    """Ask some hundred times a second, on one connection kept alive, while the block runs."""
    tally, stop = Tally(), threading.Event()
    thread = threading.Thread(target=_keep_asking, args=(address, body, tally, stop), daemon=True)
    thread.start()
    try:
        yield tally
    finally:
        stop.set()
        thread.join(timeout=60)


def _keep_asking(address: str, body: str, tally: Tally, stop: threading.Event) -> None:
    with _session() as session:
        while not stop.wait(_PAUSE_S):
            try:
                _, version = _ask(session, address, body)
                tally.answers[version] += 1
            except requests.RequestException as exc:
                tally.failures[type(exc).__name__] += 1


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy stands before this machine's own servers
    return session


def _ask(session: requests.Session, address: str, body: str) -> tuple[Any, str]:
    headers = {"Content-Type": "application/json"}
    answer = session.post(f"{address}/invocations", body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()["predictions"], answer.headers.get("X-Lifecycle-Version", "unknown")


SAME = 1e-6
_FOLLOWS_WITHIN_S = 30.0

BAD = (
    (2, "production", "broken", "data_quality"),
    (2, "production", "shifted", "drift"),
    (3, "staging", None, "performance"),
)
"""Version, stage, current data, and the gate that has to say no."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``act`` returns what happened and where to look."""

    title: str
    expected: str
    act: Callable[[Scene], tuple[str, str]]


def start_server(scene: Scene) -> tuple[str, str]:
    """1. The guarded server."""
    import mlflow

    demand(mlflow.MlflowClient().search_registered_models() == [], "the registry is not empty")
    return "up, registry empty", scene.url


def train(scene: Scene) -> tuple[str, str]:
    """2. Training, tracked and registered."""
    import mlflow

    scene.train()
    version = mlflow.MlflowClient().get_model_version(MODEL, "1")
    logged = {f.path for f in mlflow.MlflowClient().list_artifacts(version.run_id, "lifecycle")}
    demand({"lifecycle/reference.parquet", "lifecycle/expectations.json"} <= logged, f"run has only {logged}")
    auc = mlflow.MlflowClient().get_run(version.run_id).data.metrics["roc_auc"]
    scene.train_candidates()
    return f"version 1, ROC AUC {auc:.3f} held out", f"{scene.url}/#/models/{MODEL}"


def refuse_ungated(scene: Scene) -> tuple[str, str]:
    """3. A plain client cannot promote."""
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        client.transition_model_version_stage(MODEL, "1", "Production")
    except MlflowException as exc:
        status, said = exc.get_http_status_code(), exc.message
    else:
        status, said = HTTPStatus.OK, "it went through"
    demand(HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR, f"{status}: {said}")
    demand("lifecycle gate run" in said and "data_quality" in said, f"the refusal says only: {said}")
    demand(client.get_model_version(MODEL, "1").current_stage == "None", "the stage changed all the same")
    return f"{status}: {said}", f"{scene.url}/#/models/{MODEL}/versions/1"


def gate_and_promote(scene: Scene) -> tuple[str, str]:
    """4. Gates, then promotion, staging first."""
    import mlflow

    july = str(scene.data / "july.parquet")
    for stage, extra in (("staging", ()), ("production", ("--current", july))):
        scene.lifecycle("gate", "run", f"models:/{MODEL}/1", "--stage", stage, *extra)
        scene.lifecycle("promote", f"models:/{MODEL}/1", "--stage", stage, "--reason", "first version")
    version = mlflow.MlflowClient().get_model_version(MODEL, "1")
    demand(version.current_stage == "Production", f"version 1 is in {version.current_stage}")
    demand("champion" in version.aliases, f"the alias stayed behind: {version.aliases}")
    return "10 gates PASSED; version 1 in Production, alias champion", f"{scene.url}/#/models/{MODEL}/versions/1"


def serve(scene: Scene) -> tuple[str, str]:
    """5. REST, through MLflow's own command."""
    rows = _rows(scene, 3)
    made = scene.mlflow(*_deploy("rest", "flights", f"models:/{MODEL}/Production"))
    demand("flights is created" in made, made)
    request, answer = scene.home / "rows.json", scene.home / "answer.json"
    rows.to_json(request, orient="records")
    scene.mlflow(
        *("deployments", "predict", "-t", "lifecycle:/rest", "--name", "flights"),
        *("-I", str(request), "-O", str(answer)),
    )
    direct, version = ask(scene.rest, _body(rows))
    demand(json.loads(answer.read_text())["predictions"] == direct, "MLflow's client got another answer")
    demand("flights" in scene.mlflow("deployments", "list", "-t", "lifecycle:/rest"), "list does not show it")
    got = scene.mlflow("deployments", "get", "-t", "lifecycle:/rest", "--name", "flights")
    demand("READY" in got, got)
    _refused_unless_promoted(scene)
    return f"version {version} answers; an unpromoted one is refused, promote=true gates it", scene.rest


def score_batch(scene: Scene) -> tuple[str, str]:
    """6. A month of Parquet."""
    output = scene.home / "july-scored"
    options = ("-C", f"input={scene.data / 'july.parquet'}", "-C", f"output={output}")
    scene.mlflow(*_deploy("batch", "july", f"models:/{MODEL}/Production"), *options)
    manifest = json.loads((output / "_manifest.json").read_text())
    rows_in, out, rejected = (manifest[key] for key in ("rows_in", "rows_out", "rows_rejected"))
    demand(rows_in == out + rejected == len(_month(scene)), f"{rows_in} in, {out} out, {rejected} rejected")
    demand((manifest["model"], manifest["version"]) == (MODEL, 1) and manifest["digest"], str(manifest))
    return f"{rows_in:,} rows in = {out:,} out + {rejected:,} rejected", str(output / "_manifest.json")


def bundle_for_edge(scene: Scene) -> tuple[str, str]:
    """7. A bundle for devices, and one proof for all four."""
    bundle = scene.home / "flights.zip"
    scene.mlflow(*_deploy("edge", "device", f"models:/{MODEL}/Production"), "-C", f"output={bundle}")
    apart = _largest_difference(scene, bundle)
    demand(apart <= SAME, f"the predictions differ by {apart:.2g}")
    return f"notebook, REST, batch and edge gave the same 200 predictions (within {apart:.1g})", str(bundle)


def refuse_bad(scene: Scene) -> tuple[str, str]:
    """8. Three bad candidates, each refused for its own reason."""
    reasons = []
    for version, stage, month, gate in BAD:
        uri = f"models:/{MODEL}/{version}"
        current = ("--current", str(scene.data / f"{month}.parquet")) if month else ()
        said = scene.lifecycle("gate", "run", uri, "--stage", stage, *current, "--json", expect=1)
        verdict = next(v for v in json.loads(said)["verdicts"] if v["gate"] == gate)
        demand(verdict["outcome"] == "FAILED", f"{gate} on {month or 'held-out'} rows: {verdict['outcome']}")
        scene.lifecycle("promote", uri, "--stage", stage, expect=1)
        _, serving = ask(scene.rest, _body(_rows(scene, 1)))
        demand(serving == "1", f"version {serving} answers after the refusal by {gate}")
        reasons.append(f"{gate}: {verdict['message']}".replace(f"{scene.data}/", ""))
    return "\n".join(reasons), f"{scene.url}/#/models/{MODEL}/versions/2"


def promote_under_load(scene: Scene) -> tuple[str, str]:
    """9. Version 2 takes over while a client goes on asking."""
    uri, body = f"models:/{MODEL}/2", _body(_rows(scene, 1))
    with asking(scene.rest, body) as tally:
        scene.lifecycle(
            "gate", "run", uri, "--stage", "production", "--current", str(scene.data / "august.parquet")
        )
        scene.lifecycle("promote", uri, "--stage", "production", "--reason", "August looks good")
        wait_until(lambda: tally.answers["2"] > 0, _FOLLOWS_WITHIN_S, "version 2 answers")
    failed, counts = tally.failures.total(), dict(tally.answers)
    demand(failed == 0, f"{failed} requests failed: {dict(tally.failures)}")
    demand(set(counts) == {"1", "2"}, f"answers came from {counts}")
    return f"requests failed: 0 of {sum(counts.values()):,}; by version {counts}", scene.rest


def roll_back(scene: Scene) -> tuple[str, str]:
    """10. Back, and the record of it all."""
    scene.lifecycle("rollback", MODEL, "--reason", "complaints since this morning")
    body = _body(_rows(scene, 1))
    wait_until(lambda: ask(scene.rest, body)[1] == "1", _FOLLOWS_WITHIN_S, "version 1 answers again")
    entries = json.loads(scene.lifecycle("history", MODEL, "--json"))
    moves = [e for e in entries if e["stage"] == "production" and e["action"] != "REFUSED"]
    shown = [(e["action"], e["version"]) for e in moves]
    demand(shown == [("PROMOTED", 1), ("PROMOTED", 2), ("ROLLED_BACK", 1)], f"the history shows {shown}")
    demand(all(e["evidence_id"] and e["digest"] and e["reason"] for e in moves), "the history lacks evidence")
    return f"version 1 answers again; {len(entries)} entries in the ledger", f"lifecycle history {MODEL}"


STEPS = (
    Step("A guarded MLflow server", "up", start_server),
    Step("mlflow run projects/flights", "version 1 registered, reference rows and suite logged", train),
    Step("A plain client promotes version 1", "refused, 4xx, says which command to run", refuse_ungated),
    Step("lifecycle gate run, lifecycle promote", "version 1 in Production, alias along", gate_and_promote),
    Step("mlflow deployments create -t lifecycle:/rest", "answers; refuses what is not promoted", serve),
    Step("mlflow deployments create -t lifecycle:/batch", "rows in = rows out + rejected", score_batch),
    Step("mlflow deployments create -t lifecycle:/edge", "same predictions everywhere", bundle_for_edge),
    Step("Three bad candidates", "each refused for its own reason, serving unchanged", refuse_bad),
    Step("Version 2 promoted under load", "switches over, no failed request", promote_under_load),
    Step("lifecycle rollback, lifecycle history", "version 1 answers again", roll_back),
)


def _refused_unless_promoted(scene: Scene) -> None:
    from mlflow.exceptions import MlflowException

    scene.candidates.result()
    second = _deploy("rest", "second", f"models:/{MODEL}/2")
    try:
        scene.mlflow(*second)
    except MlflowException as exc:
        demand("promote=true" in exc.message, exc.message)
    else:
        demand(False, "a version that is not promoted was deployed")
    scene.mlflow(*second, "-C", "stage=staging", "-C", "promote=true")


def _deploy(target: str, name: str, uri: str) -> tuple[str, ...]:
    return ("deployments", "create", "-t", f"lifecycle:/{target}", "--name", name, "-m", uri)


def _month(scene: Scene) -> Any:
    import pandas as pd

    return pd.read_parquet(scene.data / "july.parquet").drop(columns="late")


def _rows(scene: Scene, count: int) -> Any:
    return _month(scene).head(count)


def _body(rows: Any) -> str:
    return f'{{"dataframe_split": {rows.to_json(orient="split", index=False)}}}'


def _largest_difference(scene: Scene, bundle: Path) -> float:
    """The most that any two of the four ways to score the same 200 rows differ by."""
    import mlflow
    import numpy as np
    import pyarrow.dataset as ds

    rows = _rows(scene, 200)
    notebook = mlflow.pyfunc.load_model(f"models:/{MODEL}/Production").predict(rows)
    rest = np.array(ask(scene.rest, _body(rows))[0])
    batch = (
        ds.dataset(scene.home / "july-scored", format="parquet")
        .head(200)
        .to_pandas()[["prediction_0", "prediction_1"]]
    )
    edge = np.array(_run_bundle(bundle, rows))
    ways = [np.asarray(w, dtype=float) for w in (notebook, rest, batch, edge)]
    return max(float(np.abs(a - b).max()) for a in ways for b in ways)


def _run_bundle(bundle: Path, rows: Any) -> Any:
    """Score with the runner inside the bundle, in an isolated process."""
    import zipfile

    runner = bundle.with_suffix(".run.py")
    with zipfile.ZipFile(bundle) as archive:
        runner.write_bytes(archive.read("run.py"))
    done = subprocess.run(
        [sys.executable, "-I", str(runner), str(bundle)],
        input=_body(rows).encode(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    demand(done.returncode == 0, done.stderr.decode()[-300:])
    return json.loads(done.stdout)["predictions"]
