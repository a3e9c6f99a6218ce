"""Gates run in another process: whatever one of them does, the others answer and nothing is left running."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import pandas as pd
import psutil
import pytest

from lifecycle.domain.model import ModelVersion, Snapshot, TrackedData
from lifecycle.domain.policy import GateSpec
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import ConfigError
from lifecycle.gates.run import GateJob, Progress
from lifecycle.gates.subprocess_runner import run_isolated
from lifecycle.processes.fork_server import ForkServer

pytestmark = pytest.mark.slow

GATES = """
    import ctypes, os, subprocess, sys, tempfile, time
    from pathlib import Path
    from lifecycle.domain.charts import Bar, BarChart
    from lifecycle.domain.verdict import Outcome, Verdict
    from lifecycle.gates.contract import GateOptions, findings_of
    from lifecycle.gates.contract import failed, passed

    class Base:
        Options = GateOptions
        before_loading = False
        def __init__(self, options):
            self.options = options

    class Rows(Base):
        name = "rows"
        def evaluate(self, subject):
            print("this is no message")
            rows = subject.current().count
            return Verdict("rows", Outcome.PASSED, "rows.passed", str(os.getpid()), {"rows": rows})
        def explain(self, subject, verdict):
            print("nor is this")
            return [BarChart("rows", (Bar("current", float(subject.current().count)),), limit=1.5)]

    class Hangs(Base):
        name = "hangs"
        def evaluate(self, subject):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {child.pid} {tempfile.mkdtemp()}")
            time.sleep(600)

    class Crashes(Base):
        name = "crashes"
        def evaluate(self, subject):
            ctypes.string_at(0)

    class Leaves(Base):
        name = "leaves"
        def evaluate(self, subject):
            os._exit(0)

    class Babbles(Base):
        name = "babbles"
        def evaluate(self, subject):
            return Verdict("babbles", "PERFECT", "babbles.passed", "Trust me.")

    class Ruins(Base):
        name = "ruins"
        def evaluate(self, subject):
            return passed("ruins", "Fine.")
        def explain(self, subject, verdict):
            os._exit(1)

    class Loads(Base):
        name = "loads"
        def evaluate(self, subject):
            subject.candidate.scorer
            return passed("loads", "It was loaded.")

    class Spies(Base):
        name = "spies"
        def evaluate(self, subject):
            secrets = [name for name in os.environ if "KEY" in name or name.startswith("MLFLOW_TRACKING_")]
            return failed("spies", "seen", ", ".join(secrets) or "nothing")

    class Parent(Base):
        name = "parent"
        def evaluate(self, subject):
            return passed("parent", str(os.getppid()))

    class Imports(Base):
        name = "imports"
        def evaluate(self, subject):
            heavy = {"mlflow", "numpy", "pandas", "sklearn"}
            return passed("imports", " ".join(sorted(heavy & set(sys.modules))))

    class Needs(Base):
        name = "needs"
        def evaluate(self, subject):
            had = "onnxruntime" in sys.modules
            import onnxruntime
            return passed("needs", f"{had} {len(os.listdir(f'/proc/{os.getppid()}/task'))}")

    class Threads(Base):
        name = "threads"
        def evaluate(self, subject):
            import threadpoolctl
            info = threadpoolctl.threadpool_info()
            return passed("threads", " ".join({str(i["num_threads"]) for i in info if i["user_api"] == "blas"}))

    class Surroundings(Base):
        name = "surroundings"
        def evaluate(self, subject):
            import numpy
            numbers = os.getsid(0), os.getpgid(0), os.getpid()
            seen = os.environ["PIDS"], os.getcwd(), numpy.random.random(), *numbers
            return passed("surroundings", "|".join(map(str, seen)))

    class Remembers(Base):
        name = "remembers"
        def evaluate(self, subject):
            subject.findings["remembers"] = str(os.getpid())
            return passed("remembers", str(os.getpid()))
        def explain(self, subject, verdict):
            return [BarChart(findings_of(self, subject), (Bar("one", 1.0),))]

    class Scans(Base):
        name = "scans"
        before_loading = True
        def evaluate(self, subject):
            return failed("scans", "evil", "Not to be loaded.")
"""
NAMES = ("Rows", "Hangs", "Crashes", "Leaves", "Babbles", "Ruins", "Loads", "Spies", "Scans")
NAMES += ("Parent", "Imports", "Threads", "Surroundings", "Remembers", "Needs")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with an installed package of gates that misbehave."""
    site = tmp_path_factory.mktemp("site")
    info = site / "unruly_gates-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unruly-gates\nVersion: 1.0\n")
    entries = [f"{name.lower()} = unruly_gates:{name}" for name in NAMES]
    (info / "entry_points.txt").write_text("[lifecycle.gates]\n" + "\n".join(entries))
    (site / "unruly_gates.py").write_text(dedent(GATES))
    return site


