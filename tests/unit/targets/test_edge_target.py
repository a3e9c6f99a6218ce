from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from lifecycle.domain.deployment import Status
from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, OptionError, Unavailable
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.signature import InvalidInput
from lifecycle.targets.edge import EdgeTarget
from lifecycle.testing.target_contract import files_of, folder_context, with_files

pytestmark = pytest.mark.slow


@pytest.fixture
def target(tmp_path) -> EdgeTarget:
    return EdgeTarget(folder_context(tmp_path / "home"))


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "devices" / "flights.zip"


@pytest.fixture
def spec(lifecycle_models, output):
    return lifecycle_models[0].spec("gate-7", {"output": str(output)})


def nothing_left(target: EdgeTarget, output: Path) -> bool:
    return not output.parent.exists() and list(target.list()) == []


def test_a_bundle_that_is_built_again_has_the_same_bytes(target, spec, output, tmp_path):
    first = target.deploy(spec)
    content, inode = output.read_bytes(), output.stat().st_ino
    assert target.deploy(spec) == first
    assert output.stat().st_ino == inode
    elsewhere = tmp_path / "elsewhere.zip"
    EdgeTarget(folder_context(tmp_path / "home-2")).deploy(
        replace(spec, name="other", options={"output": str(elsewhere)})
    )
    assert elsewhere.read_bytes() == content
    assert sorted(path.name for path in output.parent.iterdir()) == ["flights.zip"]


def test_the_runner_in_the_bundle_answers_as_pyfunc_in_a_clean_process(
    target, spec, output, lifecycle_models, tmp_path
):
    target.deploy(spec)
    with zipfile.ZipFile(output) as bundle:
        bundle.extract("run.py", tmp_path)
    model = lifecycle_models[0]
    rows = {name: values.tolist() for name, values in model.rows.items()}
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "run.py"), str(output)],
        input=json.dumps({"inputs": rows}),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    np.testing.assert_allclose(json.loads(done.stdout)["predictions"], model.expected, rtol=1e-6, atol=1e-7)


def test_a_compiled_model_that_answers_differently_leaves_no_bundle(
    target, spec, output, lifecycle_models, tmp_path
):
    swapped = Path(shutil.copytree(lifecycle_models[1].compiled, tmp_path / "swapped"))
    description = json.loads((swapped / "manifest.json").read_text())
    (swapped / "manifest.json").write_text(json.dumps(description | {"digest": spec.digest}))
    with pytest.raises(DeploymentFailed, match="differently"):
        target.deploy(with_files(spec, files_of(spec)[0], swapped))
    assert nothing_left(target, output)


def test_a_compiled_model_of_another_version_leaves_no_bundle(target, spec, output, lifecycle_models):
    with pytest.raises(IntegrityError, match="compiled"):
        target.deploy(with_files(spec, files_of(spec)[0], lifecycle_models[1].compiled))
    assert nothing_left(target, output)


def test_a_model_without_compiled_form_is_refused_in_one_line_that_says_what_to_do(target, spec, output):
    with pytest.raises(DeploymentFailed, match=r"cannot be compiled to ONNX: .*lifecycle:/rest") as refusal:
        target.deploy(with_files(spec, files_of(spec)[0]))
    assert "\n" not in str(refusal.value)
    assert nothing_left(target, output)


def test_a_model_without_input_example_is_refused_with_what_to_do(target, spec, output, tmp_path):
    def without_example(folder: Path) -> None:
        shutil.copytree(files_of(spec)[0].path, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
        mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
        del mlmodel["saved_input_example_info"]
        (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))

    snapshot = SnapshotStore(tmp_path / "snapshots").put(without_example)
    with pytest.raises(DeploymentFailed, match="input_example="):
        target.deploy(with_files(spec, snapshot, files_of(spec)[1]))
    assert nothing_left(target, output)


def test_a_file_that_is_not_this_deployments_is_not_overwritten(target, spec, output, lifecycle_models):
    output.parent.mkdir()
    output.write_bytes(b"holiday pictures")
    with pytest.raises(Conflict, match=r"flights\.zip"):
        target.deploy(spec)
    assert output.read_bytes() == b"holiday pictures"
    output.unlink()
    target.deploy(spec)
    with pytest.raises(Conflict, match=r"flights\.zip"):
        target.deploy(replace(lifecycle_models[1].spec("gate-8", spec.options)))


def test_undeploying_leaves_the_bundle_alone_and_the_same_version_takes_it_up_again(target, spec, output):
    target.deploy(spec)
    target.undeploy(spec.name)
    assert output.is_file()
    assert target.deploy(spec).status is Status.READY


def test_a_bundle_that_is_gone_or_damaged_is_said_to_be(target, spec, output, lifecycle_models):
    target.deploy(spec)
    with pytest.raises(InvalidInput, match="carrier"):
        target.predict(spec.name, {k: v for k, v in lifecycle_models[0].rows.items() if k != "carrier"})
    content = bytearray(output.read_bytes())
    content[len(content) // 2] ^= 1
    output.write_bytes(content)
    with pytest.raises(IntegrityError, match="deploy it again"):
        target.predict(spec.name, lifecycle_models[0].rows)
    output.unlink()
    with pytest.raises(Unavailable):
        target.predict(spec.name, lifecycle_models[0].rows)
    assert target.describe(spec.name).status is Status.FAILED
    assert target.deploy(spec).status is Status.READY


@pytest.mark.parametrize("path", ["", "flights", "flights.zip/", "flights.zip\n"])
def test_an_output_that_names_no_zip_file_is_refused(target, spec, path):
    with pytest.raises(OptionError, match="output"):
        target.deploy(replace(spec, options={"output": path}))


def test_an_output_that_cannot_be_written_is_one_line(target, spec, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.zip").mkdir()
    for path in ("file/flights.zip", "folder.zip"):
        with pytest.raises(DeploymentFailed, match="cannot write"):
            target.deploy(replace(spec, options={"output": str(tmp_path / path)}))
    assert list(target.list()) == []
