"""Ten times more requests than the capacity: how many are answered, and how fast the others are refused."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from contenders import Contender
from load import answers_at_rate, closed_loop
from models import Model, make_models

CONNECTIONS = 512
"""Connections; enough for ten times the load to arrive even if the first answers are slow."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(
        "| model | round | capacity, /s | offered, /s | answered, /s | of capacity | refused after, ms p50, p99 |"
    )
    print("| --- | --: | --: | --: | --: | --: | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for model in make_models(Path(folder)):
            for number in range(given.rounds):
                _overload(replace(model, name=f"{model.name}-pyfunc", compiled=None), number + 1, given.seconds)


def _overload(model: Model, number: int, seconds: int) -> None:
    with Contender("lifecycle").serving(model) as running:
        closed_loop(running.url, model.one, "application/json", 32, 2)
        capacity = closed_loop(running.url, model.one, "application/json", 32, seconds).per_second
        answers, took = answers_at_rate(running.url, model.one, 10 * capacity, CONNECTIONS, seconds)
    good = sum(status == 200 for status, _ in answers) / took
    refused = [ms for status, ms in answers if status == 429] or [0.0]
    p50, p99 = np.percentile(refused, [50, 99])
    print(
        f"| {model.name} | {number} | {capacity:,.0f} | {10 * capacity:,.0f} | {good:,.0f} "
        f"| {good / capacity:.0%} | {p50:.1f}, {p99:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