@pytest.fixture(autouse=True)
def gates(site, tmp_path, monkeypatch):
    """The package is there for this process and its children."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))


def job(*gates, **fields):
    specs = tuple(gate if isinstance(gate, GateSpec) else GateSpec(gate) for gate in gates)
    current = pd.DataFrame({"x": [1, 2, 3]})
    return GateJob(specs, "s", (ModelVersion("m", 1), Snapshot("0" * 64, None)), **{"current": current} | fields)


def outcomes(results):
    return [(v.gate, str(v.outcome), v.reason.partition(".")[2]) for v in results.verdicts]


def test_verdicts_pictures_and_fingerprints_come_back_from_another_process(capfd):
    told = []
    results = run_isolated(job("rows"), Progress(told.append, lambda v: told.append(v.outcome)))
    (verdict,) = results.verdicts
    assert verdict.message != str(os.getpid())
    assert dict(verdict.figures) == {"rows": 3}
    assert verdict.seconds > 0
    assert set(results.data) == {"current"}
    assert told == ["rows", Outcome.PASSED]
    (explanation,) = results.explain()
    assert explanation.charts[0].bars[0].value == 3.0
    out = capfd.readouterr().out
    assert "this is no message" not in out
    assert "nor is this" not in out


def test_a_chart_that_takes_its_process_down_costs_no_verdict():
    results = run_isolated(job("ruins", "rows"), Progress())
    assert [outcome for _, outcome, _ in outcomes(results)] == ["PASSED", "PASSED"]
    explained = results.explain()
    assert [explanation.charts for explanation in explained] == [(), ()]
    assert all("not made" in explanation.note for explanation in explained)


def test_a_gate_that_overruns_its_time_is_stopped_with_all_it_started_and_the_rest_still_runs(tmp_path):
    results = run_isolated(job(GateSpec("hangs", {"max_seconds": 3}), "rows"), Progress())
    assert outcomes(results) == [("hangs", "INCONCLUSIVE", "timed_out"), ("rows", "PASSED", "passed")]
    assert "longer than 3 s" in results.verdicts[0].message
    worker, child, scratch = (tmp_path / "pids").read_text().split()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(child)) and psutil.Process(int(child)).status() != "zombie":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not psutil.pid_exists(int(worker))
    assert not Path(scratch).exists()


def test_what_signs_and_signs_in_is_not_handed_to_the_models_code(monkeypatch):
    for name in (
        "LIFECYCLE_SIGNING_KEY",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    ):
        monkeypatch.setenv(name, "secret")
    (verdict,) = run_isolated(job("spies"), Progress()).verdicts
    assert verdict.message == "nothing"


@pytest.mark.parametrize(
    ("gate", "words"), [("crashes", "signal SIGSEGV"), ("leaves", "exit status 0"), ("babbles", "something else")]
)
def test_a_gate_that_takes_its_process_down_is_an_error_and_the_rest_still_runs(gate, words):
    results = run_isolated(job("rows", gate, "rows"), Progress())
    assert [outcome for _, outcome, _ in outcomes(results)] == ["PASSED", "ERROR", "PASSED"]
    assert words in results.verdicts[1].message


def test_what_is_not_known_to_be_safe_is_not_loaded_and_the_order_of_the_policy_is_kept():
    results = run_isolated(job("loads", "rows", "scans"), Progress())
    assert outcomes(results) == [
        ("loads", "INCONCLUSIVE", "not_loaded"),
        ("rows", "PASSED", "passed"),
        ("scans", "FAILED", "evil"),
    ]


def test_it_stays_unloaded_after_a_gate_between_them_was_stopped():
    results = run_isolated(job("scans", "leaves", "loads"), Progress())
    assert [reason for *_, reason in outcomes(results)] == ["evil", "crashed", "not_loaded"]


def test_a_wrong_option_stops_everything_before_a_process_starts():
    told = []
    with pytest.raises(ConfigError, match="max_seconds"):
        run_isolated(job("rows", GateSpec("hangs", {"max_seconds": 0})), Progress(told.append))
    assert told == []


def test_whoever_gives_up_waiting_leaves_nothing_running(tmp_path):
    class GaveUp(Exception):
        pass

    def give_up(name):
        raise GaveUp

    run_isolated(job("rows"), Progress())  # the server stays
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(GaveUp):
        run_isolated(job("hangs"), Progress(give_up))
    assert set(psutil.Process().children(recursive=True)) == before
    assert threading.active_count() < 20


def test_a_table_that_was_tracked_is_read_over_there(july, tmp_path):
    july.to_parquet(tmp_path / "reference.parquet")
    (tmp_path / "suite.json").write_text("{}")
    tracked = TrackedData(tmp_path / "reference.parquet", tmp_path / "suite.json", "late")
    results = run_isolated(job("drift", tracked=tracked, current=july), Progress())
    assert set(results.data) == {"reference", "current"}


def wait_until_gone(*processes):
    deadline = time.monotonic() + 20
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def server_process():
    """The process that the gates' processes are forked from."""
    (verdict,) = run_isolated(job("parent"), Progress()).verdicts
    return psutil.Process(int(verdict.message))


