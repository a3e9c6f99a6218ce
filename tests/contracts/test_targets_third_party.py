"""A third party's target that has every optional capability: it passes the same contract."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest

from lifecycle.domain.deployment import (
    Deployment,
    DeploymentSpec,
    Status,
    Variant,
    check_deployment_name,
    check_variants,
)
from lifecycle.errors import NotFound, UsageError, unknown
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.scoring.loader import load_verified
from lifecycle.targets.contract import (
    FollowsStages,
    Observes,
    RoutesTraffic,
    SharedDeployments,
    TargetContext,
    TargetOptions,
    follows,
)
from lifecycle.targets.memory_target import MemoryTarget
from lifecycle.testing.target_contract import Example, TargetContract, side_by_side


@dataclass(frozen=True)
class ShopRows:
    """What one deployment answered."""

    batches: list[pa.RecordBatch]
    location: str = ""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self.batches)


class ShopTarget:
    """Answers at the counter: some customers with one version, some with another. Keeps what it answered."""

    name = "shop"
    follows = True
    scope = "shop-main-street"
    Options = TargetOptions
    help = "shop: answers at the counter. Takes no -C options."

    def __init__(self, context: TargetContext) -> None:
        self._models = context.models
        self._deployed: dict[str, tuple[DeploymentSpec, dict[int, Scorer]]] = {}
        self._rows: dict[str, list[pa.RecordBatch]] = {}

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        check_deployment_name(spec.name)
        TargetOptions.parse(spec.options)
        if spec.existing_only:
            self._find(spec.name)
        scorers = {variant.version: self._load(variant) for variant in spec.variants}
        self._deployed[spec.name] = spec, scorers
        return self.describe(spec.name)

    def describe(self, name: str) -> Deployment:
        spec, _ = self._find(name)
        return Deployment(
            name=name,
            target=self.name,
            ref=spec.ref,
            version=spec.version,
            digest=spec.digest,
            status=Status.READY,
            address="the counter",
            variants=spec.variants,
        )

    def undeploy(self, name: str) -> None:
        self._deployed.pop(check_deployment_name(name), None)

    def list(self) -> list[Deployment]:
        return [self.describe(name) for name in sorted(self._deployed)]

    def predict(self, name: str, rows: Batch) -> Predictions:
        spec, scorers = self._find(name)
        (variant,) = random.choices(spec.variants, [variant.share for variant in spec.variants])
        columns = {column: pa.array(values) for column, values in rows.items()}
        columns["_lifecycle_version"] = pa.array([variant.version] * len(next(iter(rows.values()))))
        self._rows.setdefault(name, []).append(pa.RecordBatch.from_pydict(columns))
        return scorers[variant.version].predict(rows)

    def observations(self, name: str) -> ShopRows:
        self._find(name)
        return ShopRows(self._rows.get(name, []))

    def traffic(self, name: str, shares: Mapping[int, float]) -> Deployment:
        spec, scorers = self._find(name)
        strangers = set(shares) - scorers.keys()
        if strangers:
            raise NotFound(f"deployment {name!r} has no version {min(strangers)}")
        variants = tuple(replace(variant, share=shares.get(variant.version, 0.0)) for variant in spec.variants)
        check_variants(variants)
        self._deployed[name] = replace(spec, variants=variants), scorers
        return self.describe(name)

    def _load(self, variant: Variant) -> Scorer:
        compiled = self._models.compiled(variant.source) if variant.compiled else None
        return load_verified(self._models.snapshot(variant.source), compiled)

    def _find(self, name: str) -> tuple[DeploymentSpec, dict[int, Scorer]]:
        try:
            return self._deployed[check_deployment_name(name)]
        except KeyError:
            raise NotFound(unknown("deployment", name, self._deployed)) from None


class TestShopTarget(TargetContract):
    @pytest.fixture
    def target(self, context) -> ShopTarget:
        return ShopTarget(context)

    @pytest.fixture
    def first(self, lifecycle_models) -> Example:
        return lifecycle_models[0].example("flights")

    @pytest.fixture
    def second(self, lifecycle_models) -> Example:
        return lifecycle_models[1].example("flights-next")

    def test_what_it_can_do_is_seen_before_it_is_asked(self, target, context):
        for capability in (FollowsStages, Observes, RoutesTraffic, SharedDeployments):
            assert isinstance(target, capability)
        plain = MemoryTarget(context)
        assert [isinstance(plain, c) for c in (Observes, RoutesTraffic, SharedDeployments)] == [False] * 3
        assert follows(target)
        assert follows(plain)

    def test_it_says_which_version_answered_which_rows(self, target, first, second):
        target.deploy(side_by_side(first, second, 0.0))
        target.predict("flights", first.rows)
        (batch,) = target.observations("flights")
        assert set(batch.column("_lifecycle_version").to_pylist()) == {second.spec.version}

    @pytest.mark.parametrize("shares", [(0.9, 0.9), (1.5, -0.5), (0.0, 0.0), (float("nan"), 1.0)])
    def test_shares_that_do_not_add_up_are_no_deployment(self, first, second, shares):
        champion, challenger = side_by_side(first, second, 0.5).variants
        variants = replace(champion, share=shares[0]), replace(challenger, share=shares[1])
        with pytest.raises(UsageError, match="add up to 1"):
            replace(first.spec, variants=variants)

    def test_a_deployment_has_one_champion_and_each_version_once(self, first, second):
        champion, challenger = side_by_side(first, second, 0.5).variants
        for variants in (
            (),
            (champion, replace(challenger, role=champion.role)),
            (replace(challenger, share=1.0),),
        ):
            with pytest.raises(UsageError, match="exactly one champion"):
                replace(first.spec, variants=variants)
        with pytest.raises(UsageError, match="is there twice"):
            replace(first.spec, variants=(champion, replace(challenger, version=champion.version)))
