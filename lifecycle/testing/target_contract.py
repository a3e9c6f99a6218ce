"""Contract tests for targets: inherit ``TargetContract`` and supply its three fixtures.

A source's URI names the folders of the model files, so no store has to be filled.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np
import pytest

from lifecycle.domain.deployment import DeploymentSpec, ModelSource, Status, Variant, VariantRole
from lifecycle.domain.model import Snapshot
from lifecycle.errors import LifecycleError, NotFound, OptionError, UsageError
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.targets.contract import Observes, RoutesTraffic, Target, TargetContext, follows


class FolderModels:
    """Finds the files of versions by the URIs that :func:`folder_source` makes."""

    def snapshot(self, source: ModelSource) -> Snapshot:
        """The version's files."""
        path = Path(unquote(urlsplit(source.uri).path))
        if not path.is_dir():
            raise NotFound(f"the files of {source.uri} are not here")
        return Snapshot(source.digest, path)

    def compiled(self, source: ModelSource) -> Path:
        """The folder of the version's compiled form."""
        found = parse_qs(urlsplit(source.uri).query).get("compiled")
        if not found:
            raise NotFound(f"{source.uri} is not compiled")
        return Path(found[0])


def folder_context(home: Path) -> TargetContext:
    """What a target is given in tests."""
    return TargetContext(home, FolderModels())


def folder_source(snapshot: Snapshot, compiled: Path | None = None) -> ModelSource:
    """A source whose URI names these folders."""
    query = f"?compiled={quote(str(compiled))}" if compiled is not None else ""
    return ModelSource(f"file://{quote(str(snapshot.path))}{query}", snapshot.digest)


def with_files(spec: DeploymentSpec, snapshot: Snapshot, compiled: Path | None = None) -> DeploymentSpec:
    """The same deployment of other files."""
    source = folder_source(snapshot, compiled)
    champion: Variant = replace(spec.champion, source=source, compiled=compiled is not None)
    return replace(spec, variants=(champion,))


def files_of(spec: DeploymentSpec) -> tuple[Snapshot, Path | None]:
    """The folders of the champion: its snapshot, and its compiled form where it has one."""
    models, champion = FolderModels(), spec.champion
    return models.snapshot(champion.source), models.compiled(champion.source) if champion.compiled else None


BAD_NAMES = ["", "..", "../x", "a/b", "a;b", "$(id)", "a\\b", "a\0b", ".hidden", "x" * 65, "ünïcode", "a\n"]


@dataclass(frozen=True)
class Example:
    """A version to deploy, rows for it, and pyfunc's predictions for these rows."""

    spec: DeploymentSpec
    rows: Batch
    expected: Predictions


