from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from lifecycle.domain.deployment import Deployment, DeploymentSpec, ModelSource, Status, Variant, VariantRole
from lifecycle.domain.model import ModelRef
from lifecycle.durable import write_json
from lifecycle.errors import Conflict, IntegrityError, NotFound, UsageError
from lifecycle.targets.records import DeploymentRecord, DeploymentRecords

CHAMPION = Variant(3, ModelSource("models:/m/3", "ab" * 32), compiled=True)
SPEC = DeploymentSpec("flights", ModelRef("m", alias="champion"), (CHAMPION,), {"k": "v"})
CHALLENGER = Variant(4, ModelSource("models:/m/4", "cd" * 32), VariantRole.CHALLENGER, 0.1)
RECORD = DeploymentRecord(SPEC, Status.FAILED, "here", "why", {"rows_in": 7})


def described(records: DeploymentRecords) -> list[Deployment]:
    return records.described(lambda record: record.deployment("rest"))


@pytest.fixture
def records(tmp_path) -> DeploymentRecords:
    return DeploymentRecords(tmp_path, "rest")


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        DeploymentRecord(replace(SPEC, ref=ModelRef("m", version=3)), Status.READY),
        DeploymentRecord(replace(SPEC, variants=(replace(CHAMPION, share=0.9), CHALLENGER)), Status.READY),
    ],
)
def test_a_record_is_read_as_it_was_written(records, tmp_path, record):
    records.save(record)
    assert DeploymentRecords(tmp_path, "rest").load("flights") == record


@pytest.mark.parametrize("compiled", [None, "/home/ada/compiled/abab-2"])
def test_a_record_of_the_version_before_variants_is_still_read(records, compiled):
    records.folder("flights")
    write_json(
        records.path("flights") / "deployment.json",
        {
            **{"name": "flights", "ref": "models:/m@champion", "version": 3, "digest": "ab" * 32},
            **{"snapshot": "/home/ada/snapshots/abab", "compiled": compiled, "options": {"k": "v"}},
            **{"status": "FAILED", "address": "here", "detail": "why", "figures": {"rows_in": 7}},
        },
    )
    expected = replace(SPEC, variants=(replace(CHAMPION, compiled=compiled is not None),))
    assert records.load("flights") == replace(RECORD, spec=expected)
    records.save(records.load("flights"))
    assert records.load("flights") == replace(RECORD, spec=expected)


def test_a_record_says_the_same_as_its_deployment():
    deployment = RECORD.deployment("rest")
    assert (deployment.name, deployment.target, deployment.ref, deployment.version) == (
        "flights",
        "rest",
        SPEC.ref,
        3,
    )
    assert (deployment.digest, deployment.options) == (SPEC.digest, SPEC.options)
    assert (deployment.status, deployment.address, deployment.detail) == (Status.FAILED, "here", "why")
    assert deployment.figures == {"rows_in": 7}


def test_an_unknown_name_is_answered_with_the_known_ones(records):
    records.save(RECORD)
    with pytest.raises(NotFound, match="unknown deployment 'flight'; did you mean 'flights'"):
        records.load("flight")


def test_records_come_by_name_and_only_those_of_this_target(records, tmp_path):
    for name in ("b", "a"):
        records.save(replace(RECORD, spec=replace(SPEC, name=name)))
    assert [d.name for d in described(records)] == ["a", "b"]
    assert described(DeploymentRecords(tmp_path, "batch")) == []


def test_a_folder_without_a_record_is_no_deployment(records):
    records.folder("flights")
    assert described(records) == []


def test_removing_takes_the_folder_along_and_can_be_repeated(records):
    records.save(RECORD)
    records.remove("flights")
    records.remove("flights")
    assert not records.path("flights").exists()


@pytest.mark.parametrize("name", ["../x", ".locks", "a/b", ""])
def test_no_name_leads_out_of_the_folder(records, name):
    for use in (records.path, records.folder, records.find, records.load, records.remove):
        with pytest.raises(UsageError):
            use(name)
    with pytest.raises(UsageError), records.lock(name):
        pass


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"name": 1}'])
def test_a_broken_record_is_told_and_can_be_removed(records, text):
    records.save(RECORD)
    (records.path("flights") / "deployment.json").write_text(text)
    with pytest.raises(IntegrityError, match="flights"):
        records.load("flights")
    records.remove("flights")
    assert described(records) == []


BROKEN = {
    "empty": b"",
    "no JSON": b"{",
    "no record": b"{}",
    "a list": b"[]",
    "no text": b"\xff\xfe",
    "too deep": b"[" * 100_000,
    "of another deployment": b"as it is",
    "options that are none": None,
}


@pytest.mark.parametrize("how", BROKEN)
def test_one_broken_record_is_one_failed_deployment_and_no_more(records, how):
    for name in ("a", "flights", "z"):
        records.save(replace(RECORD, spec=replace(SPEC, name=name), status=Status.READY))
    file = records.path("flights") / "deployment.json"
    content = BROKEN[how]
    if how == "of another deployment":
        content = (records.path("a") / "deployment.json").read_bytes()
    if content is None:
        content = file.read_bytes().replace(b'"k": "v"', b"").replace(b'"options": {', b'"options": 7, "x": {')
    file.write_bytes(content)
    found = {d.name: d for d in described(records)}
    assert {name: d.status for name, d in found.items()} == {"a": "READY", "flights": "FAILED", "z": "READY"}
    assert "undeploy 'flights'" in found["flights"].detail
    assert found["flights"].ref.pinned  # so that nothing follows on its behalf
    records.remove("flights")
    assert [d.name for d in described(records)] == ["a", "z"]


def test_a_folder_that_no_deployment_can_be_called_is_left_alone(records):
    records.save(RECORD)
    stranger = records.path("flights").with_name("a copy of flights")
    stranger.mkdir()
    (stranger / "deployment.json").write_bytes((records.path("flights") / "deployment.json").read_bytes())
    assert [d.name for d in described(records)] == ["flights"]


def test_one_at_a_time_changes_a_deployment_and_another_name_is_free(records, tmp_path):
    with records.lock("flights"):
        with pytest.raises(Conflict, match="flights"), DeploymentRecords(tmp_path, "rest").lock("flights"):
            pass
        with records.lock("other"):
            pass
    with records.lock("flights"):
        pass
    assert records.names() == []


def test_a_killed_holder_holds_nothing(records, tmp_path):
    code = (
        "import sys, pathlib; from lifecycle.targets.records import DeploymentRecords\n"
        "with DeploymentRecords(pathlib.Path(sys.argv[1]), 'rest').lock('flights'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(Conflict), records.lock("flights"):
        pass
    holder.kill()
    holder.communicate()
    with records.lock("flights"):
        pass


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, done = tmp_path / "file.json", threading.Event()
    contents = ["a" * 100_000, "b" * 100_000]
    write_json(path, contents[0])

    def write() -> None:
        for turn in range(50):
            write_json(path, contents[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_text())
    writer.join()
    assert seen <= {f'"{content}"' for content in contents}
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]
