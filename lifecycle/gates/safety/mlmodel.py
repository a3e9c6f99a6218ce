"""Finds what an MLmodel file makes MLflow import and read, and checks requirements: names with one exact version.

MLflow passes the lines of requirements to pip. An option can direct pip to another index, and an address or path
can install anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lifecycle.gates.safety.networks import MODULE_FILES
from lifecycle.gates.safety.rules import AllowList, SafetyIssue

MLMODEL = "MLmodel"

LOADERS = frozenset(
    {
        "mlflow.catboost",
        "mlflow.keras",
        "mlflow.lightgbm",
        "mlflow.onnx",
        "mlflow.pyfunc.model",
        "mlflow.pytorch",
        "mlflow.sklearn",
        "mlflow.statsmodels",
        "mlflow.tensorflow",
        "mlflow.xgboost",
    }
)
"""MLflow's loaders that run nothing but what the files judged here hold. Of the others some import what a file in
the model says (``mlflow.spark``) or run code by design."""

_CODE_LOADERS = frozenset(
    f"mlflow.pyfunc.loaders.{kind}" for kind in ("code_model", "chat_model", "chat_agent", "responses_agent")
)

_XGBOOST_CLASSES = frozenset(
    {"xgboost.core.Booster"}
    | {
        f"xgboost.sklearn.XGB{kind}"
        for kind in ("Classifier", "Regressor", "Ranker", "RFClassifier", "RFRegressor")
    }
)
_PROVIDERS = frozenset({"CPUExecutionProvider", "CUDAExecutionProvider"})
_OWN_KEYS = frozenset({"config", "metadata"})  # whose content is the model's, not a loader's
_CODE_KEYS = frozenset({"code", "model_code_path"})
_PATH_KEYS = frozenset(
    {
        "artifact_path",
        "conda",
        "data",
        "model_path",
        "path",
        "pickled_model",
        "python_model",
        "serving_input_path",
        "virtualenv",
    }
)
_METHOD = re.compile(r"[A-Za-z]\w*", re.ASCII)


@dataclass(slots=True)
class MlmodelReport:
    """Contents of an MLmodel file.

    Attributes:
        file: Path of the MLmodel file in the model.
        findings: What speaks against loading.
        needed: Files that MLflow loads.
        onnx: Needed files that are read as ONNX.
        environments: Needed files with requirements.
    """

    file: str
    findings: list[SafetyIssue] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)
    onnx: set[str] = field(default_factory=set)
    environments: set[str] = field(default_factory=set)

    def path(self, name: str) -> str:
        """Path from the model's folder of a file that MLmodel names."""
        return (PurePosixPath(self.file).parent / name).as_posix()


def read_mlmodel(file: str, text: bytes, allowed: AllowList, *, allow_code: bool) -> MlmodelReport:
    """Check an MLmodel file. Paths in it start from its own folder."""
    report = MlmodelReport(file)
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        report.findings.append(SafetyIssue("broken", file, "is no plain YAML"))
        return report
    flavors = document.get("flavors") if isinstance(document, dict) else None
    if (
        not isinstance(flavors, dict)
        or not all(isinstance(conf, dict) for conf in flavors.values())
        or not flavors
    ):
        report.findings.append(SafetyIssue("no_mlmodel", file, "names no flavor to load the model with"))
        return report
    for why in _loaders(flavors, allowed, LOADERS | _CODE_LOADERS if allow_code else LOADERS):
        report.findings.append(SafetyIssue("loader_not_allowed", file, why))
    example = document.get("saved_input_example_info")
    for key, value in _entries({"flavors": flavors, "example": example}):
        _look_at(key, value, report, allow_code=allow_code)
    python = flavors.get("python_function", {})
    confs = [flavors.get("onnx", {}), *([python] if python.get("loader_module") == "mlflow.onnx" else [])]
    report.onnx = {report.path(_name(conf["data"])) for conf in confs if conf.get("data")}
    report.needed |= report.onnx
    return report


