from __future__ import annotations

import os

import pytest

from lifecycle.domain.deployment import DeploymentSpec, ModelSource, Variant
from lifecycle.domain.model import ModelRef
from lifecycle.errors import OptionError
from lifecycle.targets.batch.plan import BatchOptions, BatchPlan, InputChanged, input_files


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n1\n")
    return path


def plan_of(source, digest="0" * 64, **options):
    options = {"input": str(source), "output": str(source.parent / "out"), **options}
    variants = (Variant(1, ModelSource("models:/m/1", digest)),)
    spec = DeploymentSpec("july", ModelRef("m", version=1), variants, options)
    return BatchPlan.make(spec, BatchOptions.parse(options))


def test_a_touched_file_is_the_same_plan_and_a_changed_one_is_not(source):
    before = plan_of(source)
    os.utime(source, (1, 1))
    assert plan_of(source).digest == before.digest
    source.write_text("x\n2\n")
    assert plan_of(source).digest != before.digest


@pytest.mark.parametrize("change", [{"digest": "1" * 64}, {"chunk_rows": "7"}, {"keep": "x"}])
def test_whatever_changes_the_output_changes_the_plan(source, change):
    assert plan_of(source, **change).digest != plan_of(source).digest


def test_a_write_that_restores_size_and_time_is_noticed_all_the_same(source):
    plan, before = plan_of(source), source.stat()
    source.write_text("x\n2\n")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputChanged, match=r"rows\.csv"):
        plan.demand_unchanged_input()


def test_a_file_that_appears_in_the_folder_is_noticed(source):
    plan = plan_of(source.parent, output=str(source.parent.parent / "elsewhere"))
    plan.demand_unchanged_input()
    (source.parent / "more.csv").write_text("x\n3\n")
    with pytest.raises(InputChanged):
        plan.demand_unchanged_input()


def test_a_folder_is_read_by_name_and_nothing_in_it_is_passed_over_silently(source):
    folder = source.parent
    (folder / "_manifest.json").touch()
    (folder / ".hidden").touch()
    (folder / "a.parquet").touch()
    assert [path.name for path in input_files(folder)] == ["a.parquet", "rows.csv"]
    (folder / "rows.json").touch()
    with pytest.raises(OptionError, match=r"rows\.json"):
        input_files(folder)


def test_no_input_is_an_error_that_names_the_path(tmp_path):
    with pytest.raises(OptionError, match="nowhere"):
        plan_of(tmp_path / "nowhere")
    with pytest.raises(OptionError, match=str(tmp_path)):
        plan_of(tmp_path, output=str(tmp_path.parent / "out"))


@pytest.mark.parametrize("output", ["", "out", "../"])
def test_input_and_output_must_not_lie_within_each_other(source, output):
    with pytest.raises(OptionError, match="within each other"):
        plan_of(source.parent, output=f"{source.parent}/{output}")


@pytest.mark.parametrize("keep", ["a,", ",", "a,,b", "a,a", " "])
def test_a_keep_list_with_a_hole_or_a_repetition_is_refused(source, keep):
    with pytest.raises(OptionError, match="keep"):
        plan_of(source, keep=keep)


@pytest.mark.parametrize("rows", ["0", "-1", "1.5", "many", "1048577"])
def test_an_unusable_chunk_size_is_refused(source, rows):
    with pytest.raises(OptionError, match="chunk_rows"):
        plan_of(source, chunk_rows=rows)


def test_each_version_gets_a_folder_of_its_own_where_the_option_says_so(tmp_path):
    options = BatchOptions(input="x", output=f"{tmp_path}/{{version}}/july")
    assert options.output_for(12) == tmp_path / "12" / "july"