def test_a_second_run_is_forked_from_the_same_server_and_has_the_libraries_already():
    server = server_process()
    assert server_process() == server
    assert server.ppid() == os.getpid()
    (verdict,) = run_isolated(job("imports"), Progress()).verdicts
    assert verdict.message == "mlflow numpy pandas sklearn"


def test_what_a_run_had_to_import_the_server_imports_for_the_next_one():
    deadline = time.monotonic() + 60
    while (said := run_isolated(job("needs"), Progress()).verdicts[0].message) != "True 1":
        assert said == "False 1"  # the server still has one thread
        assert time.monotonic() < deadline


def test_requests_that_wait_while_the_server_imports_are_each_read():
    environment = dict(os.environ)
    server = ForkServer("os:getpid", ["pandas"], environment)
    try:
        for module in ("colorsys", "no_such_module", "wave"):
            server.warm([module])
        assert server.end(server.fork(environment, 0, 1)) in {0, -signal.SIGKILL}
        assert server.serves(environment)
    finally:
        server.close()


def test_the_server_has_one_thread_when_it_forks_and_a_child_may_have_more(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    server = server_process()
    assert server.num_threads() == 1
    (verdict,) = run_isolated(job("threads"), Progress()).verdicts
    assert verdict.message == str(len(os.sched_getaffinity(0)))


def test_the_server_holds_no_secret(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "7")  # another environment, so another server
    monkeypatch.setenv("LIFECYCLE_SIGNING_KEY", "hush")
    environment = server_process().environ()
    assert environment["PYTHONHASHSEED"] == "7"
    assert "hush" not in environment.values()


def test_a_server_that_was_killed_is_replaced():
    before = server_process()
    before.kill()
    assert server_process() != before


def test_a_run_that_is_on_goes_on_when_the_server_is_killed():
    server = server_process()
    results = run_isolated(job("rows", "rows"), Progress(lambda _: server.kill()))
    assert outcomes(results) == [("rows", "PASSED", "passed")] * 2


def test_each_run_has_the_environment_the_folder_and_the_random_numbers_of_its_own(tmp_path, monkeypatch):
    said = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PIDS", f"variable {number}")
        said.append(run_isolated(job("surroundings"), Progress()).verdicts[0].message.split("|"))
    assert [words[:2] for words in said] == [[f"variable {n}", str(tmp_path / str(n))] for n in range(2)]
    assert said[0][2] != said[1][2]


def test_a_second_session_is_no_part_of_the_owners(tmp_path):
    (verdict,) = run_isolated(job("surroundings"), Progress()).verdicts
    session, group, pid = verdict.message.split("|")[3:]
    assert session == group == pid
    assert int(session) != os.getsid(0)


OWNER = """
import sys
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.domain.policy import GateSpec
from lifecycle.gates.run import GateJob, Progress
from lifecycle.gates.subprocess_runner import run_isolated
version = ModelVersion("m", 1), Snapshot("0" * 64, None)
kept = run_isolated(GateJob((GateSpec("parent"),), "s", version), Progress())
print(kept.verdicts[0].message, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [True, False])
def test_server_and_children_end_with_their_owner(killed):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    server = psutil.Process(int(owner.stdout.readline()))
    left = [server, *server.children(recursive=True)]
    assert len(left) == 2  # the child is kept to explain its verdict
    if killed:
        owner.kill()
    owner.communicate()
    wait_until_gone(*left)


def test_what_evaluated_explains_without_reading_the_rows_again():
    results = run_isolated(job("remembers"), Progress())
    (explanation,) = results.explain()
    assert explanation.charts[0].title == results.verdicts[0].message


def test_a_process_that_has_ended_since_is_replaced_to_explain():
    results = run_isolated(job("remembers"), Progress())
    psutil.Process(int(results.verdicts[0].message)).kill()
    (explanation,) = results.explain()
    assert explanation.charts[0].title not in ("", results.verdicts[0].message)


def test_the_process_that_is_kept_to_explain_ends_with_its_results():
    results = run_isolated(job("remembers"), Progress())
    process = psutil.Process(int(results.verdicts[0].message))
    del results
    wait_until_gone(process)
