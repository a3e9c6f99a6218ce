"""A guarded store over a real SQLite file, with real model files and keys; what tests do to it in one word."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException
from mlflow_lifecycle.guarded_store import GuardedStore, guarded_store

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.promotion.database import model_uid
from lifecycle.promotion.guard import Guard
from lifecycle.promotion.records import ModelLedger
from lifecycle.registry import tags
from lifecycle.registry.snapshot import ArtifactDigests, digest_of
from lifecycle.signing.jws import sign
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore

GATES = (GateSpec("signature"), GateSpec("drift"))
STAGING = StagePolicy("staging", "Staging", GATES)
PRODUCTION = StagePolicy("production", "Production", GATES, alias="champion")


class Registry:
    """The models ``wine`` (versions 1 and 2, whose files differ), one store, and who may sign.

    Attributes:
        store: As the server has it; :meth:`open` opens it anew, with other policies.
        ci, operator, stranger: Keys: for evidence, for overrides as well, and one that nobody trusts.
        ahead: How far the registry's clock is ahead of this machine's.
    """

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri = uri
        self.folder = folder
        self.ahead = timedelta()
        self.ci, self.operator, self.stranger = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
        self.trust = TrustStore(folder / "trusted.json")
        self.trust.trust(self.ci, "ci", [Permission.EVIDENCE], self.now())
        self.trust.trust(self.operator, "operator", Permission, self.now())
        self.production, self.staging = PRODUCTION, STAGING
        self.store: GuardedStore = self.open()
        self.add("wine", 2)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def open(self, *stages: StagePolicy, **models: ModelPolicy) -> GuardedStore:
        """Open the same database; the stages, by default staging and production, hold for all other models."""
        policies = PolicyBook(ModelPolicy(stages or (self.staging, self.production)), models)
        return self.open_with(policies)

    def open_with(self, policies: PolicyBook) -> GuardedStore:
        guard = Guard(policies, self.trust, self.now)
        self.store = guarded_store(f"lifecycle+{self.uri}", guard, ArtifactDigests().of)
        self.production = next((p for p in policies.default.stages if p.name == "production"), PRODUCTION)
        return self.store

    # Models

    def add(self, model: str, versions: int = 1) -> None:
        """Register a model with that many versions, each with files of its own."""
        self.store.create_registered_model(model)
        for number in range(1, versions + 1):
            self.add_version(model, number)

    def add_version(self, model: str, number: int) -> None:
        folder = self.files(number, model)
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_text(f"flavors: {{}}\nmodel_uuid: {model}-{number}\n")
        self.store.create_model_version(model, folder.as_uri())

    def files(self, version: int = 1, model: str = "wine") -> Path:
        """The folder of a version's files."""
        return self.folder / "models" / model / str(version)

    # What comes in

    def evidence(
        self, version: int = 1, policy: StagePolicy | None = None, model: str = "wine", **change: Any
    ) -> Evidence:
        """All PASSED, on the files as they are now."""
        policy, now = policy or self.production, self.now()
        folder = self.files(version, model)
        return replace(
            Evidence(
                model=model,
                version=version,
                stage=policy.name,
                digest=digest_of(folder) if folder.is_dir() else "0" * 64,
                policy_digest=policy.digest,
                verdicts=tuple(Verdict(g.name, Outcome.PASSED, f"{g.name}.ok", "fine") for g in policy.gates),
                created_at=now,
                expires_at=now + timedelta(days=1),
            ),
            **change,
        )

    def deliver(self, record: Evidence, key: SigningKey | None = None) -> None:
        self.write(tags.EVIDENCE + record.stage, self.signed(record, key), record.version, record.model)

    def signed(self, record: Evidence, key: SigningKey | None = None) -> str:
        return sign(key or self.ci, Permission.EVIDENCE, record.to_json())

    def write(self, key: str, value: str, version: int = 1, model: str = "wine") -> None:
        """Set a tag."""
        self.store.set_model_version_tag(model, version, ModelVersionTag(key, value))

    def ask(self, request: PromotionRequest) -> None:
        self.write(tags.PROMOTION, request.to_json(), request.version, request.model)

    def judge(self, version: int = 1, policy: StagePolicy | None = None, model: str = "wine") -> None:
        """Deliver passing evidence."""
        self.deliver(self.evidence(version, policy, model))

    def promote(self, version: int = 1, policy: StagePolicy | None = None, model: str = "wine") -> None:
        """With passing evidence."""
        policy = policy or self.production
        self.judge(version, policy, model)
        self.ask(PromotionRequest(model, version, policy.name))

    def move(self, version: int = 1, stage: str = "Production", model: str = "wine") -> Any:
        """As MLflow's stage menu does."""
        return self.store.transition_model_version_stage(model, version, stage, False)

    def override(self, version: int = 1, **change: Any) -> None:
        """Deliver an override for production, signed with the operator's key."""
        self.write(tags.PROMOTION, self.signed_override(self.wish(version, **change)), version)

    def wish(self, version: int = 1, **change: Any) -> PromotionRequest:
        """An override as it should be."""
        now = self.now()
        whole = PromotionRequest(
            "wine", version, "production", RequestKind.OVERRIDE, "the shop is down", "ada", key="k1"
        )
        times = {"issued_at": now, "until": now + timedelta(hours=4)}
        return replace(whole, **times | {"digest": digest_of(self.files(version))} | change)

    def signed_override(self, request: PromotionRequest, key: SigningKey | None = None) -> str:
        return sign(key or self.operator, Permission.OVERRIDE, request.to_json())

    def approve(self, user: str, version: int = 1, stage: str = "production", reason: str = "tasted it") -> None:
        with self.signed_in(user):
            self.write(tags.APPROVE + stage, reason, version)

    @contextmanager
    def signed_in(self, user: str) -> Iterator[None]:
        """A request of somebody whom MLflow's auth app has let in."""
        app = flask.Flask("stands in for MLflow's auth app, which leaves the name of whom it let in here")

        def authenticate() -> None:
            raise AssertionError("never called; it is there to be seen")

        authenticate.__module__ = "mlflow.server.auth"
        app.before_request(authenticate)
        with app.test_request_context(headers={"Authorization": "Basic Z3Vlc3M6Z3Vlc3M="}):
            flask.g.mlflow_authenticated_user = user
            yield

    # What is there

    def ledger(self, name: str = "wine") -> tuple[LedgerEntry, ...]:
        model = self.store.get_registered_model(name)
        with self.store.ManagedSessionMaker() as session:
            uid = model_uid("default", name, model.creation_timestamp)
            return ModelLedger(session, uid, name).entries()

    def state(self, name: str = "wine") -> tuple[list[str], dict[str, int]]:
        """Stages of all versions, and where the aliases point."""
        versions = sorted(self.store.search_model_versions(f"name='{name}'"), key=lambda mv: int(mv.version))
        aliases = self.store.get_registered_model(name).aliases
        return [mv.current_stage for mv in versions], {alias: int(version) for alias, version in aliases.items()}

    def shown(self, version: int = 1, model: str = "wine") -> dict[str, str]:
        """A version's tags."""
        found: dict[str, str] = self.store.get_model_version(model, version).tags
        return found

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Behind the guard's back, as somebody who may do everything to the (SQLite) database."""
        with closing(sqlite3.connect(self.uri.removeprefix("sqlite:///"))) as database, database:
            for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f'DROP TRIGGER "{trigger}"')
            return database.execute(statement, values).fetchall()

    def refused(self, call: Callable[..., Any], *args: Any, status: int = 403) -> str:
        """The words of a refusal: one short paragraph, under a 4xx that MLflow's client does not repeat."""
        with pytest.raises(MlflowException) as caught:
            call(*args)
        assert caught.value.get_http_status_code() == status, caught.value
        words: str = caught.value.message
        assert "\n" not in words
        assert len(words) < 400, f"{len(words)} characters: {words}"
        return words


@pytest.fixture
def registry_at(tmp_path: Path) -> Iterator[Callable[[str], Registry]]:
    """A registry in a database that MLflow has laid out."""
    opened: list[Registry] = []

    def at(uri: str) -> Registry:
        opened.append(Registry(uri, tmp_path))
        return opened[-1]

    yield at
    for registry in opened:
        registry.store.engine.dispose()


@pytest.fixture
def registry(tmp_path: Path, empty_database: Path, registry_at: Callable[[str], Registry]) -> Registry:
    return registry_at(f"sqlite:///{shutil.copy(empty_database, tmp_path / 'registry.db')}")


@pytest.fixture
def http(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's own Flask app over our store, without a server."""
    from mlflow.server import app, handlers

    monkeypatch.setattr(handlers, "_get_model_registry_store", lambda: registry.store)
    return app.test_client()
