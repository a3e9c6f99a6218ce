"""The verdict, from what is said of each column."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.drift.columns import Finding
from lifecycle.gates.drift.judge import Findings, Judged
from lifecycle.gates.drift.options import DriftOptions
from lifecycle.gates.verdicts import broke, failed, inconclusive, listing, passed, percent

_GATE = "drift"
_LISTED = 7  # columns whose distances and p-values are among the figures


def decide(findings: Findings, source: str, options: DriftOptions) -> Verdict:
    """What fails comes first, then what broke, then what could not be judged."""
    figures = _figures(findings, options)
    return (
        _incomparable(findings, source, figures)
        or _failed(findings, _summary(findings, source), figures, options)
        or _unjudged(findings, _summary(findings, source), figures)
        or _passed(findings, source, figures, options)
    )


def _incomparable(findings: Findings, source: str, figures: dict[str, Figure]) -> Verdict | None:
    changed = _words((*findings.columns, *findings.labels), Finding.OTHER_KIND)
    if changed:
        message = (
            f"{source} holds other kinds of values than the reference in: {listing(changed)}. "
            "If it is a CSV file, give Parquet, which keeps types."
        )
        return failed(_GATE, "type_changed", message, {**figures, "changed_columns": len(changed)})
    if not findings.counted:
        message = "There is nothing to compare: no column holds a value on either side."
        return inconclusive(_GATE, "no_values", message, figures)
    return None


def _failed(findings: Findings, summary: str, figures: dict[str, Figure], options: DriftOptions) -> Verdict | None:
    allowed = options.max_drifted_share
    if findings.drifted_share > allowed:
        drifted = listing(_moved(findings.counted))
        message = f"{summary}; {percent(allowed)} may. Drifted: {drifted}. Retrain on newer rows."
        return failed(_GATE, "share_exceeded", message, figures)
    if beyond := _words(findings.counted, Finding.BEYOND):
        message = (
            f"{summary}, and these further than any single one may: {listing(beyond)}. "
            "If that is as it should be, name them in 'leave_out'; else mend the data, or retrain on newer rows."
        )
        return failed(_GATE, "column_exceeded", message, figures)
    if target := _moved(findings.labels):
        limit = f"{options.max_target_distance:g}"
        message = (
            f"{summary}, but the labels are further away than {limit}: {listing(target)}. Retrain on newer rows."
        )
        return failed(_GATE, "target_drifted", message, figures)
    if answers := _moved(findings.answers):
        message = (
            f"{summary}, but the model's answers are further away than {options.max_prediction_distance:g}: "
            f"{listing(answers)}. Retrain on newer rows."
        )
        return failed(_GATE, "predictions_drifted", message, figures)
    return None


def _unjudged(findings: Findings, summary: str, figures: dict[str, Figure]) -> Verdict | None:
    rows = (*findings.counted, *findings.labels)
    if broken := _words(rows, Finding.BROKE):
        return broke(_GATE, "column_broke", f"{summary}, but comparing broke on {listing(broken)}.", figures)
    if broken := _words(findings.answers, Finding.BROKE):
        message = f"{summary}, but the model broke on a sample of the rows: {listing(broken)}."
        return broke(_GATE, "predictions_broke", message, figures)
    if unjudged := _words(rows, Finding.UNJUDGED):
        message = (
            f"{summary}, but these cannot be judged: {listing(unjudged)}. Give more rows, "
            "or put the columns into 'leave_out'."
        )
        return inconclusive(_GATE, "columns_unjudged", message, figures)
    silent = [found.words for found in findings.answers if found.finding in (Finding.UNJUDGED, Finding.EMPTY)]
    if silent:
        message = (
            f"{summary}, but the model's answers cannot be judged: {listing(silent)}. "
            "Give rows that it can score, or set 'max_prediction_distance' to null."
        )
        return inconclusive(_GATE, "predictions_unjudged", message, figures)
    return None


def _passed(findings: Findings, source: str, figures: dict[str, Figure], options: DriftOptions) -> Verdict:
    drifted = _moved(findings.counted)
    named = f": {listing(drifted)}" if drifted else ""
    message = f"{_summary(findings, source)}, at most {percent(options.max_drifted_share)} may{named}."
    return passed(_GATE, message, figures)


def _summary(findings: Findings, source: str) -> str:
    moved, all_ = len(_moved(findings.counted)), len(findings.counted)
    return f"{moved} of {all_} columns of {source} have drifted ({percent(findings.drifted_share)})"


def _moved(found: Iterable[Judged]) -> list[str]:
    return [one.words for one in sorted(found, key=Judged.rank) if one.moved]


def _words(found: Iterable[Judged], finding: Finding) -> list[str]:
    return [one.words for one in sorted(found, key=Judged.rank) if one.finding is finding]


def _figures(findings: Findings, options: DriftOptions) -> dict[str, Figure]:
    counted = findings.counted
    return {
        "columns": len(counted),
        "drifted": len(_moved(counted)),
        "drifted_share": findings.drifted_share,
        "max_drifted_share": options.max_drifted_share,
        "beyond_limit": len(_words(counted, Finding.BEYOND)),
        "max_column_distance": options.max_column_distance,
        "sample_rows": options.sample_rows,
        "seed": options.seed,
        **_largest("target_distance", findings.labels),
        **_largest("prediction_distance", findings.answers),
        **{f"distance.{one.column.name}": _rounded(one.distance) for one in _measured(counted)[:_LISTED]},
        **{f"p.{one.column.name}": float(f"{one.p:.2g}") for one in _measured(counted)[:_LISTED]},
    }


def _largest(name: str, found: Iterable[Judged]) -> dict[str, Figure]:
    measured = _measured(found)
    return {name: _rounded(measured[0].distance)} if measured else {}


def _measured(found: Iterable[Judged]) -> list[Judged]:
    return [one for one in sorted(found, key=Judged.rank) if one.column.values]


def _rounded(distance: float) -> float:
    return float(f"{distance:.4g}")
