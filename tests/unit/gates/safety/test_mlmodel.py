"""What the MLmodel file makes MLflow import and open."""

import pickle

import pytest
import yaml

from lifecycle.domain.verdict import Outcome


@pytest.mark.parametrize(
    "flavor", ["catboost", "keras", "lightgbm", "pytorch", "sklearn", "statsmodels", "tensorflow", "xgboost"]
)
def test_mlflows_own_loaders_pass(flavor, folder, verdict_on):
    folder.mlmodel(flavor=flavor)
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.parametrize(
    "loader", ["os", "mlflow.projects", "mlflow.spark", "my_package.loader", "mlflow.sklearn.utils", None, "", 7]
)
def test_any_other_loader_fails(loader, folder, verdict_on):
    folder.mlmodel(python={"loader_module": loader})
    assert verdict_on(folder).reason == "safety.loader_not_allowed"


def test_any_other_flavor_fails_whatever_loads_the_model_for_pyfunc(folder, verdict_on):
    folder.mlmodel(flavor="spark", python={"loader_module": "mlflow.sklearn"})
    assert verdict_on(folder).reason == "safety.loader_not_allowed"


def test_the_operator_may_allow_a_loader(folder, verdict_on):
    folder.mlmodel(python={"loader_module": "my_package.loader"})
    assert verdict_on(folder, allow=["my_package.loader"]).outcome is Outcome.PASSED


@pytest.mark.parametrize("model_class", ["os.getcwd", "xgboost.sklearn.XGBModel", "subprocess.Popen", None, ["x"]])
def test_a_class_that_xgboosts_loader_would_create_fails(model_class, folder, verdict_on):
    folder.mlmodel(flavor="xgboost", conf={"model_class": model_class})
    assert verdict_on(folder).reason == "safety.loader_not_allowed"


def test_xgboosts_own_classes_pass(folder, verdict_on):
    folder.mlmodel(flavor="xgboost", conf={"model_class": "xgboost.sklearn.XGBClassifier"})
    assert verdict_on(folder).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "providers",
    [
        [["QNNExecutionProvider", {"backend_path": "evil.so"}]],
        ["TensorrtExecutionProvider"],
        [["CPUExecutionProvider", {"x": "y"}]],
        "DmlExecutionProvider",
    ],
)
def test_a_provider_that_can_load_libraries_fails(providers, folder, verdict_on):
    folder.mlmodel(flavor="onnx", conf={"providers": providers})
    assert verdict_on(folder).reason == "safety.loader_not_allowed"


def test_session_settings_of_onnx_runtime_fail(folder, verdict_on):
    options = {"extra_session_config": {"session.x": "1"}}
    folder.mlmodel(flavor="onnx", conf={"onnx_session_options": options})
    assert verdict_on(folder).reason == "safety.loader_not_allowed"


@pytest.mark.parametrize("method", ["__reduce__", "_private", "a.b", "", 7])
def test_a_method_to_predict_with_is_a_plain_one(method, folder, verdict_on):
    folder.mlmodel(python={"predict_fn": method})
    assert verdict_on(folder).reason == "safety.loader_not_allowed"


OUTSIDE = [
    "../other/model.pkl",
    "/etc/passwd",
    "a/../../b",
    "..",
    "~/x",
    "a\\b",
    "s3://bucket/x",
    "a%2e%2e/b",
    ".",
]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize(
    "place",
    [
        {"python": {"model_path": ...}},
        {"python": {"data": ...}},
        {"python": {"env": ...}},
        {"python": {"env": {"conda": ...}}},
        {"python": {"artifacts": {"a": {"path": ..., "uri": "s3://anywhere"}}}},
        {"conf": {"pickled_model": ...}},
        {"saved_input_example_info": {"artifact_path": ...}},
    ],
    ids=str,
)
def test_a_path_that_leads_out_of_the_model_fails(path, place, folder, verdict_on):
    folder.mlmodel(**_with(place, path))
    assert verdict_on(folder).reason == "safety.outside"


