"""A gate run over a model whose columns and categories are named to do harm, as MLflow's own pages show it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import expect

from tests.browser.seen import visits

pytestmark = pytest.mark.slow

PAGES = {
    "report.html": "Only PASSED promotes.",
    "evidently.html": "Drift Score",
    "great_expectations.html": "Evaluated Expectations",
}
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def judged(registry, hostile_words):
    """The MLflow run of a gate run by the built-in gates."""
    said = registry.run(Path(__file__).with_name("hostile_model.py"), json.dumps(hostile_words))
    run = json.loads(said.splitlines()[-1])
    assert run["outcomes"]["drift"] == run["outcomes"]["data_quality"] == "FAILED"
    return MlflowClient(registry.url).get_run(run["run_id"]).info


@pytest.fixture(scope="module")
def downloaded(registry, judged, tmp_path_factory):
    """The folder with the run's files."""
    folder = tmp_path_factory.mktemp("downloaded")
    return Path(MlflowClient(registry.url).download_artifacts(judged.run_id, "", str(folder)))


@pytest.fixture(scope="module")
def mlflows(browser, registry):
    """A window of MLflow's, which loads its scripts once: ``mlflows("#/models/…")``."""
    with visits(browser) as visit:
        seen = visit(registry.url, within=registry.url, width=1600)

        def go(address):
            seen.page.goto(f"{registry.url}/#/models")
            expect(seen.page.locator("iframe")).to_have_count(0)  # MLflow has left the file that was open
            seen.page.goto(f"{registry.url}/{address}")
            return seen

        yield go


def harmless(seen) -> None:
    """No script of somebody else ran, not even in a frame of its own, and nothing was asked for elsewhere."""
    assert not seen.pwned
    assert [frame.url for frame in seen.page.frames if frame.evaluate("window.pwned !== undefined")] == []
    assert seen.left == []
    assert [line for line in seen.console if "Content Security Policy" in line or "uncaught" in line] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_files_open_in_mlflows_viewer_and_do_no_harm(mlflows, judged, name):
    seen = mlflows(f"#/experiments/{judged.experiment_id}/runs/{judged.run_id}/artifacts/{name}")
    viewer = seen.page.frame_locator("iframe.mlflow-html-iframe")
    inside = viewer if name == "report.html" else viewer.frame_locator("iframe")
    expect(inside.get_by_text(PAGES[name]).first).to_be_attached(timeout=PATIENCE_MS)
    seen.picture(f"mlflow-{name.removesuffix('.html')}")
    harmless(seen)


@pytest.mark.parametrize("name", PAGES)
def test_the_files_open_from_disk_and_do_no_harm(visit, downloaded, name):
    seen = visit((downloaded / name).as_uri())
    inside = seen.page if name == "report.html" else seen.page.frame_locator("iframe")
    expect(inside.get_by_text(PAGES[name]).first).to_be_attached(timeout=PATIENCE_MS)
    seen.picture(f"file-{name.removesuffix('.html')}")
    harmless(seen)


def test_evidently_draws_in_its_frame(visit, downloaded):
    seen = visit((downloaded / "evidently.html").as_uri())
    inside = seen.page.frame_locator("iframe")
    inside.locator("td button").first.click(timeout=PATIENCE_MS)
    expect(inside.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    harmless(seen)


def test_the_report_and_the_pages_beside_it_link_each_other(visit, downloaded):
    seen = visit((downloaded / "report.html").as_uri(), within=downloaded.as_uri())
    for name in ("evidently.html", "great_expectations.html"):
        seen.page.locator(f'a[href="{name}"]').click()
        seen.page.wait_for_url(f"**/{name}")
        seen.page.get_by_role("link", name="The gate report").click()
        seen.page.wait_for_url("**/report.html")


def test_the_versions_page_shows_the_table_as_text(mlflows, judged, hostile_words):
    seen = mlflows("#/models/hostile/versions/1")
    table = seen.page.locator("table", has=seen.page.get_by_text("verdict", exact=True))
    expect(table).to_be_visible(timeout=PATIENCE_MS)
    seen.picture("mlflow-version")
    assert table.locator("tr").count() == 1 + 4
    assert [cell.strip() for cell in table.locator("td:nth-child(2)").all_inner_texts()].count("FAILED") == 3
    assert hostile_words[0] in table.inner_text()
    assert table.locator("a, img, script, iframe").count() == 0
    expect(seen.page.get_by_text("production: FAILED").first).to_be_visible()
    expect(seen.page.get_by_text("attempt 1").first).to_be_visible()
    harmless(seen)
