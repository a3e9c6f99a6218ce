"""Find and read ``lifecycle.yaml``. Every error names the file and the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from lifecycle.codec import one_line
from lifecycle.config.schema import LifecycleFile
from lifecycle.domain.policy import PolicyBook
from lifecycle.errors import ConfigError

FILE_NAME = "lifecycle.yaml"


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of one process.

    Attributes:
        file: The ``lifecycle.yaml`` in force, or None for the built-in policy.
        policies: The stages and gates of each model.
        home: Folder for snapshots, compiled models, deployments and the local stack
            (``LIFECYCLE_HOME``, default ``~/.mlflow-lifecycle``).
    """

    file: Path | None
    policies: PolicyBook
    home: Path


def load_config(environ: Mapping[str, str], cwd: Path, explicit: Path | None = None) -> Config:
    """Read the configuration.

    The file is ``explicit``, else ``LIFECYCLE_CONFIG``, else the first ``lifecycle.yaml`` from ``cwd``
    upward. Without any file the built-in policy applies.

    Raises:
        ConfigError: the file is missing, is not YAML, or has a wrong or unknown key.
    """
    file = _find(environ, cwd, explicit)
    content = _read(file) if file else LifecycleFile()
    return Config(
        file=file,
        policies=content.as_policies(file.parent if file else cwd),
        home=home_of(environ),
    )


def home_of(environ: Mapping[str, str]) -> Path:
    """Folder for all data of this machine: ``LIFECYCLE_HOME``, else ``~/.mlflow-lifecycle``."""
    return Path(environ.get("LIFECYCLE_HOME") or Path.home() / ".mlflow-lifecycle").absolute()


def _find(environ: Mapping[str, str], cwd: Path, explicit: Path | None) -> Path | None:
    named = explicit or (Path(environ["LIFECYCLE_CONFIG"]) if environ.get("LIFECYCLE_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"{named}: no such file; correct --config or LIFECYCLE_CONFIG")
        return named.absolute()
    candidates = (folder / FILE_NAME for folder in (cwd, *cwd.parents))
    return next((path for path in candidates if path.is_file()), None)


def _read(file: Path) -> LifecycleFile:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(exc, "problem", None) or type(exc).__name__
        raise ConfigError(f"{file}{where}: not readable as YAML: {problem}") from exc
    try:
        return LifecycleFile.model_validate(content)
    except ValidationError as exc:
        raise ConfigError(f"{file}: {one_line(exc, LifecycleFile, word='key')}") from exc
