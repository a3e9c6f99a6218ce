"""What a stage holds is neither deleted nor renamed, and nothing slips into a guarded name unchecked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.policy import ModelPolicy, PolicyBook

FREE = ModelPolicy(())
"""Guards nothing."""


def test_what_holds_a_guarded_stage_is_neither_deleted_nor_renamed(registry):
    registry.promote()
    store, before = registry.store, registry.state()
    for call, *args in (
        (store.delete_model_version, "wine", "1"),
        (store.delete_registered_model, "wine"),
        (store.rename_registered_model, "wine", "wine2"),
    ):
        assert "Move version 1 to Archived first" in registry.refused(call, *args)
    assert registry.state() == before
    store.delete_model_version("wine", 2)
    store.transition_model_version_stage("wine", 1, "Archived", False)
    store.rename_registered_model("wine", "wine2")
    store.delete_registered_model("wine2")


def test_nothing_is_carried_unchecked_into_a_guarded_name(registry):
    store = registry.open(free=FREE, live=ModelPolicy((replace(registry.production, alias="live"),)))
    registry.add("free")
    store.set_registered_model_alias("free", "live", 1)
    assert "alias live is guarded" in registry.refused(store.rename_registered_model, "free", "live")
    store.transition_model_version_stage("free", 1, "Production", False)
    assert "in Production" in registry.refused(store.rename_registered_model, "free", "live")


def test_a_model_made_again_under_the_old_name_inherits_nothing(registry):
    registry.judge(1)
    registry.store.delete_registered_model("wine")
    registry.store.create_registered_model("wine")
    registry.store.create_model_version("wine", registry.files(1).as_uri())
    registry.refused(registry.move)
    assert [e.action for e in registry.ledger()] == [Action.REFUSED]


@pytest.mark.parametrize("name", ["Wine", "WINE", "wíne", "\uff57ine", "wine "])
def test_a_name_that_some_database_takes_for_a_guarded_one_is_guarded_like_it(registry, name):
    """On MySQL whoever asks for ``wine`` gets ``Wine``."""
    registry.open_with(PolicyBook(FREE, {"wine": ModelPolicy((registry.production,))}))
    registry.add(name)
    registry.refused(registry.move, 1, "Production", name)
    registry.add("beer")
    registry.move(1, "Production", "beer")
