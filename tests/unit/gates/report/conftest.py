"""A gate run with everything that a report can show, and one whose every word was written to do harm."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.domain.charts import Bar, BarChart, EmbeddedPage, Explanation, Histogram
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.gates.report import GateReport

NOW = datetime(2026, 11, 21, 10, 3, tzinfo=UTC)
HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=2>",
    '" onmouseover="window.pwned=3" x=\'',
    "[click](javascript:window.pwned=4) | ` * _ $x^2$ @everybody https://evil.example www.evil.example",
    "null \0 escape \x1b[31m bell \a turned \u202egnp.exe not a character \uffff half \ud800",
    "many\nlines\r\n\n| more",
    "x" * 500,
    "{{ 7 * 7 }}{% raw %}",
)


@pytest.fixture(scope="session")
def moved():
    """A column whose values have gone up."""
    labels = tuple(f"{n} to {n + 5}" for n in range(0, 50, 5))
    return Histogram("dep_delay", "distance 0.61", labels, (0.1,) * 10, (0.05,) * 5 + (0.15,) * 5, True, True)


@pytest.fixture(scope="session")
def slices():
    """A metric by category, one of them too low."""
    bars = (
        Bar("candidate", 0.81, 0.79, 0.83, "27,111 rows"),
        Bar("champion", 0.80, 0.78, 0.82, "27,111 rows"),
        Bar("carrier = OO", 0.61, 0.5, 0.72, "40 rows", bad=True),
    )
    return BarChart("roc_auc by carrier", bars, 0.7)


@pytest.fixture(scope="session")
def evidence():
    """One verdict of each kind."""
    verdicts = (
        Verdict(
            "signature", Outcome.PASSED, "signature.passed", "All good.", {"inputs": 7, "old": True}, 0.123456
        ),
        Verdict(
            "drift",
            Outcome.FAILED,
            "drift.share_exceeded",
            "1 of 2 columns has drifted: dep_delay.",
            {"share": 0.5, "rows": 123456},
            3.2,
        ),
        Verdict("data_quality", Outcome.INCONCLUSIVE, "data_quality.no_suite", "No suite."),
        Verdict("performance", Outcome.PASSED, "performance.passed", "0.81", {"roc_auc": 0.81}, 1.4),
        Verdict("latency", Outcome.ERROR, "latency.crashed", "Its process ended with SIGSEGV."),
    )
    return Evidence(
        model="flights-delay",
        version=3,
        stage="production",
        digest="d" * 64,
        policy_digest="b" * 64,
        verdicts=verdicts,
        created_at=NOW,
        expires_at=NOW + timedelta(days=7),
        data={"reference": "a" * 64, "current": "c" * 64},
        requested_by="ada",
        attempt=3,
    )


@pytest.fixture(scope="session")
def report(evidence, moved, slices):
    """The same gate run with something to show of each verdict but the first and the last."""
    calm = Histogram("origin", "distance 0.02", ("EWR", "JFK"), (0.5, 0.5), (0.48, 0.52))
    evidently = EmbeddedPage("evidently.html", "Evidently: drift", "<script>draw()</script>", needs_scripts=True)
    expectations = EmbeddedPage("great_expectations.html", "Great Expectations", "<h1>Validation</h1>")
    shown = [(), (calm, moved, evidently), (expectations,), (slices,), ()]
    return GateReport(evidence, lambda: tuple(map(Explanation, shown)))


@pytest.fixture(scope="session", params=range(len(HOSTILE)), ids=lambda index: f"hostile-{index}")
def harm(request):
    """A text that was written to do harm."""
    return HOSTILE[request.param]


@pytest.fixture(scope="session")
def hostile(evidence, harm):
    """The same words wherever somebody else's words can stand."""
    charts = (
        Histogram(harm, harm, (harm, "b"), (0.5, 0.5), (0.1, 0.9), True),
        Histogram(harm, harm, (harm, "b", harm), (0.5, 0.2, 0.3), (0.1, 0.9, 0.0), False, True),
        BarChart(harm, (Bar(harm, 0.5, 0.4, 0.6, harm), Bar(f"champion {harm}", 0.4)), 0.3),
        EmbeddedPage(harm, harm, f"<p>{harm}</p>", needs_scripts=True),
    )
    verdict = Verdict(harm, Outcome.FAILED, f"gate.{harm}", harm, {harm: harm, f"{harm}2": 1.0}, 1.0)
    words = {"model": harm, "stage": harm, "requested_by": harm, "data": {harm: harm}}
    explanation = Explanation(charts, note=harm)
    return GateReport(replace(evidence, **words, verdicts=(verdict,)), lambda: (explanation,))


@pytest.fixture(scope="session")
def of(evidence):
    """The same gate run with other verdicts."""
    return lambda *verdicts: replace(evidence, verdicts=verdicts)


@pytest.fixture(scope="session")
def showing(of):
    """A report on one verdict with these charts."""

    def build(*charts, note="", outcome=Outcome.FAILED, message="Too much."):
        verdict = Verdict("drift", outcome, "drift.x", message)
        return GateReport(of(verdict), lambda: (Explanation(charts, note),))

    return build
