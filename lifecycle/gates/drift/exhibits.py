"""What people get to see: how the columns are spread then and now, and Evidently's report."""

from __future__ import annotations

import logging

import pandas as pd

from lifecycle.domain.charts import EmbeddedPage, Histogram
from lifecycle.gates.drift.judge import Findings, Judged
from lifecycle.gates.drift.options import DriftOptions
from lifecycle.gates.drift.values import Picture

_log = logging.getLogger(__name__)

_MOST_PICTURES = 12
_MOST_COLUMNS = 20  # in Evidently's report: 2 s, and 0.1 s for each more


def histograms(findings: Findings) -> tuple[Histogram, ...]:
    """Of what moved first, then of labels and answers, then of the columns that moved most."""
    found = [*findings.labels, *findings.answers, *sorted(findings.counted, key=Judged.rank)]
    drawn = (_distribution(one) for one in sorted(found, key=lambda one: not one.moved))
    return tuple(picture for picture in drawn if picture)[:_MOST_PICTURES]


def evidently_page(
    findings: Findings, samples: tuple[pd.DataFrame, pd.DataFrame], options: DriftOptions
) -> tuple[EmbeddedPage, ...]:
    """Evidently's report on the columns that moved most; nothing where it breaks."""
    shown = [one.column.name for one in sorted(findings.counted, key=Judged.rank) if one.column.values]
    if not shown:
        return ()
    try:
        from lifecycle.gates.drift.evidently_report import evidently_report

        html = evidently_report(*samples, shown[:_MOST_COLUMNS], options.drift_distance, options.max_drifted_share)
    except Exception:
        _log.debug("Evidently's report broke", exc_info=True)
        return ()
    rows = f"{len(samples[1]):,} rows against {len(samples[0]):,} of the reference"
    return (EmbeddedPage("evidently.html", f"Evidently's report ({rows})", html, needs_scripts=True),)


def _distribution(one: Judged) -> Histogram | None:
    picture = _picture(one)
    if picture is None:
        return None
    return Histogram(
        one.column.name, _note(one), picture.labels, picture.reference, picture.current, one.moved, picture.ordered
    )


def _picture(one: Judged) -> Picture | None:
    values, nulls = one.column.values, one.column.nulls
    if values:
        return values.picture
    if one.moved and nulls:
        return Picture(("values", "nulls"), (1 - nulls.before, nulls.before), (1 - nulls.now, nulls.now))
    return None


def _note(one: Judged) -> str:
    values = one.column.values
    if values is None:
        return f"{one.why}: {one.finding}"
    measured = f"{values.unit} {values.distance:.2f}, chance gives {values.chance.distance:.2f}, p = {one.p:.2g}"
    return f"{measured}: {one.finding}"
