"""A real Chromium, a guarded server, and words that were chosen to do harm."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from lifecycle.domain.charts import Bar, BarChart, Explanation, Histogram
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.gates.report import GateReport
from tests.browser.registries import PASSWORD, Registry, guarded
from tests.browser.seen import Seen, visits
from tests.browser.version_page import ASSISTANT_IS_CLOSED, VersionPage

expect.set_options(timeout=30_000)

NOW = datetime(2026, 11, 21, 10, 3, tzinfo=UTC)
RUNS = "window.pwned=1;parent.pwned=1;top.pwned=1;alert('pwned')"
HOSTILE = (
    f"</script><script>{RUNS}</script>",
    f'<img src=x onerror="{RUNS}">',
    f'" onmouseover="{RUNS}" autofocus onfocus="{RUNS}" x="',
    f"' onerror='{RUNS}' src='x",
    f"javascript:{RUNS}",
    f"[click](javascript:{RUNS}) ![x](https://evil.example/x.png)",
    "<img src=https://evil.example/seen.png><link rel=stylesheet href=https://evil.example/x.css>",
    "<iframe src=https://evil.example></iframe><base href=https://evil.example>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    f"</textarea></title></style><svg onload={RUNS}>",
    f"]]><!--<script>{RUNS}</script>-->",
)


@pytest.fixture(scope="package")  # while Playwright is there, nothing else in its thread can run an event loop
def browser() -> Iterator[Browser]:
    """The system's Chromium, without anything that calls home."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("not tested: pages in a browser, for want of Chromium: apt-get install chromium")
    quiet = ["quic", "first-run", "background-networking", "component-update", "sync"]
    switches = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=switches)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """Open an address: ``visit(url, within=…, dark=False, width=1200)``, and let it ask for nothing elsewhere.

    Further arguments are those of a browser's context.
    """
    with visits(browser) as go:
        yield go


@pytest.fixture(scope="module")
def version_page(browser: Browser) -> Iterator[Callable[..., VersionPage]]:
    """Open the page of a version or model: ``version_page(registry, name, version=None, user=None, old=False)``.

    Each person has one window for the old interface, which alone has a menu of stages, and one for the new.
    """
    windows: dict[tuple[str | None, bool], Seen] = {}
    with visits(browser) as visit:

        def go(
            registry: Registry,
            name: str,
            version: int | None = None,
            user: str | None = None,
            *,
            old: bool = False,
        ) -> VersionPage:
            if (user, old) in windows:
                return VersionPage(windows[user, old], registry.url, name, version)
            storage = [{"name": key, "value": value} for key, value in ASSISTANT_IS_CLOSED.items()]
            windows[user, old] = visit(
                registry.url,
                width=1400,
                storage_state={"origins": [{"origin": registry.url, "localStorage": storage}]},
                http_credentials={"username": user, "password": PASSWORD} if user else None,
            )
            page = VersionPage(windows[user, old], registry.url, name, version)
            if old:
                page.leave_the_new_interface()
            return page

        yield go


@pytest.fixture(scope="session")
def hostile_words() -> list[str]:
    """Each of them runs a script or asks for a file, where it is taken for anything but words."""
    return list(HOSTILE)


@pytest.fixture(scope="session")
def hostile() -> GateReport:
    """A gate run in which every word that somebody else can choose was chosen to do harm."""
    verdicts, explanations = [], []
    for number, words in enumerate(HOSTILE):
        labels = (words, *HOSTILE[:3])
        shares = (0.4, 0.3, 0.2, 0.1)
        charts = (
            Histogram(words, words, labels, shares, shares[::-1], moved=True),
            Histogram(words, words, labels, shares, shares[::-1], ordered=True),
            BarChart(words, (Bar(words, 0.5, 0.4, 0.6, words, bad=True), Bar(f"champion {words}", 0.4)), 0.3),
        )
        outcome = list(Outcome)[number % 4]
        verdicts.append(Verdict(words, outcome, words, f"Column {words} has drifted.", {words: words}, 1.0))
        explanations.append(Explanation(charts, note=words))
    name = HOSTILE[1]
    evidence = Evidence(
        model=name,
        version=1,
        stage=HOSTILE[0],
        digest="d" * 64,
        policy_digest="b" * 64,
        verdicts=tuple(verdicts),
        created_at=NOW,
        expires_at=NOW + timedelta(days=7),
        data={words: words for words in HOSTILE},
        requested_by=HOSTILE[2],
        attempt=3,
    )
    return GateReport(evidence, lambda: explanations)


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A guarded MLflow server with its UI, and nothing in it."""
    with guarded(tmp_path_factory.mktemp("registry")) as started:
        yield started
