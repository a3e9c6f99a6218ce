from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lifecycle.serving.control import Desired
from lifecycle.serving.plan import Plan
from lifecycle.serving.settings import Settings


def desired(name: str = "flights", compiled: str = "/compiled", **settings) -> Desired:
    return Desired(1, name, "flights-delay", 3, "ab" * 32, "/snapshot", compiled, Settings(**settings))


def plan(*wanted: Desired) -> Plan:
    return Plan(1, wanted[0].deployment, {one.deployment: one for one in wanted})


def test_a_worker_is_told_of_every_model_with_the_servers_settings():
    told = plan(desired(max_body=5), desired("wine"))
    heard = Plan.from_message(json.loads(json.dumps(told.as_message())))
    assert (heard.round, heard.host, list(heard.wanted)) == (1, "flights", ["flights", "wine"])
    assert [one.settings for one in heard.wanted.values()] == [Settings(max_body=5)] * 2


def test_a_generation_that_changes_nothing_is_the_same_plan():
    one = desired()
    assert plan(one).same(plan(replace(one, generation=7, timeout_s=1.0)))
    assert not plan(one).same(plan(replace(one, version=4)))
    assert not plan(one).same(plan(one, desired("wine")))


def test_workers_are_processes_unless_pyfunc_alone_serves():
    assert plan(desired(workers=3)).size == 3
    assert plan(desired(compiled="", workers=3)).size == 1
    assert plan(desired(compiled="", workers=3), desired("wine")).size == 3


@pytest.mark.parametrize(
    ("change", "new"),
    [
        ({"max_body": 5}, False),
        ({"capture": 0.5, "access_log": "json"}, False),
        ({"workers": 4}, False),
        ({"tls_cert": "/cert.pem"}, True),
        ({"batch_latency_ms": 5.0}, True),
    ],
)
def test_only_what_is_built_into_a_worker_needs_new_ones(change, new):
    assert plan(desired(**change)).needs_new_processes(plan(desired())) is new


def test_the_scorers_of_a_pyfunc_model_are_built_into_its_worker():
    before, after = (desired(compiled="", workers=workers) for workers in (1, 4))
    assert plan(after).needs_new_processes(plan(before))