def _loaders(flavors: Mapping[Any, dict[Any, Any]], allowed: AllowList, known: frozenset[str]) -> Iterator[str]:
    """Phrases for imports by MLflow that are on no list."""
    python = flavors.get("python_function", {})
    loaders = {f"mlflow.{flavor}" for flavor in flavors if flavor != "python_function"}
    if python:
        loaders.add(_name(python.get("loader_module")))
    for name in sorted(loaders - known):
        if not allowed.may_call(name):
            yield f"is loaded by {name}, which is not on the list"
    model_class = _name(flavors.get("xgboost", {}).get("model_class", "xgboost.core.Booster"))
    if model_class not in _XGBOOST_CLASSES and not allowed.may_call(model_class):
        yield f"creates {model_class}, which is not on the list"
    if not _METHOD.fullmatch(_name(python.get("predict_fn", "predict"))):
        yield "asks for predictions by a method that is none"
    if python.get("pickle_module_name", "pickle") not in MODULE_FILES["pickle_module_info.txt"]:
        yield "unpickles by a module that is not on the list"
    yield from _onnx_settings(flavors.get("onnx", {}))


def _onnx_settings(conf: Mapping[Any, Any]) -> Iterator[str]:
    """Execution providers with options, and session settings, can load libraries from any path."""
    providers = conf.get("providers") or []
    listed = providers if isinstance(providers, list) else [providers]
    if any(not isinstance(provider, str) or provider not in _PROVIDERS for provider in listed):
        yield "asks ONNX Runtime for a provider other than CPU and CUDA as they are"
    options = conf.get("onnx_session_options") or {}
    if not isinstance(options, dict) or options.get("extra_session_config"):
        yield "sets extra_session_config of ONNX Runtime"


def _entries(root: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All keys with values, each dict once, as YAML aliases could make the tree endless."""
    waiting: list[Any] = [root]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if not isinstance(value, dict | list) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            yield from ((str(key), inner) for key, inner in value.items())
            waiting.extend(inner for key, inner in value.items() if key not in _OWN_KEYS)
        else:
            waiting.extend(value)


def _look_at(key: str, value: Any, report: MlmodelReport, *, allow_code: bool) -> None:
    if key in _CODE_KEYS and value and not allow_code:
        why = f"makes MLflow run Python code of the model, by '{key}'"
        report.findings.append(SafetyIssue("code", report.file, why))
    if value is None or not (key in _PATH_KEYS | _CODE_KEYS or (key == "env" and isinstance(value, str))):
        return
    # MLflow looks up code by its file name in the model's folder, and records where it came from
    path = PurePosixPath(_name(value)).name if key == "model_code_path" else _name(value)
    if not isinstance(value, str) or not is_inside(path):
        why = f"names a file outside of the model, by '{key}'"
        report.findings.append(SafetyIssue("outside", report.file, why))
    elif key in {"env", "conda", "virtualenv"}:
        report.environments.add(report.path(path))
    elif key != "code":
        report.needed.add(report.path(path))


def _name(value: Any) -> str:
    """A text. Other values are not converted, as YAML aliases could make them endless."""
    return value if isinstance(value, str) else "something that is no name"


def is_inside(path: str) -> bool:
    """Whether a path stays inside of the model's folder on any system."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not (
        path.startswith(("/", "~")) or ".." in parts or any(mark in path for mark in ("\\", "\0", ":", "%", "$"))
    )


_REQUIREMENTS, _CONSTRAINTS = "requirements.txt", "constraints.txt"
ENVIRONMENTS = frozenset({_REQUIREMENTS, _CONSTRAINTS, "conda.yaml", "python_env.yaml"})
"""Files of a model with requirements, whether MLmodel names them or not."""