def _with(place, path):
    return (
        path
        if place is ...
        else {key: _with(inner, path) for key, inner in place.items()}
        if isinstance(place, dict)
        else place
    )


@pytest.mark.parametrize("python", [{"code": "code"}, {"model_code_path": "/home/me/helper.py"}])
def test_code_of_the_models_own_fails_unless_the_operator_allows_it(python, folder, verdict_on):
    folder.mlmodel(python=python)
    folder.write("code/helper.py", "print('hello')")
    folder.write("helper.py", "print('hello')")
    assert verdict_on(folder).reason == "safety.code"
    assert verdict_on(folder, allow_code=True).outcome is Outcome.PASSED


@pytest.mark.parametrize("path", [".", "../code", "/usr/lib/python3"])
def test_code_outside_of_the_model_is_never_allowed(path, folder, verdict_on):
    folder.mlmodel(python={"code": path})
    assert verdict_on(folder, allow_code=True).reason == "safety.outside"


@pytest.mark.parametrize("name", ["helper.py", "sub/x.PY", "x.pyc", "x.so", "x.pth", "x.whl", "numpy/__init__.py"])
def test_a_file_of_code_fails_even_when_nothing_names_it(name, folder, verdict_on):
    folder.write(name, "x = 1\n")
    assert verdict_on(folder).reason == "safety.code"


def test_code_that_is_allowed_does_not_make_other_things_pass(folder, verdict_on, evil):
    folder.write("code/helper.py", evil)
    assert verdict_on(folder, allow_code=True).reason == "safety.not_allowed"


def test_a_file_that_mlmodel_names_must_be_there(folder, verdict_on):
    (folder.path / "model.pkl").unlink()
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "safety.missing_file")


def test_a_file_that_mlmodel_names_must_not_be_empty(folder, verdict_on):
    folder.write("model.pkl", b"")
    assert verdict_on(folder).reason == "safety.broken"


def test_a_folder_may_be_named(folder, verdict_on):
    folder.mlmodel(python={"artifacts": {"words": {"path": "artifacts/words", "uri": "s3://anywhere"}}})
    folder.write("artifacts/words/list.txt", "one\ntwo\n")
    assert verdict_on(folder).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "flavors: !!python/name:os.system",
        "a: [",
        b"\x00\x01",
        "flavors: {python_function: 7}",
        "flavors: {}",
        "flavors: []",
        "- a\n",
        "hello",
        "[" * 1100,
    ],
)
def test_an_mlmodel_file_that_says_nothing_does_not_pass(text, folder, verdict_on):
    folder.write("MLmodel", text)
    assert verdict_on(folder).outcome is not Outcome.PASSED


def test_aliases_of_yaml_that_would_be_endless_are_followed_once(folder, verdict_on):
    laughs = "\n".join(f"  l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30))
    head = "flavors:\n python_function: {loader_module: mlflow.sklearn}\n x:\n  l0: &l0 [ha]\n"
    folder.write("MLmodel", head + laughs)
    assert verdict_on(folder).reason == "safety.loader_not_allowed"


@pytest.mark.parametrize("key", ["loader_module", "predict_fn", "model_path", "code"])
def test_aliases_of_yaml_are_no_text(key, folder, verdict_on):
    laughs = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30))
    conf = {"loader_module": "mlflow.sklearn", key: "*l29"}
    flavor = ", ".join(f"{name}: {value}" for name, value in conf.items())
    folder.write("MLmodel", f"l0: &l0 [ha]\n{laughs}\nflavors:\n python_function: {{{flavor}}}\n")
    assert verdict_on(folder, allow_code=True).outcome is Outcome.FAILED


