"""Promoting as people do it in MLflow's UI: what the guard answers there, and what they see afterwards.

The tests follow on each other: what one of them has promoted is there in the next.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

NAME, ENVIRONMENT = "arrival-delay", "prod.arrival-delay"


def unjudged(version: int) -> str:
    """How the guard goes on about a version that no gate has judged."""
    command = f"lifecycle gate run models:/{NAME}/{version} --stage production"
    return f"no gate has been run for it (needed: signature). Run: {command}"


@pytest.fixture(scope="module")
def arrivals(registry):
    """Two versions that no gate has judged."""
    registry.register(NAME, versions=2)
    return registry


@pytest.fixture(scope="module")
def judged(arrivals):
    """Version 1 has PASSED now; version 2 is as it was."""
    assert "PASSED" in arrivals.lifecycle(f"gate run models:/{NAME}/1 --stage production")
    return arrivals


def test_the_stage_menu_refuses_what_no_gate_has_judged(version_page, arrivals):
    page = version_page(arrivals, NAME, 1, old=True)
    page.move_to("Production")
    page.says(
        f"PERMISSION_DENIED: Version 1 of {NAME} may not go to Production: {unjudged(1)}",
        "ui-stage-menu-refused",
    )
    expect(page.fact("Stage")).to_have_text("None")


def test_the_stage_menu_promotes_what_has_passed(version_page, judged):
    page = version_page(judged, NAME, 1, old=True)
    page.move_to("Production")
    expect(page.fact("Stage")).to_have_text("Production")
    page.picture("ui-stage-menu-promoted")


def test_the_page_shows_stage_alias_verdicts_and_history(version_page, judged):
    page = version_page(judged, NAME, 1)
    expect(page.fact("Stage")).to_have_text("Production")
    expect(page.fact("Aliases")).to_contain_text("champion")
    expect(page.verdicts.get_by_role("row").nth(1)).to_contain_text("PASSED")
    expect(page.tag("lifecycle.production")).to_contain_text("PASSED")
    expect(page.tag("lifecycle.history")).to_contain_text("REFUSED")
    expect(page.tag("lifecycle.history")).to_contain_text("PROMOTED")
    page.picture("ui-version-in-production")
    expect(page.delete).to_be_disabled()
    page.picture("ui-delete-greyed-out")


def test_the_list_of_versions_begins_each_description_with_the_verdict(version_page, judged):
    page = version_page(judged, NAME)
    expect(page.listed(1).get_by_text("production: PASSED · attempt")).to_be_visible()
    page.picture("ui-list-of-versions")


def test_an_alias_is_refused_where_its_stage_would_be(version_page, judged):
    page = version_page(judged, NAME, 2)
    page.set_alias("champion")
    page.refuses_below(f"Version 2 of {NAME} may not go to Production: {unjudged(2)}", "ui-alias-refused")
    expect(page.fact("Aliases")).to_have_text("Add")


def test_the_alias_of_a_stage_is_not_taken_from_what_holds_it(version_page, judged):
    page = version_page(judged, NAME, 1)
    page.remove_alias()
    page.refuses_below(
        f"alias champion of {NAME} moves together with Production, which version 1 holds; it may not be deleted. "
        f"Move version 1 to Archived instead",
        "ui-alias-not-deleted",
    )
    expect(page.fact("Aliases")).to_contain_text("champion")


def test_an_alias_promotes_what_has_passed(version_page, judged):
    judged.move(NAME, 1, "Archived")
    page = version_page(judged, NAME, 1)
    expect(page.fact("Aliases")).to_have_text("Add")
    page.set_alias("champion")
    expect(page.fact("Aliases")).to_contain_text("champion")
    page.reload()
    expect(page.fact("Stage")).to_have_text("Production")
    page.picture("ui-alias-promoted")


def test_promote_model_refuses_an_environment_what_no_gate_has_judged(version_page, judged):
    page = version_page(judged, NAME, 2)
    page.copy_into(ENVIRONMENT, new=True)
    page.says(
        f"PERMISSION_DENIED: Version 2 of {NAME} may not be copied into {ENVIRONMENT}, which stands for "
        f"Production: {unjudged(2)}",
        "ui-promote-model-refused",
    )


def test_promote_model_copies_what_has_passed_into_production_of_the_environment(version_page, judged):
    page = version_page(judged, NAME, 1)
    page.copy_into(ENVIRONMENT, new=False)
    expect(page.fact("Copied from")).to_have_text(f"{NAME} (Version 1)")
    expect(page.fact("Stage")).to_have_text("Production")
    expect(page.fact("Aliases")).to_contain_text("champion")
    expect(page.tag("lifecycle.history")).to_contain_text(f"copied from models:/{NAME}/1")
    page.picture("ui-promote-model-copied")
    (entry,) = judged.history(ENVIRONMENT, 1)
    assert (entry.action, entry.stage, entry.version) == ("PROMOTED", "production", 1)


@pytest.mark.parametrize("what", ["version", "model"])
def test_a_page_from_before_the_promotion_deletes_nothing(version_page, judged, what):
    judged.move(NAME, 1, "Archived")
    page = version_page(judged, NAME, 1) if what == "version" else version_page(judged, NAME)
    page.delete.click()
    expect(page.confirm).to_be_visible()
    judged.move(NAME, 1, "Production")  # somebody else, meanwhile
    page.confirm.click()
    subject = f"Version 1 of {NAME}" if what == "version" else NAME
    page.says(
        f"PERMISSION_DENIED: {subject} may not be deleted: version 1 is in Production, which is guarded. "
        f"Move version 1 to Archived first",
        f"ui-delete-{what}-refused",
    )
    assert judged.history(NAME, 1)[-1].moved


def test_a_verdict_is_not_written_by_hand(version_page, judged):
    page = version_page(judged, NAME, 1)
    page.edit_tag("lifecycle.production", "PASSED, believe me")
    page.says(
        "Failed to set tag. Error: tag 'lifecycle.production' is written by the lifecycle guard alone; use "
        "lifecycle gate run, lifecycle approve and lifecycle promote",
        "ui-verdict-by-hand-refused",
    )
