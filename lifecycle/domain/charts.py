"""Charts and embedded pages that explain a verdict, as data; :mod:`lifecycle.gates.report` draws them.

They are made after the verdict is recorded and are not part of the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Histogram:
    """Distribution of one column in reference and current rows.

    Attributes:
        column: The column.
        note: Measured distance and result, such as ``distance 0.34: drifted``.
        labels: One for each bin or category, in order, such as ``-5 to 0`` or ``AA``.
        reference, current: Share of the rows in each, 0 to 1; as many as ``labels``.
        moved: Whether the column has drifted; such columns are shown first.
        ordered: Whether ``labels`` are bins of a scale, drawn as a histogram; else categories, drawn as bars.
    """

    column: str
    note: str
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    moved: bool = False
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One measured value.

    Attributes:
        label: What was measured, such as ``candidate``, ``champion`` or ``carrier = AA``.
        low, high: Bounds of its confidence interval, where there is one.
        note: Such as ``1,234 rows``.
        bad: Whether it fails the gate.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class BarChart:
    """Values side by side, with the limit that they are compared with.

    Attributes:
        title: Such as ``roc_auc by carrier``.
        limit: Threshold on the same scale, or None.
    """

    title: str
    bars: tuple[Bar, ...]
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedPage:
    """A report that another tool wrote, as untrusted HTML.

    Attributes:
        file_name: Such as ``evidently.html``.
        title: What it is, for the link to it.
        needs_scripts: Whether it needs JavaScript, which then runs in a frame without access to anything else.
    """

    file_name: str
    title: str
    html: str
    needs_scripts: bool = False


Chart = Histogram | BarChart | EmbeddedPage


@dataclass(frozen=True, slots=True)
class Explanation:
    """Charts and pages that explain one verdict.

    Attributes:
        note: Why charts are missing, in one sentence; empty if none is.
    """

    charts: tuple[Chart, ...] = ()
    note: str = ""
