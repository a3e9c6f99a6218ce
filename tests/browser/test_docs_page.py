"""/docs in a browser: it shows what a deployment takes, asks it, and runs nothing that is not its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from lifecycle.scoring.signature import Column
from tests.serving_here import Model, numbers, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployed(lifecycle_models, rest):
    return rest.deploy(lifecycle_models[0].spec("flights")).address


def operation(page, method: str, path: str):
    """The box of one path, opened."""
    summary = page.locator("summary").filter(has=page.get_by_text(path, exact=True), has_text=method)
    box = page.locator("main details").filter(has=summary).first
    if box.get_attribute("open") is None:
        summary.click()
    return box


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_press_send_and_see_predictions_of_the_models_own_example(visit, deployed, dark):
    seen = visit(f"{deployed}/docs", within=deployed, dark=dark)
    expect(seen.page.locator("h1")).to_have_text("flights: flights-delay, version 1")
    box = operation(seen.page, "POST", "/invocations")
    assert "dataframe_split" in box.locator("textarea").input_value()
    box.get_by_role("button", name="Send").click()
    answer = box.locator(".answer")
    expect(answer).to_contain_text("predictions")
    status, _, body = answer.inner_text().partition("\n")
    assert status.startswith("200")
    assert np.shape(json.loads(body)["predictions"]) == (5, 2)
    seen.picture(f"docs-{'dark' if dark else 'light'}")
    assert (seen.left, seen.console) == ([], [])


@pytest.mark.parametrize("path", ["/v2/models/flights/infer", "/v1/models/flights:predict"])
def test_the_example_in_the_other_protocols(visit, deployed, path):
    box = operation(visit(f"{deployed}/docs", within=deployed).page, "POST", path)
    box.get_by_role("button", name="Send").click()
    expect(box.locator(".answer")).to_contain_text("200 OK")


def test_what_is_typed_is_what_is_sent_and_what_the_curl_line_says(visit, deployed):
    page = visit(f"{deployed}/docs", within=deployed).page
    box = operation(page, "POST", "/invocations")
    box.locator("textarea").fill('{"inputs": {"it\'s": 1}}')
    line = box.locator(".curl").inner_text()
    assert f"curl -X POST '{deployed}/invocations'" in line
    assert r"""-d '{"inputs": {"it'\''s": 1}}'""" in line
    assert "Authorization" not in line
    page.locator("#key").fill("k")
    expect(box.locator(".curl")).to_contain_text("Authorization: Bearer $KEY")
    box.get_by_role("button", name="Send").click()
    expect(box.locator(".answer")).to_contain_text("400")


def test_words_that_were_chosen_to_do_harm_are_words(visit, hostile_words):
    inputs = [Column(word, "double") for word in hostile_words]
    hostile = Model(inputs, lambda rows: rows[hostile_words[0]], [Column(hostile_words[1], "double")])
    with serving({"numbers": numbers(), "hostile": hostile}) as here:
        address = f"http://{here.address}"
        seen = visit(f"{address}/docs", within=address)
        box = operation(seen.page, "POST", "/models/hostile/invocations")
        box.get_by_text("Schema").click()
        box.locator("textarea").fill(json.dumps({"inputs": {word: [1.0] for word in hostile_words}}))
        box.get_by_role("button", name="Send").click()
        expect(box.locator(".answer")).to_contain_text("200 OK")
        seen.move_over_everything()
        assert not seen.pwned
        assert (seen.left, seen.console) == ([], [])


def test_the_policy_lets_nothing_else_run(visit, deployed):
    seen = visit(f"{deployed}/docs", within=deployed)
    seen.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned=1\">')")
    seen.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.pwned=1'}))"
    )
    seen.page.wait_for_function("true")
    assert not seen.pwned
    assert any("Content Security Policy" in line for line in seen.console)
