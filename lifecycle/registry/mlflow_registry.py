"""MLflow's model registry, through MLflow's own client: guarded or plain, over HTTP or in process."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from mlflow.tracking._model_registry.client import ModelRegistryClient

from lifecycle.domain.deployment import RELEASED
from lifecycle.domain.gate_queue import Claim, QueuedGates
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.model import (
    ModelRef,
    ModelState,
    ModelVersion,
    Snapshot,
    TrackedData,
    check_model_name,
    is_model_name,
)
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import NotFound, NotTrusted, Unavailable, unknown
from lifecycle.registry import tags
from lifecycle.registry.contract import version_meant
from lifecycle.registry.location import Location, check_present, check_reachable
from lifecycle.registry.mlflow_runs import GateRunLog
from lifecycle.registry.mlflow_versions import (
    all_versions,
    fingerprint,
    in_our_words,
    lease_plainly,
    ledger_of,
    queued_gates,
    translated,
)
from lifecycle.registry.plain_promotion import PlainRegistry
from lifecycle.registry.signer import EvidenceSigner, check_attestation
from lifecycle.registry.snapshot import SnapshotStore, incoming_folder, settle
from lifecycle.registry.tags import described

_LOG = logging.getLogger(__name__)
_TRACKED = "lifecycle"
_TRACKED_FILES = ("reference.parquet", "expectations.json", "track.json")
_MODELS_TO_LIST = 100
_PROBED = ("PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_RUN_ID = re.compile(r"[A-Za-z0-9]{1,64}")


class MlflowRegistry:
    """The only caller of MLflow's client."""

    def __init__(
        self,
        location: Location,
        snapshots: SnapshotStore,
        policies: PolicyBook,
        clock: Callable[[], datetime],
        signer: EvidenceSigner,
    ) -> None:
        self._tracking_uri = location.tracking_uri
        self._registry_uri = location.registry_uri
        self._snapshots = snapshots
        self._policies = policies
        self._clock = clock
        self._signer = signer
        self._guarded: bool | None = None

    @property
    def guarded(self) -> bool:
        """Whether the registry has the guard. Asked once; nothing is changed by that."""
        with self._mlflow():
            return self._has_guard("lifecycle-guard-probe", 1)

    def get(self, ref: ModelRef) -> ModelVersion:
        """The version that ``ref`` means now."""
        return version_meant(ref, self.versions(ref.name), self._policies.of(ref.name))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """All versions, oldest first."""
        with self._mlflow() as client:
            aliases = self._aliases(client, model)
            return in_our_words(all_versions(client, model), aliases)

    def snapshot(self, version: ModelVersion, digest: str | None = None) -> Snapshot:
        """An immutable local copy of the version's files."""

        def download(folder: Path) -> None:
            """The version's own files; a ``models:/`` URI would add a file of MLflow's."""
            with self._mlflow():
                uri = self._models.get_model_version_download_uri(version.model, str(version.version))
                store = get_artifact_repository(uri, self._tracking_uri, self._registry_uri)
                store.download_artifacts("", str(folder))

        found = self._snapshots.obtain(version.uri, download, digest)
        if digest is None:
            self._snapshots.remember(self._source(version.uri), found.digest)
        return found

    def fetched(self, version: ModelVersion) -> Snapshot:
        """A snapshot without downloading, if it is here."""
        return self._snapshots.remembered(self._source(version.uri)) or self.snapshot(version)

    def tracked(self, version: ModelVersion) -> TrackedData | None:
        """What ``lifecycle.track()`` logged, or None. Cached by run id, as artifacts are written once."""
        if version.run_id is None or not _RUN_ID.fullmatch(version.run_id):
            return None
        folder = self._snapshots.root / "tracked" / version.run_id
        if not folder.is_dir() and not self._fetch_tracked(version.run_id, folder):
            return None
        label = json.loads((folder / "track.json").read_text(encoding="utf-8")).get("label")
        return TrackedData(folder / "reference.parquet", folder / "expectations.json", label)

    def publish(self, evidence: Evidence, documents: Mapping[str, str]) -> Evidence:
        """Deliver evidence. Without a guard this also shows the verdicts in tags and description."""
        name, number = evidence.model, str(evidence.version)
        with self._mlflow():
            recorded = replace(evidence, run_id=self._runs.log(evidence, documents))
            try:
                self._models.set_model_version_tag(
                    name, number, tags.EVIDENCE + evidence.stage, self._signer.sign_evidence(recorded)
                )
            except MlflowException as exc:
                if tags.OTHER_FILES in exc.message:  # they were fetched before they were changed
                    self._snapshots.remember(self._source(f"models:/{name}/{number}"), None)
                if exc.error_code == "RESOURCE_DOES_NOT_EXIST":  # the version was deleted meanwhile
                    self._client.delete_run(recorded.run_id)
                raise
            if not self._has_guard(name, evidence.version):
                summary = tags.summary(recorded)
                self._models.set_model_version_tag(name, number, tags.SUMMARY + evidence.stage, summary)
                shown = self._models.get_model_version(name, number).description or ""
                self._models.update_model_version(name, number, described(shown, recorded))
        return recorded

    def attach(self, evidence: Evidence, documents: Mapping[str, str]) -> None:
        """Add reports to the MLflow run of published evidence."""
        if evidence.run_id:
            with self._mlflow():
                self._runs.attach(evidence.run_id, documents)

    def evidence(self, version: ModelVersion) -> Sequence[Evidence]:
        """The newest evidence of each stage, for display."""
        with self._mlflow():
            return tags.evidence_in(self._models.get_model_version(version.model, str(version.version)).tags)

    def promote(self, request: PromotionRequest) -> LedgerEntry:
        """Move a version to a stage, once. MLflow's client may repeat the request, so it always has a key."""
        request = replace(request, key=request.key or uuid4().hex)
        check_model_name(request.model)
        with self._mlflow() as client:
            if not self._has_guard(request.model, request.version):
                return self._promote_plainly(client, request)
            override = request.kind is RequestKind.OVERRIDE
            text = self._signer.sign_override(request) if override else request.to_json()
            self._models.set_model_version_tag(request.model, str(request.version), tags.PROMOTION, text)
            version = self._models.get_model_version(request.model, str(request.version))
        return _outcome(request, tags.history_of(version.tags))

    def approve(self, version: ModelVersion, stage: str, reason: str) -> LedgerEntry:
        """Approve a version for a stage as the authenticated user."""
        policy = self._policies.of(version.model).stage(stage)
        with self._mlflow():
            if not self._has_guard(version.model, version.version):
                raise NotTrusted("this registry has no guard, so approvals are not possible")
            number = str(version.version)
            self._models.set_model_version_tag(version.model, number, tags.APPROVE + policy.name, reason)
            entries = tags.history_of(self._models.get_model_version(version.model, number).tags)
        return [e for e in entries if e.action is Action.APPROVED and e.stage == policy.name][-1]

    def history(self, model: str) -> Sequence[LedgerEntry]:
        """The model's ledger, oldest first. A very long one has gaps."""
        with self._mlflow() as client:
            self._aliases(client, model)
            return ledger_of(all_versions(client, model))

    def models(self) -> Sequence[str]:
        """Names of the most recently changed models, without names that a ``models:/`` URI cannot hold."""
        with self._mlflow() as client:
            order = ["last_updated_timestamp DESC"]
            found = client.search_registered_models(max_results=_MODELS_TO_LIST, order_by=order)
            return [model.name for model in found if is_model_name(model.name)]

    def state(self, model: str) -> ModelState:
        """Versions and history of a model at one moment, in two requests."""
        with self._mlflow() as client:
            aliases = self._aliases(client, model)
            found = all_versions(client, model)
        shown = {int(mv.version): mv.tags for mv in found}
        return ModelState(
            model,
            in_our_words(found, aliases),
            ledger_of(found),
            lambda version: tags.evidence_in(shown.get(version, {})),
        )

    def etag(self, model: str) -> str:
        """Change token of :meth:`state`, in one request."""
        with self._mlflow():
            return fingerprint(self._models.get_registered_model(check_model_name(model)))

    def verify(self, version: ModelVersion, move: LedgerEntry) -> None:
        """Check that a version's move is signed by a key trusted here."""
        with self._mlflow():
            shown = self._models.get_model_version(version.model, str(version.version)).tags
        copied = self._policies.of(version.model).environment is not None
        check_attestation(shown.get(tags.PROOF + move.stage, ""), move, copied, self._signer.trust)

    def queued(self) -> Sequence[QueuedGates]:
        """Open gate runs; none without a guard."""
        if not self.guarded:
            return []
        with self._mlflow() as client:
            return list(queued_gates(client, self._policies))

    def claim(self, gates: QueuedGates, claim: Claim) -> None:
        """Take, keep or return a gate run as a worker."""
        with self._mlflow() as client:
            if not self._has_guard(gates.model, gates.version):
                raise NotFound("this registry has no guard, so it has no queue of gate runs")
            key = tags.CLAIM + gates.stage
            client.set_model_version_tag(gates.model, str(gates.version), key, str(claim))

    def hold_lease(self, model: str, scope: str, holder: str) -> None:
        """Take or renew a follower's lease."""
        self._lease(model, scope, holder)

    def release_lease(self, model: str, scope: str, holder: str) -> None:
        """Release a follower's lease."""
        self._lease(model, scope, f"{holder} {RELEASED}")

    def _lease(self, model: str, scope: str, said: str) -> None:
        key = tags.FOLLOWER + scope
        with self._mlflow() as client:
            if self._has_guard(model, 1):
                client.set_registered_model_tag(model, key, said)
            else:
                lease_plainly(client, model, key, said, self._clock())

    def _promote_plainly(self, client: MlflowClient, request: PromotionRequest) -> LedgerEntry:
        _LOG.warning(
            "this registry has no guard: nothing keeps others from promoting %s unchecked. "
            "Serve it with --registry-store-uri lifecycle+sqlite:///…",
            request.model,
        )
        versions = self.versions(request.model)
        moving = [v for v in versions if v.version == request.version]
        plain = PlainRegistry(
            client,
            request.model,
            self._policies.of(request.model),
            self._signer,
            versions,
            self.history(request.model),
            self.snapshot(moving[0]).digest if moving else "",
        )
        return plain.promote(request, self._clock())

    @contextmanager
    def _mlflow(self) -> Iterator[MlflowClient]:
        try:
            with translated():
                check_present(self._registry_uri)
                yield self._client
        except Unavailable:
            check_reachable(self._registry_uri)  # says what is wrong, in seconds
            raise

    @cached_property
    def _client(self) -> MlflowClient:
        return MlflowClient(self._tracking_uri, self._registry_uri)

    @cached_property
    def _models(self) -> ModelRegistryClient:
        """MLflow's client without its own looks before a call, such as whether the model is a prompt."""
        return ModelRegistryClient(self._registry_uri, self._tracking_uri)

    @cached_property
    def _runs(self) -> GateRunLog:
        return GateRunLog(self._client, self._tracking_uri)

    def _source(self, uri: str) -> str:
        return f"{self._registry_uri} {uri}"

    def _has_guard(self, model: str, version: int) -> bool:
        """Whether a tag with a name that MLflow refuses is refused with the guard's text.

        This needs only the permission to edit the model; deleting needs more under MLflow's basic-auth.
        """
        if self._guarded is None:
            try:
                self._models.set_model_version_tag(model, str(version), tags.GUARD_PROBE, "")
            except MlflowException as exc:
                if exc.error_code == "PERMISSION_DENIED" and tags.GUARD_SAYS not in exc.message:
                    return False  # without permission the store is hidden; another model may show it
                if exc.error_code not in _PROBED:
                    raise
                self._guarded = tags.GUARD_SAYS in exc.message
            else:
                self._guarded = False
        return self._guarded

    def _aliases(self, client: MlflowClient, model: str) -> Mapping[str, int]:
        """Aliases by name. Raises NotFound with the nearest names for an unknown model."""
        try:
            found = self._models.get_registered_model(check_model_name(model)).aliases
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            known = [m.name for m in client.search_registered_models(max_results=_MODELS_TO_LIST)]
            raise NotFound(unknown("model", model, known)) from exc
        return {alias: int(version) for alias, version in found.items()}

    def _fetch_tracked(self, run_id: str, folder: Path) -> bool:
        """Download the tracked data; False when it is incomplete."""
        with self._mlflow() as client:
            names = {Path(info.path).name for info in client.list_artifacts(run_id, _TRACKED)}
            if not names.issuperset(_TRACKED_FILES):
                return False
            with incoming_folder(folder.parent) as incoming:
                # Where below ``incoming`` it puts them differs between artifact stores.
                downloaded = Path(client.download_artifacts(run_id, _TRACKED, str(incoming)))
                settle(downloaded, folder)
        return True


def _outcome(request: PromotionRequest, entries: Sequence[LedgerEntry]) -> LedgerEntry:
    """The entry that this request made or, if nothing was to be done, the earlier one."""
    own = [e for e in entries if e.key == request.key] or [e for e in entries if e.moved]
    if not own:
        raise Unavailable(
            f"version {request.version} of {request.model} was promoted, but its history is unreadable"
        )
    return own[-1]
