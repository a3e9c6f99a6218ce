"""What the rest of the product needs of a model registry.

Every implementation passes :class:`lifecycle.testing.RegistryContract`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.gate_queue import Claim, QueuedGates
from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.model import ModelRef, ModelState, ModelVersion, Snapshot, TrackedData
from lifecycle.domain.promotion.request import PromotionRequest


class FollowerLeases(Protocol):
    """Which follower works where several see the same deployments."""

    def hold_lease(self, model: str, scope: str, holder: str) -> None:
        """Take or keep the lease of a model's deployments in a scope.

        It ends by itself (:data:`lifecycle.domain.follower_lease.FOLLOWER_LEASE`) unless it is held again. A
        guarded registry decides in one transaction and by its own clock; on a plain one two followers that ask
        in the same moment may both work until they ask again.

        Raises:
            Conflict: another follower has it; names it.
            NotFound: no such model.
        """
        ...

    def release_lease(self, model: str, scope: str, holder: str) -> None:
        """Give it back, so that another may have it at once. Raises as :meth:`hold_lease`."""
        ...


class ModelRegistry(FollowerLeases, Protocol):
    """A registry of model versions with gated stages."""

    @property
    def guarded(self) -> bool:
        """Whether the registry itself refuses ungated promotions, whoever asks."""
        ...

    def get(self, ref: ModelRef) -> ModelVersion:
        """The version that ``ref`` means now.

        Raises:
            NotFound: no such model or version, or nothing in that stage or under that alias.
            Unavailable: the registry does not answer.
        """
        ...

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """Every version, oldest first. Raises NotFound for an unknown model."""
        ...

    def snapshot(self, version: ModelVersion, digest: str | None = None) -> Snapshot:
        """An immutable local copy of the version's files.

        Args:
            digest: Demand exactly these bytes; a local copy then spares the download.

        Raises:
            IntegrityError: the registry's files are not those bytes any more.
        """
        ...

    def tracked(self, version: ModelVersion) -> TrackedData | None:
        """What ``lifecycle.track()`` logged with the training run, or None."""
        ...

    def publish(self, evidence: Evidence, documents: Mapping[str, str]) -> Evidence:
        """Hand evidence in and show it where people look.

        Args:
            documents: Reports by file name; they go to the MLflow run that the returned evidence names.

        Returns:
            The evidence as recorded.
        """
        ...

    def attach(self, evidence: Evidence, documents: Mapping[str, str]) -> None:
        """Add reports by file name to the MLflow run that published evidence names."""
        ...

    def evidence(self, version: ModelVersion) -> Sequence[Evidence]:
        """The newest evidence on record for each stage, for people to look at."""
        ...

    def promote(self, request: PromotionRequest) -> LedgerEntry:
        """Move a version to a stage, once, with everything that moves along.

        Raises:
            PromotionRefused: the policy says no; the refusal is in the ledger.
            Conflict: the stage no longer holds what the caller expected.
            NotTrusted: an override that no key which may has signed.
        """
        ...

    def approve(self, version: ModelVersion, stage: str, reason: str) -> LedgerEntry:
        """Approve a version for a stage, as whoever the registry has authenticated.

        Raises:
            NotTrusted: the registry has authenticated nobody.
            PromotionRefused: they are its author, or not on the policy's list, or no gate has judged it yet.
        """
        ...

    def history(self, model: str) -> Sequence[LedgerEntry]:
        """The model's ledger, oldest first."""
        ...

    def models(self) -> Sequence[str]:
        """Names of models, a hundred at most: those that something was done to last."""
        ...

    def state(self, model: str) -> ModelState:
        """Versions and history of a model at one moment.

        Raises:
            NotFound: an unknown model.
            IntegrityError: its history is no history any more.
        """
        ...

    def etag(self, model: str) -> str:
        """What a cheap question tells of :meth:`state`: another text when a stage or alias is on another version.

        Not of changes that leave the newest version of each stage as it is, so look again from time to time.
        """
        ...

    def verify(self, version: ModelVersion, move: LedgerEntry) -> None:
        """Demand that what moved a version rests on what a key that is trusted here has signed.

        Raises:
            NotTrusted: it does not; the history was written by somebody else than the guard, or by one that
                trusts other keys.
        """
        ...

    def queued(self) -> Sequence[QueuedGates]:
        """Gate runs that refused promotions have asked for and that are still open, whoever has them."""
        ...

    def claim(self, gates: QueuedGates, claim: Claim) -> None:
        """Say, as a worker, that a gate run is one's own, or give it back.

        Raises:
            NotFound: nobody waits for it any more, or it is given up.
            Conflict: another worker has it.
        """
        ...
