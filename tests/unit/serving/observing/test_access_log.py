"""A line a request, that says everything but what was in it."""

from __future__ import annotations

import json
import logging

import pytest

from lifecycle.serving.observing.json_logging import JsonLogging

SECRET = "hunter2"


@pytest.fixture
def lines(capfd):
    def lines(site) -> list[dict]:
        site.close()
        return [json.loads(line) for line in capfd.readouterr().err.splitlines() if '"access"' in line]

    return lines


def test_a_line_says_who_asked_what_and_how_it_went(start, lines):
    site = start(access_log="json")
    told = site.score("a", "bc", headers=[(b"x-request-id", b"order-17/3")])[1]
    (line,) = lines(site)
    assert told["x-request-id"] == "order-17/3"
    expected = {
        "request_id": "order-17/3",
        "method": "POST",
        "route": "/invocations",
        "protocol": "mlflow",
        "deployment": "names",
        "model": "name-lengths",
        "version": 1,
        "digest": "ab" * 32,
        "status": 200,
        "reason": None,
        "rows": 2,
        "level": "INFO",
        "logger": "access",
    }
    assert expected.items() <= line.items()
    assert set(line["ms"]) == {"read", "decode", "score", "encode", "total"}
    assert line["bytes_in"] > 0 < line["bytes_out"]
    assert line["time"].endswith("+00:00")


def test_it_never_holds_values_keys_or_raw_paths(start, lines):
    site = start(access_log="json")
    headers = [(b"authorization", b"Bearer " + SECRET.encode()), (b"x-api-key", SECRET.encode())]
    site.score(SECRET, headers=headers)
    refused = json.loads(site.ask({"inputs": {SECRET: [1]}})[2])
    site.ask(method="GET", path=f"/{SECRET}")
    found = lines(site)
    assert [line["status"] for line in found] == [200, 400, 404]
    assert found[1]["reason"] == refused["error_code"]
    assert found[2]["route"] is None
    assert SECRET not in json.dumps(found)


@pytest.mark.parametrize("given", [b"a b", b"x" * 129, b'"}\n{"level": "ERROR"', b""])
def test_an_id_that_may_forge_lines_is_replaced(start, lines, given):
    site = start(access_log="json")
    told = site.score("a", headers=[(b"x-request-id", given)])[1]["x-request-id"]
    assert told.encode() != given
    assert [line["request_id"] for line in lines(site)] == [told]


def test_every_request_has_an_id_of_its_own(start, lines):
    site = start(access_log="json")
    told = [site.score("a")[1]["x-request-id"] for _ in range(20)]
    assert [line["request_id"] for line in lines(site)] == told
    assert len(set(told)) == 20


def test_an_update_turns_it_on_and_off(start, lines):
    site = start()
    assert "x-request-id" not in site.score("before")[1]
    site.change(access_log="json")
    site.score("during", headers=[(b"x-request-id", b"1")])
    site.change(access_log="none")
    site.score("after")
    assert [line["request_id"] for line in lines(site)] == ["1"]


def test_more_than_can_be_written_is_dropped_and_counted(start, monkeypatch):
    monkeypatch.setattr("lifecycle.serving.observing.access_log._MOST_WAITING", 0)
    site = start(access_log="json")
    assert site.score("a")[0] == 200
    assert site.figures()["lifecycle_log_dropped_lines_total",] == 1


def test_the_servers_own_log_has_the_same_form_and_quotes_nobody(capsys):
    logger, handler = logging.getLogger("some.place"), logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    switch = JsonLogging()
    switch.switch(True)
    try:
        try:
            raise ValueError(f"cannot take {SECRET}")
        except ValueError:
            logger.exception("it broke")
    finally:
        switch.switch(False)
        logging.getLogger().removeHandler(handler)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "some.place", "it broke")
    assert line["exception"] == "ValueError"
    assert any("test_access_log.py" in place for place in line["at"])
    assert SECRET not in json.dumps(line)
