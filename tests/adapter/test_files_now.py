"""What counts are the files as the registry reads them, when evidence comes in and when a version moves."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind


def change(folder: Path) -> None:
    (folder / "MLmodel").write_text("flavors: {}\nmodel_uuid: other\n")


def change_in_place_and_date_back(folder: Path) -> None:
    """As many bytes, in the same file, with the time of its last change as it was."""
    file = folder / "MLmodel"
    before = file.stat()
    file.write_text(file.read_text().replace("wine", "vine"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def add(folder: Path) -> None:
    (folder / "sitecustomize.py").write_text("")


def rename(folder: Path) -> None:
    (folder / "MLmodel").rename(folder / "MLmodel2")


def replace_the_folder(folder: Path) -> None:
    copy = shutil.copytree(folder, folder.with_name("copy"))
    change(copy)
    shutil.rmtree(folder)
    copy.rename(folder)


CHANGES = [change, change_in_place_and_date_back, add, rename, replace_the_folder]


@pytest.mark.parametrize("changed", CHANGES)
def test_files_that_changed_between_gate_run_and_delivery(registry, changed):
    record = registry.evidence()
    changed(registry.files())
    words = registry.refused(registry.deliver, record)
    assert "speaks of other files than version 1 of wine has here" in words
    assert registry.shown() == {}


@pytest.mark.parametrize("changed", CHANGES)
def test_files_that_changed_between_delivery_and_promotion(registry, changed):
    registry.judge()
    changed(registry.files())
    for way in (
        registry.move,
        lambda: registry.store.set_registered_model_alias("wine", "champion", 1),
        lambda: registry.ask(PromotionRequest("wine", 1, "production")),
    ):
        assert "its files have changed since its gates ran" in registry.refused(way)
    assert registry.state() == (["None", "None"], {})
    assert {e.action for e in registry.ledger()} == {Action.REFUSED}


def test_files_that_are_put_back_are_those_that_were_judged(registry):
    registry.judge()
    original = (registry.files() / "MLmodel").read_text()
    change(registry.files())
    registry.refused(registry.move)
    (registry.files() / "MLmodel").write_text(original)
    registry.move()
    assert registry.state() == (["Production", "None"], {"champion": 1})


def test_files_that_changed_are_judged_anew(registry):
    registry.judge()
    change(registry.files())
    registry.judge()
    registry.move()
    assert registry.state() == (["Production", "None"], {"champion": 1})


def test_the_stage_before_must_have_held_these_very_files(registry):
    registry.open(registry.staging, replace(registry.production, after="staging"))
    registry.promote(1, registry.staging)
    change(registry.files())
    registry.judge(1)
    assert "has not been promoted to staging with these files" in registry.refused(registry.move)


def put_a_link(folder: Path) -> None:
    (folder / "weights").symlink_to("/etc/hostname")


def put_a_link_to_a_folder(folder: Path) -> None:
    (folder / "code").symlink_to(folder.parent)


def put_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


@pytest.mark.parametrize("put", [put_a_link, put_a_link_to_a_folder, put_a_pipe])
def test_a_link_among_the_files_is_refused_whenever_it_is_put_there(registry, put):
    record = registry.evidence()
    registry.deliver(record)
    put(registry.files())
    assert "a link or a special file" in registry.refused(registry.move)
    assert "a link or a special file" in registry.refused(registry.deliver, record)
    assert registry.state() == (["None", "None"], {})


def test_files_that_are_gone(registry):
    registry.judge()
    record = registry.evidence()
    shutil.rmtree(registry.files())
    for call, *args in ((registry.move,), (registry.deliver, record)):
        assert "cannot be read by the registry" in registry.refused(call, *args)
    registry.files().mkdir()
    assert "has no files" in registry.refused(registry.move)


def test_a_file_instead_of_a_folder_is_no_model(registry):
    registry.judge()
    shutil.rmtree(registry.files())
    registry.files().write_text("not a folder")
    registry.refused(registry.move)


@pytest.mark.parametrize(
    "source", ["file:///nowhere/at/all", "sftp://nowhere.invalid/model", "nonsense:/x", "mlflow-artifacts:/x"]
)
def test_a_place_that_the_registry_cannot_read(registry, source):
    registry.store.create_model_version("wine", source)
    record = registry.evidence(3)
    words = registry.refused(registry.deliver, record)
    assert "cannot be read by the registry" in words
    assert "Give the server access to its artifact store" in words


def test_nothing_is_read_for_what_is_refused_anyway(registry):
    """Reading takes as long as the files are big, so nobody gets the registry to do it for nothing."""
    shutil.rmtree(registry.files())
    assert "no gate has been run" in registry.refused(registry.move)
    assert "not a signed text" in registry.refused(registry.write, "lifecycle.evidence.production", "x.y.z")
    stranger = registry.signed(registry.evidence(), registry.stranger)
    assert "does not know" in registry.refused(registry.write, "lifecycle.evidence.production", stranger)


def test_a_rollback_asks_for_no_files(registry):
    """They are served from the copy that was judged, and the store may have lost them."""
    registry.promote(1)
    registry.promote(2)
    shutil.rmtree(registry.files(1))
    registry.ask(PromotionRequest("wine", 1, "production", RequestKind.ROLLBACK, reason="2 is late"))
    assert registry.state() == (["Production", "Archived"], {"champion": 1})