class TargetContract:
    """Tests that every target passes.

    A subclass supplies these fixtures:

    - ``target``: a fresh target for each test, made with the fixture ``context``.
    - ``first``, ``second``: examples with different names, versions and digests, whose models take the same rows
      and answer them differently, with the options that the target needs. Their sources are made by
      :func:`folder_source`.

    What a target can do beyond the contract (follow, observe, route traffic) is checked where it says that it can.
    """

    @pytest.fixture
    def context(self, tmp_path: Path) -> TargetContext:
        """The target's context: its own home, and the files of the examples."""
        return folder_context(tmp_path / "home")

    @pytest.fixture(autouse=True)
    def _nothing_left_running(self, target: Target) -> Iterator[None]:
        yield
        for deployment in target.list():
            target.undeploy(deployment.name)

    def test_an_update_of_what_was_deleted_is_refused_and_leaves_nothing(
        self, target: Target, first: Example
    ) -> None:
        """A follower that is late must not bring a deleted deployment back."""
        if not follows(target):
            pytest.skip("nothing on this target is updated by a follower")
        with pytest.raises(NotFound):
            target.deploy(replace(first.spec, existing_only=True))
        assert target.list() == []

    def test_what_is_deployed_answers_with_the_models_own_predictions(
        self, target: Target, first: Example
    ) -> None:
        deployment = target.deploy(first.spec)
        assert deployment.status is Status.READY
        assert (deployment.name, deployment.target) == (first.spec.name, target.name)
        assert (deployment.version, deployment.digest) == (first.spec.version, first.spec.digest)
        assert deployment.ref == first.spec.ref
        assert deployment.variants in ((), first.spec.variants)
        assert deployment.address
        assert same_predictions(target.predict(first.spec.name, first.rows), first.expected)

    def test_the_same_digest_again_changes_nothing(self, target: Target, first: Example) -> None:
        before = target.deploy(first.spec)
        assert target.deploy(first.spec) == before
        assert [d.name for d in target.list()] == [first.spec.name]
        assert same_predictions(target.predict(first.spec.name, first.rows), first.expected)

    def test_a_new_version_replaces_the_old_one(self, target: Target, first: Example, second: Example) -> None:
        target.deploy(first.spec)
        replaced = target.deploy(in_place_of(first, second))
        assert (replaced.status, replaced.digest) == (Status.READY, second.spec.digest)
        assert target.describe(first.spec.name).version == second.spec.version
        assert same_predictions(target.predict(first.spec.name, second.rows), second.expected)

    def test_there_is_an_answer_at_every_moment_of_a_replacement(
        self, target: Target, first: Example, second: Example
    ) -> None:
        target.deploy(first.spec)
        with hammer(target, first.spec.name, first.rows) as answers:
            for spec in (in_place_of(first, second), first.spec) * 2:
                target.deploy(spec)
        assert answers.failures == []
        assert len(answers.predictions) > 0
        strangers = [
            p
            for p in answers.predictions
            if not (same_predictions(p, first.expected) or same_predictions(p, second.expected))
        ]
        assert strangers == []

    def test_a_snapshot_whose_files_changed_is_refused_and_the_old_version_still_answers(
        self, target: Target, first: Example, second: Example, tmp_path: Path
    ) -> None:
        before = target.deploy(first.spec)
        with pytest.raises(LifecycleError):
            target.deploy(broken(in_place_of(first, second), tmp_path))
        assert same_predictions(target.predict(first.spec.name, first.rows), first.expected)
        after = target.describe(first.spec.name)
        assert (after.status, after.version, after.digest) == (Status.READY, before.version, before.digest)

    def test_the_old_version_can_be_replaced_after_a_failed_replacement(
        self, target: Target, first: Example, second: Example, tmp_path: Path
    ) -> None:
        target.deploy(first.spec)
        with pytest.raises(LifecycleError):
            target.deploy(broken(in_place_of(first, second), tmp_path))
        assert target.deploy(in_place_of(first, second)).digest == second.spec.digest
        assert same_predictions(target.predict(first.spec.name, second.rows), second.expected)

    def test_a_first_deployment_that_fails_leaves_nothing_behind(
        self, target: Target, first: Example, tmp_path: Path
    ) -> None:
        with pytest.raises(LifecycleError):
            target.deploy(broken(first.spec, tmp_path))
        assert list(target.list()) == []
        with pytest.raises(NotFound):
            target.describe(first.spec.name)
        assert target.deploy(first.spec).status is Status.READY

    def test_files_that_are_not_on_this_machine_are_an_error_that_leaves_nothing_behind(
        self, target: Target, first: Example, tmp_path: Path
    ) -> None:
        nowhere = Snapshot(first.spec.digest, tmp_path / "nowhere")
        with pytest.raises(LifecycleError):
            target.deploy(with_files(first.spec, nowhere))
        assert list(target.list()) == []
        assert target.deploy(first.spec).status is Status.READY

    def test_several_versions_are_refused_unless_it_routes_traffic(
        self, target: Target, first: Example, second: Example
    ) -> None:
        spec = side_by_side(first, second, 0.5)
        if isinstance(target, RoutesTraffic):
            assert len(target.deploy(spec).variants) == 2
            return
        with pytest.raises(UsageError, match="traffic"):
            target.deploy(spec)
        assert list(target.list()) == []

    def test_the_shares_of_the_traffic_decide_which_version_answers(
        self, target: Target, first: Example, second: Example
    ) -> None:
        if not isinstance(target, RoutesTraffic):
            return
        name, versions = first.spec.name, (first.spec.version, second.spec.version)
        target.deploy(side_by_side(first, second, 0.5))
        for share, answering in ((1.0, first), (0.0, second)):
            changed = target.traffic(name, dict(zip(versions, (share, 1 - share), strict=True)))
            assert {v.version: v.share for v in changed.variants} == {versions[0]: share, versions[1]: 1 - share}
            assert same_predictions(target.predict(name, first.rows), answering.expected)
        with pytest.raises(UsageError):
            target.traffic(name, dict.fromkeys(versions, 0.9))
        with pytest.raises(NotFound):
            target.traffic(name, {max(versions) + 1: 1.0})
        with pytest.raises(NotFound):
            target.traffic("nobody", {versions[0]: 1.0})

    def test_what_it_observed_can_be_read_and_belongs_to_a_known_name(
        self, target: Target, first: Example
    ) -> None:
        if not isinstance(target, Observes):
            return
        target.deploy(first.spec)
        target.predict(first.spec.name, first.rows)
        observed = target.observations(first.spec.name)
        assert isinstance(observed.location, str)
        for batch in observed:
            assert set(first.rows) <= set(batch.schema.names)
        with pytest.raises(NotFound):
            target.observations("nobody")

    def test_taking_down_is_idempotent_and_final(self, target: Target, first: Example) -> None:
        target.deploy(first.spec)
        target.undeploy(first.spec.name)
        target.undeploy(first.spec.name)
        target.undeploy("never-was")
        assert list(target.list()) == []
        with pytest.raises(NotFound):
            target.predict(first.spec.name, first.rows)

    def test_deployments_are_listed_by_name_and_described_one_by_one(
        self, target: Target, first: Example, second: Example
    ) -> None:
        assert list(target.list()) == []
        for example in (first, second):
            target.deploy(example.spec)
        listed = target.list()
        assert [d.name for d in listed] == sorted([first.spec.name, second.spec.name])
        assert [target.describe(d.name) for d in listed] == list(listed)

    def test_an_unknown_name_is_answered_with_the_known_ones(self, target: Target, first: Example) -> None:
        target.deploy(first.spec)
        for ask in (target.describe, lambda name: target.predict(name, first.rows)):
            with pytest.raises(NotFound, match=first.spec.name):
                ask("nobody")

    def test_an_unknown_option_is_refused_with_the_known_ones_and_changes_nothing(
        self, target: Target, first: Example
    ) -> None:
        with pytest.raises(OptionError, match=r"unknown option 'colour'.*Known: "):
            target.deploy(replace(first.spec, options={**first.spec.options, "colour": "red"}))
        assert list(target.list()) == []

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_a_name_that_is_not_safe_as_a_file_name_is_refused(
        self, target: Target, first: Example, name: str
    ) -> None:
        calls = (
            lambda: target.deploy(replace(first.spec, name=name)),
            lambda: target.describe(name),
            lambda: target.undeploy(name),
            lambda: target.predict(name, first.rows),
        )
        for call in calls:
            with pytest.raises(UsageError):
                call()

    def test_its_help_names_it_and_every_option_in_use(self, target: Target, first: Example) -> None:
        assert target.name in target.help
        assert [key for key in first.spec.options if key not in target.help] == []


