"""The queue of gate runs as a client sees it: in the tags of versions, which any MLflow client can search.

Whose turn it is, the guard decides by its own table (:mod:`lifecycle.promotion.queue`).
"""

from __future__ import annotations

from collections.abc import Iterator

from mlflow.tracking import MlflowClient

from lifecycle.domain.gate_claim import GIVEN_UP, Claim, QueuedGates
from lifecycle.domain.policy import PolicyBook
from lifecycle.registry.tags import claim_key, queue_key
from lifecycle.registry.versions import usable_names

_PAGE = 1000


def queued_gates(client: MlflowClient, policies: PolicyBook) -> list[QueuedGates]:
    """Every open gate run, whoever has it, of every model and stage that the policies know."""
    stages = {stage.name for policy in (policies.default, *policies.models.values()) for stage in policy.stages}
    return [gates for stage in sorted(stages) for gates in _queued_for(client, stage)]


def say(client: MlflowClient, gates: QueuedGates, claim: Claim) -> None:
    """Tell the guard what a worker says of a gate run."""
    client.set_model_version_tag(gates.model, str(gates.version), claim_key(gates.stage), str(claim))


def _queued_for(client: MlflowClient, stage: str) -> Iterator[QueuedGates]:
    """Those that wait longest first, as far as MLflow knows: a tag bears no time."""
    key, token = queue_key(stage), None
    while True:
        page = client.search_model_versions(
            f"tags.`{key}` LIKE '%'", _PAGE, order_by=["last_updated_timestamp ASC"], page_token=token
        )
        for version in page:
            shown = version.tags.get(key, GIVEN_UP)
            if not shown.startswith(GIVEN_UP) and usable_names([version.name]):
                yield QueuedGates(version.name, int(version.version), stage, shown)
        token = page.token
        if not token:
            return
