"""Serve the same models with every contender, send each the same requests, and print the tables."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from contenders import Contender, contenders
from load import Measured, at_rate, closed_loop
from models import Model, make_models

CASES = {"1 row, 1": (1, 1), "1 row, 8": (1, 8), "1 row, 32": (1, 32), "100 rows, 8": (100, 8)}
"""Rows per request and connections, by name."""
FAST = ("lifecycle", "bare", "static")
HALF = "1 row at half the first's rate"
"""One request rate for all fast servers, so that delays of the machine are the same for all."""


@dataclass
class Tally:
    """Results of one contender with one model, one list entry per round."""

    start_s: list[float]
    mib: list[float]
    cases: dict[str, list[Measured]]


def main() -> None:
    """Run the rounds, then print the tables."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        everyone = [c for c in contenders(given.environments) if not given.only or c.name in given.only]
        for model in make_models(Path(folder)):
            if given.model in ("", model.name):
                _print(model, _measure(model, everyone, given), given)


def _measure(model: Model, everyone: list[Contender], given: argparse.Namespace) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(lambda: Tally([], [], {}))
    for number in range(given.rounds):
        for contender in everyone:
            print(f"{model.name}, round {number + 1}: {contender.name}", flush=True)
            try:
                _measure_one(model, contender, tallies, given.seconds)
            except RuntimeError as exc:
                print(f"  left out: {exc}", flush=True)
    return tallies


def _measure_one(model: Model, contender: Contender, tallies: dict[str, Tally], seconds: int) -> None:
    tally = tallies[contender.name]
    with contender.serving(model) as running:
        tally.start_s.append(running.seconds)
        for name, url, body, content_type, connections in _asked(model, contender, running.url):
            tally.cases.setdefault(name, []).append(closed_loop(url, body, content_type, connections, seconds))
        if contender.name.startswith(FAST):
            ours = next(t for t in tallies.values() if t.cases).cases["1 row, 8"][-1].per_second
            tally.cases.setdefault(HALF, []).append(at_rate(running.url, model.one, ours / 2, 64, seconds))
        tally.mib.append(running.mib)


def _asked(model: Model, contender: Contender, url: str) -> Iterator[tuple[str, str, bytes, str, int]]:
    for name, (rows, connections) in CASES.items():
        body = contender.body(model.one if rows == 1 else model.hundred)
        yield name, url, body, "application/json", connections
    if contender.name.startswith("lifecycle"):
        yield "100 rows Arrow, 8", url, model.arrow, "application/vnd.apache.arrow.stream", 8


def _print(model: Model, tallies: dict[str, Tally], given: argparse.Namespace) -> None:
    if given.json:
        given.json.open("a").write(json.dumps({model.name: {n: asdict(t) for n, t in tallies.items()}}) + "\n")
    names = [*CASES, "100 rows Arrow, 8", HALF]
    print(f"\n### {model.name}\n\n| contender | ready, s | MiB | " + " | ".join(names) + " |")
    print("| --- | --: | --: |" + " --: |" * len(names))
    base = tallies.get("mlflow")
    for name, tally in tallies.items():
        if tally.start_s:
            cells = [_cell(tally, base, case) for case in names]
            print(
                f"| {name} | {_median(tally.start_s):.2f} | {_median(tally.mib):.0f} | " + " | ".join(cells) + " |"
            )


def _cell(tally: Tally, base: Tally | None, case: str) -> str:
    runs = tally.cases.get(case)
    if not runs:
        return ""
    rate, p99 = _median([r.per_second for r in runs]), _median([r.p99 for r in runs])
    errors = sum(r.errors for r in runs)
    plain = (base.cases.get(case.replace(" Arrow", "")) if base else None) or []
    ratio = f" ({rate / _median([r.per_second for r in plain]):.1f}x)" if plain else ""
    return f"{rate:,.0f}/s{ratio} p99 {p99:.1f} ms" + (f", {errors} errors" if errors else "")


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each run")
    parser.add_argument("--model", default="", choices=["", "logreg", "flights"], help="only this one")
    parser.add_argument("--only", action="append", help="only this contender; may be repeated")
    parser.add_argument("--environments", type=Path, default=Path("peers"), help="of the peers")
    parser.add_argument("--json", type=Path, help="append every figure to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
