"""/metrics says what happened: of every worker, whichever is asked, and also of those that were killed."""

from __future__ import annotations

import subprocess
import sys

import orjson
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from lifecycle.processes.process import wait_until
from lifecycle.serving.kept import clean_up
from lifecycle.serving.measures import ABANDONED, EXPIRED
from lifecycle.serving.observing import families

BY = ("names", "mlflow")  # the labels' values in the order of their names: model, protocol
PAGE = ("", "page")


def test_a_request_is_counted_with_its_rows_bytes_and_stages(start):
    site = start()
    sent = len(site.score("a", "bc")[2])
    figures = site.figures()
    assert figures["lifecycle_requests_total", "200", *BY] == 1
    assert figures["lifecycle_rows_total", *BY] == 2
    assert figures["lifecycle_request_bytes_total", *BY] == len(b'{"inputs":{"name":["a","bc"],"more":[0.5,0.5]}}')
    assert figures["lifecycle_response_bytes_total", *BY] == sent
    assert figures["lifecycle_request_seconds_count", *BY] == 1
    stages = [
        figures["lifecycle_stage_seconds_sum", *BY, stage] for stage in ("read", "decode", "score", "encode")
    ]
    assert sum(stages) == pytest.approx(figures["lifecycle_request_seconds_sum", *BY])


def test_refusals_are_counted_by_their_reason(start):
    site = start(max_body=100)
    told = orjson.loads(site.ask({"inputs": {"nome": ["a"]}})[2])["error_code"]
    site.score("x" * 200)
    site.ask(method="GET", path="/nowhere")
    figures = site.figures()
    assert figures["lifecycle_refusals_total", *BY, told] == 1
    assert sum(v for key, v in figures.items() if key[0] == "lifecycle_refusals_total") == 3
    assert figures["lifecycle_refusals_total", *PAGE, "ENDPOINT_NOT_FOUND"] == 1


def test_a_model_that_breaks_is_an_error_and_no_value_is_told(start):
    site = start()
    assert site.score("break")[0] == 500
    figures = site.figures()
    assert figures["lifecycle_requests_total", "500", *BY] == 1
    assert figures["lifecycle_stage_seconds_count", *BY, "decode"] == 1
    assert figures["lifecycle_stage_seconds_count", *BY, "score"] == 0
    assert b"break" not in site.state.exposition.render("")[0]


def test_a_client_that_hung_up_is_counted(start):
    site = start()
    assert site.ask(gone=True) is None
    assert sum(v for key, v in site.figures().items() if key[:2] == ("lifecycle_requests_total", "499")) == 1


def test_whatever_clients_ask_for_there_are_no_more_series(start):
    site = start()
    site.ask(method="GET", path="/0")

    def labels() -> set[tuple[str, ...]]:
        return {
            key for key in site.figures() if key[0] in ("lifecycle_requests_total", "lifecycle_refusals_total")
        }

    before = labels()
    for number in range(1, 200):
        site.ask(method="GET", path=f"/{number}", headers=[(b"x-request-id", b"%d" % number)])
    assert labels() == before
    assert site.figures()["lifecycle_requests_total", "404", *PAGE] == 200


def test_any_worker_answers_for_all(start):
    one, other = start(), start()
    one.score("a")
    other.score("a", "b")
    for asked in (one, other):
        figures = asked.figures()
        assert figures["lifecycle_requests_total", "200", *BY] == 2
        assert figures["lifecycle_rows_total", *BY] == 3
        assert {key[1] for key in figures if key[0] == "lifecycle_ready"} == {"0", "1"}


KILLED = """
import os, signal, sys
from pathlib import Path
from lifecycle.serving.observing.board import Board
board = Board(Path(sys.argv[1]) / "metrics")
place = board.cells(("lifecycle_rows", "mlflow", "names"), 1)
for _ in range(1000):
    board.values[place] += 1
board.values[board.cells(("lifecycle_ready",), 1)] = 1
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_worker_counted_is_neither_lost_nor_counted_twice(start, tmp_path):
    (tmp_path / "metrics").mkdir()
    for killed in range(1, 4):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
        site = start()  # takes the dead one's place, and its file
        assert site.figures()["lifecycle_rows_total", *BY] == 1000 * killed
        assert {key[1] for key in site.figures() if key[0] == "lifecycle_ready"} <= {"0"}
        assert site.figures()["lifecycle_worker_starts_total",] == killed
        site.close()
    assert len(list(tmp_path.glob("metrics/*.counts"))) == 1


def test_the_dead_have_counts_but_no_present(start, tmp_path):
    site = start()
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    figures = site.figures()
    assert figures["lifecycle_rows_total", *BY] == 1000
    assert {key[1] for key in figures if key[0] == "lifecycle_ready"} == {"0"}


def test_a_new_server_counts_anew(start, tmp_path):
    site = start()
    site.score("a")
    site.close()
    clean_up(tmp_path)
    assert ("lifecycle_rows_total", *BY) not in start().figures()


def test_which_versions_answer_and_how_often_that_changed(start):
    site = start()

    def shows(version: str, swaps: float) -> bool:
        figures = site.figures()
        infos = [key for key in figures if key[0] == "lifecycle_model_info"]
        return (
            len(infos) == 1
            and version in infos[0]
            and figures.get(("lifecycle_model_swaps_total",), 0) == swaps
            and {"names", "name-lengths", "ab" * 32, "compiled"} < set(infos[0])
        )

    wait_until(lambda: shows("1", 0), 10, "the first version is shown")
    site.serve(2)
    wait_until(lambda: shows("2", 1), 10, "the second version is shown")


def test_batches_and_dropped_work_are_what_the_engine_says(start):
    site = start()
    for rows in (1, 2, 3, 4, 70_000):
        site.state.measures.batched(rows)
    site.state.measures.dropped(EXPIRED)
    site.state.measures.dropped(ABANDONED)
    site.state.measures.dropped(ABANDONED)
    figures = site.figures()
    buckets = [figures["lifecycle_batch_rows_bucket", le] for le in ("1.0", "2.0", "4.0", "65536.0", "+Inf")]
    assert buckets == [1, 2, 4, 4, 5]
    assert figures["lifecycle_batch_rows_sum",] == 70_010
    assert (figures["lifecycle_dropped_total", "expired"], figures["lifecycle_dropped_total", "abandoned"]) == (
        1,
        2,
    )


def test_openmetrics_is_there_for_those_who_prefer_it(start):
    site = start()
    site.score("a")
    text, content_type = site.state.exposition.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert {family.name for family in parse_openmetrics(text.decode())} == {f.name for f in families.FAMILIES}


def test_the_page_is_what_is_rendered(start):
    status, headers, body = start().ask(method="GET", path="/metrics")
    assert (status, headers["content-type"][:10]) == (200, "text/plain")
    assert b"lifecycle_worker_starts_total 1.0" in body