_BUILD_TOOLS = frozenset({"pip", "setuptools", "wheel"})  # MLflow itself does not pin these
_INCLUDES = frozenset({f"-r {_REQUIREMENTS}", f"-c {_CONSTRAINTS}"})  # written by MLflow; both are judged
_CHANNELS = frozenset({"conda-forge", "defaults", "nodefaults"})
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s+--hash=sha(256|384|512):[0-9a-f]+(?=\s|$)")
_CONDA = re.compile(r"([A-Za-z0-9_.-]+)\s*(==?\s*[A-Za-z0-9_.!+-]+)?([<>=!~]\S*)?")


def judge_environment(file: str, text: bytes, *, allow_unpinned: bool) -> Iterator[SafetyIssue]:
    """Check a requirements file for pip or, by its name, a YAML file for conda or MLflow."""
    if file.endswith((".yaml", ".yml")):
        yield from _judge_yaml(file, text, allow_unpinned=allow_unpinned)
        return
    try:
        lines = text.decode("utf-8").replace("\\\n", " ").replace("\\\r\n", " ").splitlines()
    except UnicodeDecodeError:
        yield SafetyIssue("broken", file, "is no text")
        return
    yield from _judge_lines(file, lines, allow_unpinned=allow_unpinned)


def _judge_yaml(file: str, text: bytes, *, allow_unpinned: bool) -> Iterator[SafetyIssue]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        yield SafetyIssue("broken", file, "is no plain YAML")
        return
    if not isinstance(document, dict):
        yield SafetyIssue("broken", file, "describes no environment")
        return
    if any(channel not in _CHANNELS for channel in map(_text, _list(document.get("channels")))):
        yield SafetyIssue("option_in_requirements", file, "names a channel other than conda-forge and defaults")
    conda = "channels" in document or "build_dependencies" not in document
    pip_lines = list(map(_text, _list(document.get("build_dependencies"))))
    for entry in _list(document.get("dependencies")):
        if isinstance(entry, dict):
            pip_lines += [line for lines in entry.values() for line in map(_text, _list(lines))]
        elif conda:
            yield from _judge_conda(file, _text(entry), allow_unpinned=allow_unpinned)
        else:
            pip_lines.append(_text(entry))
    yield from _judge_lines(file, pip_lines, allow_unpinned=allow_unpinned)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(entry: Any) -> str:
    """A line of text; other values are not converted, as YAML aliases could make them endless."""
    return entry if isinstance(entry, str) else "/no text"


def _judge_lines(file: str, lines: Iterable[str], *, allow_unpinned: bool) -> Iterator[SafetyIssue]:
    for line in lines:
        plain = _HASH.sub("", _COMMENT.sub("", line)).strip()
        if not plain or plain in _INCLUDES:
            continue
        try:
            requirement = Requirement(plain)
        except InvalidRequirement:
            yield SafetyIssue("option_in_requirements", file, f"has the line {_quoted(line)}")
            continue
        if requirement.url or "\n" in line:
            yield SafetyIssue("option_in_requirements", file, f"has the line {_quoted(line)}")
        elif not allow_unpinned and not _is_pinned(requirement):
            yield SafetyIssue("unpinned", file, f"leaves the version of {requirement.name} open")


def _is_pinned(requirement: Requirement) -> bool:
    if canonicalize_name(requirement.name) in _BUILD_TOOLS:
        return True
    pins = [spec for spec in requirement.specifier if spec.operator in {"==", "==="}]
    return any(not spec.version.endswith(".*") for spec in pins)


def _judge_conda(file: str, entry: str, *, allow_unpinned: bool) -> Iterator[SafetyIssue]:
    found = _CONDA.fullmatch(entry.strip())
    if found is None:
        yield SafetyIssue("option_in_requirements", file, f"has the entry {_quoted(entry)}")
    elif not found[2] and found[1].lower() not in _BUILD_TOOLS and not allow_unpinned:
        yield SafetyIssue("unpinned", file, f"leaves the version of {found[1]} open")


def _quoted(line: str) -> str:
    """Its beginning only, as an address may contain a password."""
    return f"'{re.split(r'[@=/ ]', line.strip(), maxsplit=1)[0][:30]}…'"
