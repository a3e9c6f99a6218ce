"""Helpers of the registry contract: evidence, promotions, overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.errors import NotTrusted, PromotionRefused
from lifecycle.registry.contract import ModelRegistry

MODEL = "wine"
AUTHOR = "ada"
SignIn = Callable[[str], AbstractContextManager[object]]

REFUSED = (PromotionRefused, NotTrusted)
"""Over MLflow's API both are the same error."""


class RegistryWords:
    """Helpers, and fixtures that not every registry has."""

    guarded = True
    """Whether the registry itself refuses unchecked promotions; if not, tests of that are skipped."""

    @pytest.fixture
    def overriding(self) -> ModelRegistry:
        pytest.skip("this registry takes no overrides")

    @pytest.fixture
    def stranger(self) -> ModelRegistry:
        pytest.skip("nothing is signed in this registry")

    @pytest.fixture
    def signed_in(self) -> SignIn:
        pytest.skip("this registry signs nobody in")

    def override(self, registry: ModelRegistry, version: int, **change: Any) -> PromotionRequest:
        """A valid override for production for one hour."""
        now = datetime.now(UTC)
        whole = PromotionRequest(
            MODEL,
            version,
            "production",
            RequestKind.OVERRIDE,
            "the shop is down",
            "contract",
            key=f"override-{version}",
            digest=registry.snapshot(registry.get(ModelRef(MODEL, version=version))).digest,
            issued_at=now,
            until=now + timedelta(hours=1),
        )
        return replace(whole, **change)

    def evidence(
        self,
        registry: ModelRegistry,
        policies: PolicyBook,
        version: int,
        stage: str,
        outcomes: Mapping[str, Outcome] | None = None,
    ) -> Evidence:
        """Evidence as gates produce it, all PASSED unless ``outcomes`` says otherwise."""
        policy, outcomes = policies.of(MODEL).stage(stage), outcomes or {}
        created = datetime.now(UTC) - timedelta(seconds=1)
        return Evidence(
            model=MODEL,
            version=version,
            stage=policy.name,
            digest=registry.snapshot(registry.get(ModelRef(MODEL, version=version))).digest,
            policy_digest=policy.digest,
            verdicts=tuple(_verdict(gate.name, outcomes) for gate in policy.gates),
            created_at=created,
            expires_at=created + policy.max_age,
            requested_by="contract",
        )

    def promote(
        self,
        registry: ModelRegistry,
        policies: PolicyBook,
        version: int,
        stage: str,
        **request: Any,
    ) -> LedgerEntry:
        """Publish passing evidence and promote; further arguments are fields of the request."""
        registry.publish(self.evidence(registry, policies, version, stage), {"report.md": "# fine"})
        return registry.promote(PromotionRequest(MODEL, version, stage, **request))


def _verdict(gate: str, outcomes: Mapping[str, Outcome]) -> Verdict:
    outcome = outcomes.get(gate, Outcome.PASSED)
    return Verdict(gate, outcome, f"{gate}.contract", "as the contract says", {"rows": 7})
