"""The page, the dashboard and the alerts speak of metrics that there are, and the page of all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lifecycle.serving.observing.exposition import Boards
from lifecycle.serving.observing.families import FAMILIES, Kind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/serving-observability.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "docs/grafana/rest.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((ROOT / "docs/grafana/alerts.yml").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))

ENDINGS = {Kind.COUNTER: ("_total",), Kind.OWN: ("_total",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ()}
SAMPLES = {
    family.name + ending: {*family.labels, *(("worker",) if family.of_worker else ())}
    for family in FAMILIES
    for ending in ENDINGS[family.kind] or ("_bucket", "_sum", "_count")
}
OF_PROMETHEUS = {"job", "le"}


def expressions() -> dict[str, str]:
    """Every query, by the panel or the alert that asks it."""
    found = {}
    for panel in DASHBOARD["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = variable["definition"]
    for group in ALERTS["groups"]:
        found |= {rule["alert"]: rule["expr"] for rule in group["rules"]}
    return found


@pytest.mark.parametrize(("who", "expression"), expressions().items(), ids=expressions())
def test_what_is_asked_for_exists_with_its_labels(who, expression):
    names = re.findall(r"\blifecycle_\w+", expression)
    assert names
    assert set(names) <= set(SAMPLES)
    known = OF_PROMETHEUS.union(*(SAMPLES[name] for name in names))
    used = {label.strip() for labels in re.findall(r"by \(([^)]+)\)", expression) for label in labels.split(",")}
    used |= set(re.findall(r"(\w+)(?:=|!=|=~)\"", expression))
    assert used <= known


def test_the_page_documents_every_metric_as_it_is():
    rows = re.findall(r"^\| `(lifecycle_\w+)` \| (\w+) \| ([^|]+) \| (.+) \|$", PAGE, re.MULTILINE)
    told = {name: (kind, set(re.findall(r"`(\w+)`", labels)), meaning) for name, kind, labels, meaning in rows}
    kinds = {Kind.OWN: "counter"}
    assert told == {
        family.name + (*ENDINGS[family.kind], "")[0]: (
            kinds.get(family.kind, str(family.kind)),
            {*family.labels, *(("worker",) if family.of_worker else ())},
            f"{family.help}.",
        )
        for family in FAMILIES
    }


def test_a_scraper_is_told_the_same_kinds_and_meanings(tmp_path):
    registry = CollectorRegistry()
    registry.register(Boards(tmp_path))
    shown = {f.name: f.documentation for f in text_string_to_metric_families(generate_latest(registry).decode())}
    assert shown == {family.name: family.help for family in FAMILIES}


def test_panels_do_not_overlap_and_can_be_told_apart():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for p in (panel["gridPos"] for panel in panels)
        for x in range(p["x"], p["x"] + p["w"])
        for y in range(p["y"], p["y"] + p["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_compose_hands_both_to_prometheus_and_grafana():
    files = {config.get("file") for config in COMPOSE["configs"].values()}
    assert {"./docs/grafana/rest.json", "./docs/grafana/alerts.yml"} <= files
    inside = {config["source"]: config["target"] for config in COMPOSE["services"]["grafana"]["configs"]}
    provider = yaml.safe_load(COMPOSE["configs"]["grafana_dashboards_yml"]["content"])["providers"][0]
    assert inside["grafana_rest_json"].startswith(provider["options"]["path"] + "/")
    scraped = yaml.safe_load(COMPOSE["configs"]["prometheus_yml"]["content"])
    alerts = {config["source"]: config["target"] for config in COMPOSE["services"]["prometheus"]["configs"]}
    assert scraped["rule_files"] == [alerts["alerts_yml"]]
