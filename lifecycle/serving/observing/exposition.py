"""All workers' boards as one page for Prometheus. Any worker reads the files of all.

prometheus_client writes the text; it is imported with the first scrape.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.serving.measures import DROPPED
from lifecycle.serving.observing import families as f
from lifecycle.serving.observing.board import Key, boards, read_board
from lifecycle.serving.observing.gauges import MODELS
from lifecycle.serving.observing.metrics import MEASURES

if TYPE_CHECKING:
    from prometheus_client import Metric

_Numbers = dict[Key, tuple[float, ...]]


class Boards:
    """The boards of all workers of one deployment.

    Args:
        folder: The folder of the boards.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def render(self, accept: str) -> tuple[bytes, str]:
        """Prometheus text or OpenMetrics, by the Accept header, and its Content-Type."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Every family that has a number, in the catalogue's order."""
        totals, gauges = self._read()
        for family in f.FAMILIES:
            if family is f.MODEL:
                yield _metric(family, ("worker",), [(key, (1.0,)) for key in self._models()])
                continue
            found = gauges if family.of_worker else totals
            extra = ("worker",) if family.of_worker else ()
            yield _metric(
                family, extra, [(key[1:], cells) for key, cells in found.items() if key[0] == family.name]
            )

    def _read(self) -> tuple[_Numbers, _Numbers]:
        """Series: counters and histograms summed; gauges with the worker's number as the last label."""
        own = {family.name for family in f.FAMILIES if family.of_worker}
        totals: _Numbers = {}
        gauges: _Numbers = {}
        for number, path in boards(self._folder):
            series, alive = read_board(path)
            for key, cells in _named(series):
                if key[0] in own:
                    if alive:
                        gauges[*key, str(number)] = cells
                else:
                    totals[key] = _added(totals.get(key), cells)
        return totals, gauges

    def _models(self) -> Iterator[Key]:
        for number, path in boards(self._folder):
            if read_board(path)[1]:
                try:
                    models = json.loads((self._folder / f"{number}{MODELS}").read_bytes())
                except FileNotFoundError:
                    continue  # it has loaded no version yet
                yield from ((*labels, str(number)) for labels in models)


def _named(series: _Numbers) -> Iterator[tuple[Key, tuple[float, ...]]]:
    """The engines' numbers under their families' names; other series have them already."""
    for key, cells in series.items():
        if key == MEASURES:
            yield (f.BATCHES.name,), cells[: f.BATCHES.cells]
            for reason, value in zip(DROPPED, cells[f.BATCHES.cells :], strict=True):
                yield (f.DROPPED.name, reason), (value,)
        else:
            yield key, cells


def _added(one: tuple[float, ...] | None, other: tuple[float, ...]) -> tuple[float, ...]:
    return other if one is None else tuple(a + b for a, b in zip(one, other, strict=True))


def _metric(family: f.Family, extra: tuple[str, ...], series: Iterable[tuple[Key, tuple[float, ...]]]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    labels = (*family.labels, *extra)
    if family.kind is f.Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(family.name, family.help, labels=labels)
        for key, (total, *buckets) in series:
            bounds = [*(repr(bound) for bound in family.bounds), "+Inf"]
            histogram.add_metric(key, list(zip(bounds, accumulate(buckets), strict=True)), total)
        return histogram
    make = GaugeMetricFamily if family.kind is f.Kind.GAUGE else CounterMetricFamily
    metric = make(family.name, family.help, labels=labels)
    for key, (value,) in sorted(series):
        metric.add_metric(key, value)
    return metric