NESTED = {
    "loader_not_allowed": {"flavors": {"xgboost": {"model_class": "os.getcwd", "data": "m.json"}}},
    "outside": {
        "flavors": {"python_function": {"loader_module": "mlflow.sklearn", "model_path": "../../evil.pkl"}}
    },
    "code": {"flavors": {"python_function": {"loader_module": "mlflow.sklearn", "code": "code"}}},
    "missing_file": {
        "flavors": {"python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}}
    },
}


@pytest.mark.parametrize("reason", NESTED)
def test_an_mlmodel_file_further_down_is_judged_too(reason, folder, verdict_on):
    """Where MLmodel names a folder, MLflow's loaders go on with the MLmodel file in there."""
    folder.mlmodel(python={"model_path": "sub"})
    folder.write("sub/m.json", "{}")
    folder.write("sub/MLmodel", yaml.safe_dump(NESTED[reason]))
    assert verdict_on(folder).reason == f"safety.{reason}"


def test_a_sound_one_further_down_passes(folder, verdict_on):
    folder.mlmodel(python={"model_path": "sub"})
    folder.write("sub/MLmodel", yaml.safe_dump(NESTED["missing_file"]))
    folder.write("sub/model.pkl", pickle.dumps([1]))
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


NATIVE = {
    "xgboost": ("model.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{}}"),
    "lightgbm": ("model.lgb", b"tree\nversion=v4\nnum_class=1\nTree=0\nend of trees\n"),
    "catboost": ("model.cb", b"CBM1\x08\x00\x00\x00" + bytes(100)),
}


@pytest.mark.parametrize("flavor", NATIVE)
def test_the_boosters_own_formats_pass(flavor, folder, verdict_on):
    name, content = NATIVE[flavor]
    folder.mlmodel(
        flavor=flavor, python={"model_path": None, "data": name}, conf={"pickled_model": None, "data": name}
    )
    folder.write(name, content)
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.parametrize("flavor", NATIVE)
def test_what_only_starts_like_one_does_not_pass(flavor, folder, verdict_on, evil, canary):
    name, content = NATIVE[flavor]
    folder.write(name, content[:4] + b"\x00" * 64 + evil)
    verdict_on(folder)
    assert not canary.exists()
    folder.write(name, evil + content)
    assert verdict_on(folder).outcome is Outcome.FAILED


# Nothing to judge


def test_without_an_mlmodel_file_nothing_is_known(folder, verdict_on):
    (folder.path / "MLmodel").unlink()
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "safety.no_mlmodel")


def test_a_folder_without_files_is_inconclusive(tmp_path, verdict_on):
    empty = tmp_path / "empty"
    (empty / "a" / "b").mkdir(parents=True)
    verdict = verdict_on(empty)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "safety.no_files")


def test_a_folder_that_is_not_there_is_an_error(tmp_path, verdict_on):
    verdict = verdict_on(tmp_path / "gone")
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "safety.unreadable")


def test_an_mlmodel_file_larger_than_any_is_not_read(folder, verdict_on):
    folder.write("MLmodel", "flavors: {}\n" + "# long\n" * 1_000_000)
    assert verdict_on(folder).reason == "safety.too_large"


def test_the_verdict_says_what_was_looked_at(folder, verdict_on):
    figures = verdict_on(folder).figures
    assert (figures["files"], figures["names"], figures["findings"]) == (3, 0, 0)
    folder.write("more.pkl", pickle.dumps(range(3)))
    assert verdict_on(folder).figures["names"] == 1


def test_the_worst_finding_decides_and_all_are_counted(folder, verdict_on, evil):
    folder.write("a.bin", b"\x00")
    folder.write("b.pkl", evil)
    verdict = verdict_on(folder)
    assert (verdict.reason, verdict.figures["findings"]) == ("safety.not_allowed", 2)
    assert verdict.message.index("b.pkl") < verdict.message.index("a.bin")


def test_a_name_that_would_steer_a_terminal_is_shown_harmlessly(folder, verdict_on):
    folder.write("model.pkl", b"\x80\x04cos\x1b[2J\nsystem\x07" + b"x" * 200 + b"\n.")
    message = verdict_on(folder).message
    assert message.isprintable()
    assert len(message) < 1000