def in_place_of(old: Example, new: Example) -> DeploymentSpec:
    """The new version with the old one's name and options."""
    return replace(new.spec, name=old.spec.name, options=old.spec.options)


def broken(spec: DeploymentSpec, folder: Path) -> DeploymentSpec:
    """The spec with a snapshot whose largest file is truncated, manifest unchanged."""
    snapshot, compiled = files_of(spec)
    copy = Path(shutil.copytree(snapshot.path, folder / "broken" / spec.digest))
    for beside in snapshot.path.parent.glob(f"{spec.digest}.*"):
        shutil.copy(beside, copy.parent)
    victim = max((path for path in copy.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    return with_files(spec, Snapshot(spec.digest, copy), compiled)


def side_by_side(first: Example, second: Example, share: float) -> DeploymentSpec:
    """One deployment of both versions, with ``share`` of the traffic for the first."""
    champion = replace(first.spec.champion, share=share)
    challenger = replace(second.spec.champion, role=VariantRole.CHALLENGER, share=1 - share)
    return replace(first.spec, variants=(champion, challenger))


def same_predictions(answer: Predictions, expected: Predictions) -> bool:
    """Whether shapes are equal, and values within 1e-6 relative."""
    if isinstance(expected, Mapping) or isinstance(answer, Mapping):
        return (
            isinstance(expected, Mapping)
            and isinstance(answer, Mapping)
            and list(answer) == list(expected)
            and all(same_predictions(answer[name], expected[name]) for name in expected)
        )
    if answer.shape != expected.shape:
        return False
    if expected.dtype.kind in "fc":
        return bool(np.allclose(answer.astype(float), expected, rtol=1e-6, atol=1e-7, equal_nan=True))
    return bool(np.array_equal(answer, expected))


@dataclass(frozen=True)
class Answers:
    """Answers to a client that sends requests continuously."""

    predictions: list[Predictions]
    failures: list[Exception]


@contextmanager
def hammer(target: Target, name: str, rows: Batch) -> Iterator[Answers]:
    """Request predictions continuously in a thread until the block ends."""
    answers, done = Answers([], []), threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.predictions.append(target.predict(name, rows))
            except Exception as exc:  # every failure counts
                answers.failures.append(exc)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield answers
    finally:
        done.set()
        asking.join()
