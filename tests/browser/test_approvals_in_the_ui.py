"""Approving as people do it in MLflow's UI, with a server that asks them to sign in.

The tests follow on each other: first nobody has approved, in the end the version is in Production.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.registries import guarded_with_sign_in

pytestmark = pytest.mark.slow

NAME = "reviewed"
APPROVE = "lifecycle.approve.production"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Ada has registered a version and had it judged; the policy lists ada and grace as approvers, not alan."""
    home = tmp_path_factory.mktemp("reviewed")
    with guarded_with_sign_in(home, ("ada", "grace", "alan")) as started:
        ada = started.signed_in("ada")
        ada.register(NAME, versions=1)
        assert "PASSED" in ada.lifecycle(f"gate run models:/{NAME}/1 --stage production")
        yield ada


def test_without_an_approval_the_stage_menu_refuses(version_page, server):
    page = version_page(server, NAME, 1, user="ada", old=True)
    expect(page.tag("lifecycle.approvals.production")).to_have_text("0 of 1")
    page.move_to("Production")
    page.says(
        f"PERMISSION_DENIED: Version 1 of {NAME} may not go to Production: it has 0 of 1 approvals. Someone "
        f"who did not register it can run: lifecycle approve models:/{NAME}/1 --stage production --reason …",
        "ui-approval-missing",
    )


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("ada", "they registered it, and four eyes are demanded"),
        ("alan", "the policy lists ada, grace"),
    ],
)
def test_an_approval_that_would_not_count_is_refused(version_page, server, user, why):
    page = version_page(server, NAME, 1, user=user)
    page.add_tag(APPROVE, "I like it")
    page.says(
        f"Failed to add tag. Error: {user} may not approve version 1 of {NAME} for production: {why}",
        f"ui-approval-of-{user}-refused",
    )
    page.reload()
    expect(page.tag("lifecycle.approvals.production")).to_have_text("0 of 1")


def test_grace_approves_with_a_tag_and_ada_promotes(version_page, server):
    page = version_page(server, NAME, 1, user="grace")
    page.add_tag(APPROVE, "read the report")
    page.reload()
    expect(page.tag("lifecycle.approvals.production")).to_have_text("1 of 1: grace")
    expect(page.tag(APPROVE)).to_have_count(0)
    page.picture("ui-approval-of-grace")

    page = version_page(server, NAME, 1, user="ada", old=True)
    page.move_to("Production")
    expect(page.fact("Stage")).to_have_text("Production")


def test_the_history_names_who_did_what(version_page, server):
    said = [(entry.action, entry.actor, entry.reason) for entry in server.history(NAME, 1)]
    assert said == [
        ("REFUSED", "ada", ""),
        ("APPROVED", "grace", "read the report"),
        ("PROMOTED", "ada", ""),
    ]
    history = version_page(server, NAME, 1, user="alan").tag("lifecycle.history")
    for words in ("grace", "read the report", "PROMOTED"):
        expect(history).to_contain_text(words)
