"""Checks a model's requirements: only names with one exact version are allowed.

MLflow passes these lines to pip. An option can direct pip to another index, and an address
or path can install anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lifecycle.gates.safety.rules import SafetyIssue

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
