"""What the rest of the product needs of a model registry, in small protocols, and how a reference is resolved.

Every implementation passes :class:`lifecycle.testing.RegistryContract`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lifecycle.domain.gate_queue import Claim, QueuedGates
from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.model import ModelRef, ModelState, ModelVersion, Snapshot, TrackedData
from lifecycle.domain.policy import ModelPolicy
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import NotFound


class FollowerLeases(Protocol):
    """Which follower works where several see the same deployments."""

    def hold_lease(self, model: str, scope: str, holder: str) -> None:
        """Take or keep the lease of a model's deployments in a scope.

        It ends by itself (:data:`lifecycle.domain.deployment.FOLLOWER_LEASE`) unless it is held again. A
        guarded registry decides in one transaction and by its own clock; on a plain one two followers that ask
        in the same moment may both work until they ask again.

        Raises:
            Conflict: another follower has it; names it.
            NotFound: no such model.
        """

    def release_lease(self, model: str, scope: str, holder: str) -> None:
        """Give it back, so that another may have it at once. Raises as :meth:`hold_lease`."""


class ModelReader(Protocol):
    """Reads models, their versions and their files."""

    def get(self, ref: ModelRef) -> ModelVersion:
        """The version that ``ref`` means now.

        Raises:
            NotFound: no such model or version, or nothing in that stage or under that alias.
            Unavailable: the registry does not answer.
        """

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """All versions, oldest first. Raises NotFound for an unknown model."""

    def models(self) -> Sequence[str]:
        """Names of models, at most 100: those that were changed last."""

    def state(self, model: str) -> ModelState:
        """Versions, history and shown evidence of a model at one moment.

        Raises:
            NotFound: an unknown model.
            IntegrityError: its history is unreadable.
        """

    def etag(self, model: str) -> str:
        """Change token: differs when a stage or alias points to another version. One cheap question.

        It does not change where the newest version of each stage stays as it is, so read the state now and then.
        """

    def snapshot(self, version: ModelVersion, digest: str | None = None) -> Snapshot:
        """An immutable local copy of the version's files, as the registry has them now.

        Args:
            digest: Demand exactly these bytes; a local copy then spares the download.

        Raises:
            IntegrityError: the registry's files are not those bytes any more.
        """

    def fetched(self, version: ModelVersion) -> Snapshot:
        """The version's files as they were fetched last, or fetched now.

        Files of a version change only by tampering. So only for what is compared with
        the registry's files later, as evidence is.
        """

    def tracked(self, version: ModelVersion) -> TrackedData | None:
        """What ``lifecycle.track()`` logged with the training run, or None."""


class PromotionLog(Protocol):
    """Records evidence, promotions and approvals, and tells what was recorded."""

    @property
    def guarded(self) -> bool:
        """Whether the registry itself refuses unchecked promotions by any client."""

    def publish(self, evidence: Evidence, documents: Mapping[str, str]) -> Evidence:
        """Record evidence, and show it where people look.

        Args:
            documents: Reports by file name, for the MLflow run that the returned evidence names.

        Returns:
            The evidence as recorded.
        """

    def attach(self, evidence: Evidence, documents: Mapping[str, str]) -> None:
        """Add reports, by file name, to the MLflow run of published evidence."""

    def evidence(self, version: ModelVersion) -> Sequence[Evidence]:
        """The newest evidence of each stage, for display."""

    def promote(self, request: PromotionRequest) -> LedgerEntry:
        """Move a version to a stage, once, with alias and previous version.

        Raises:
            PromotionRefused: the policy does not allow it; the refusal is in the ledger.
            Conflict: the stage no longer holds what the caller expected.
            NotTrusted: an override without the signature of a key with that permission.
        """

    def approve(self, version: ModelVersion, stage: str, reason: str) -> LedgerEntry:
        """Approve a version for a stage, as the user that the registry has authenticated.

        Raises:
            NotTrusted: the user is not authenticated.
            PromotionRefused: the user is its author or not listed, or no gate has judged it yet.
        """

    def history(self, model: str) -> Sequence[LedgerEntry]:
        """The model's ledger, oldest first."""

    def verify(self, version: ModelVersion, move: LedgerEntry) -> None:
        """Check that a version's move rests on something that a key trusted here has signed.

        Raises:
            NotTrusted: it does not: the history was not written by a guard that trusts the same keys.
        """


class GateQueueClient(Protocol):
    """Gate runs that refused promotions have asked for."""

    def queued(self) -> Sequence[QueuedGates]:
        """Every open gate run, whichever worker has it."""

    def claim(self, gates: QueuedGates, claim: Claim) -> None:
        """Claim a gate run for a worker, extend the claim, or give it back.

        Raises:
            NotFound: it is not queued any more, or it is given up.
            Conflict: another worker has it.
        """


class ModelRegistry(ModelReader, PromotionLog, GateQueueClient, FollowerLeases, Protocol):
    """A registry of model versions with gated stages: all of these."""


_UNGUARDED = {"staging": "Staging", "production": "Production"}


def version_meant(ref: ModelRef, versions: Sequence[ModelVersion], policy: ModelPolicy) -> ModelVersion:
    """The version that ``ref`` names; the newest where a stage holds several.

    Args:
        versions: All versions of the model, oldest first.

    Raises:
        NotFound: no such version or stage, or nothing in it.
    """
    if ref.version is not None:
        held = [v for v in versions if v.version == ref.version]
    elif ref.alias is not None:
        held = [v for v in versions if ref.alias in v.aliases]
    else:
        held = _in_stage(ref.stage or "", versions, policy)
    if not held:
        known = ", ".join(f"{v.version} ({v.stage})" for v in versions[-10:]) or "none"
        raise NotFound(f"{ref} holds no version. Versions of {ref.name}: {known}")
    return held[-1]


def _in_stage(word: str, versions: Sequence[ModelVersion], policy: ModelPolicy) -> list[ModelVersion]:
    """Versions in a stage, by the policy's word or MLflow's own, in any letter case."""
    try:
        stage = policy.stage(word)
    except NotFound:
        if word.lower() not in _UNGUARDED:
            raise
        return [v for v in versions if v.stage == _UNGUARDED[word.lower()]]
    if stage.stage is None:
        return [v for v in versions if stage.alias in v.aliases]
    return [v for v in versions if v.stage == stage.stage]
