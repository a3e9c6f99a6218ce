"""A model with four versions in a guarded registry, and everything that has to be true of it at any moment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from lifecycle.codec import decode
from lifecycle.domain.ledger import LedgerEntry, broken_links
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.registry import tags
from lifecycle.registry.location import Location
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.snapshot import SnapshotStore, digest_of
from lifecycle.signing.local_key import own_key, trust_store
from tests.databases import answers

VERSIONS = (1, 2, 3, 4)
GATES = (GateSpec("signature"),)
STAGING = StagePolicy("staging", "Staging", GATES, alias="challenger")
PRODUCTION = StagePolicy("production", "Production", GATES, alias="champion")
POLICIES = PolicyBook(ModelPolicy((STAGING, PRODUCTION)))
State: TypeAlias = dict[str, list[tuple[Any, ...]]]
WRITTEN = {
    "stages": "SELECT version, current_stage FROM model_versions",
    "aliases": "SELECT alias, version FROM registered_model_aliases",
    "ledger": "SELECT sequence, entry FROM lifecycle_ledger",
    "heads": "SELECT sequence, hash FROM lifecycle_heads",
    "tags": "SELECT * FROM model_version_tags",
    "evidence": "SELECT id, signed FROM lifecycle_evidence",
    "queue": "SELECT id, request FROM lifecycle_queue",
}
YAML = """
defaults:
  stages:
    staging: {stage: Staging, alias: challenger, gates: [signature]}
    production: {stage: Production, alias: champion, gates: [signature]}
"""


@dataclass(frozen=True)
class Wine:
    """The model in one database.

    Attributes:
        home: Keys, policy and model files.
        uri: Of the database, without the guard.
    """

    home: Path
    uri: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find keys and policy."""
        return {
            "LIFECYCLE_HOME": str(self.home),
            "LIFECYCLE_CONFIG": str(self.home / "lifecycle.yaml"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def registry(self) -> MlflowRegistry:
        """Through the guard in this very process."""
        location = Location(self.uri, f"lifecycle+{self.uri}")
        return MlflowRegistry(location, SnapshotStore(self.home / "snapshots"), POLICIES, now, self.signer())

    def signer(self) -> EvidenceSigner:
        """With the key of the home."""
        trust = trust_store(self.home, {})
        return EvidenceSigner(lambda: own_key(self.home, {}, trust, now()), trust)

    def prepare(self) -> None:
        """Four versions with evidence for every stage; 1 is in Production, 2 in Staging."""
        from mlflow import MlflowClient

        (self.home / "lifecycle.yaml").write_text(YAML)
        os.environ.update(self.environment)
        client = MlflowClient(self.uri, f"lifecycle+{self.uri}")
        client.create_registered_model("wine")
        for version in VERSIONS:
            folder = self.home / "models" / str(version)
            folder.mkdir(parents=True)
            (folder / "MLmodel").write_text(f"version: {version}\n")
            client.create_model_version("wine", folder.as_uri(), await_creation_for=None)
            for policy in POLICIES.default.stages:
                text = self._signed(version, policy, digest_of(folder))
                client.set_model_version_tag("wine", str(version), tags.EVIDENCE + policy.name, text)
        self.restore()

    def restore(self) -> None:
        """1 is in Production, 2 in Staging, again."""
        registry = self.registry()
        registry.promote(PromotionRequest("wine", 1, "production"))
        registry.promote(PromotionRequest("wine", 2, "staging"))

    def ledger(self) -> list[LedgerEntry]:
        """As it lies in the database."""
        return _entries(self.state())

    def state(self) -> State:
        """Everything in the database that a promotion writes."""
        return answers(self.uri, WRITTEN)

    def check_whole(self) -> int | None:
        """Stages, aliases, ledger, head and the history that is shown tell one story.

        Returns:
            The version in Production.
        """
        state = self.state()
        entries = _entries(state)
        assert broken_links(entries) == []
        assert state["heads"] == [(entries[-1].sequence, entries[-1].hash)]
        assert list(self.registry().history("wine")) == entries
        held = {
            stage: [v for v, where in state["stages"] if where == stage] for stage in ("Staging", "Production")
        }
        assert all(len(versions) <= 1 for versions in held.values()), held
        aliases = {"challenger": held["Staging"], "champion": held["Production"]}
        assert state["aliases"] == [(alias, versions[0]) for alias, versions in aliases.items() if versions]
        moved = [entry.version for entry in entries if entry.moved and entry.stage == "production"]
        assert held["Production"] == moved[-1:]
        return held["Production"][0] if held["Production"] else None

    def _signed(self, version: int, policy: StagePolicy, digest: str) -> str:
        verdicts = (Verdict("signature", Outcome.PASSED, "signature.ok", "fine"),)
        times = now(), now() + timedelta(days=1)
        evidence = Evidence("wine", version, policy.name, digest, policy.digest, verdicts, *times)
        return self.signer().sign_evidence(evidence)


def _entries(state: State) -> list[LedgerEntry]:
    return [decode(LedgerEntry, text) for _, text in state["ledger"]]


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)
