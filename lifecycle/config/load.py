"""``lifecycle.yaml``: its schema, and how it is found and read. Every error names the file and the key.

Sections are frozen, and unknown keys are errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from lifecycle.codec import one_line
from lifecycle.domain.policy import PLACES, GateSpec, ModelPolicy, OnMissing, PolicyBook, StagePolicy
from lifecycle.errors import ConfigError

MlflowStage = Literal["Staging", "Production"]


_STAGE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")


def _stage_name(name: str) -> str:
    """Validate a stage name, which becomes part of tags: ``lifecycle.<stage>`` beside ``lifecycle.history``."""
    if not _STAGE_NAME.fullmatch(name) or name in ("history", "promotion"):
        raise ValueError(f"{name!r} is not a usable stage name: use a-z, 0-9, '_' and '-', such as 'production'")
    return name


StageName = Annotated[str, AfterValidator(_stage_name)]


def _alias(name: str) -> str:
    """ASCII, so that the guard can tell what a database takes for the same; and an alias that MLflow takes."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name) or re.fullmatch(r"latest|v[0-9]+", name, re.IGNORECASE):
        raise ValueError(
            f"{name!r} is not a usable alias: use ASCII letters, digits, '_' and '-', not 'v3' or 'latest'"
        )
    return name


Alias = Annotated[str, AfterValidator(_alias)]


class Strict(BaseModel):
    """Base class of every section: frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GateEntry(Strict):
    """One item of a ``gates:`` list: ``drift``, or ``drift: {max_drifted_share: 0.3}``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    def as_spec(self, folder: Path) -> GateSpec:
        """As a domain object, with the paths of data made absolute."""
        named = {key: self.options[key] for key in PLACES if isinstance(self.options.get(key), str)}
        return GateSpec(self.name, self.options | {key: _located(path, folder) for key, path in named.items()})


def _located(source: str, folder: Path) -> str:
    """Resolve a relative path against the file's folder; a query (``URL::SELECT``) is left unchanged."""
    return source if "::" in source else str(folder / source)


def _gate_entry(item: Any) -> Any:
    if isinstance(item, str):
        return {"name": item}
    if isinstance(item, dict) and len(item) == 1:
        ((name, options),) = item.items()
        if options is None or isinstance(options, dict):
            return {"name": name, "options": options or {}}
    if isinstance(item, GateEntry):
        return item
    raise ValueError("a gate is a name, or one name with options, such as 'drift: {min_rows: 500}'")


class Stage(Strict):
    """One stage: its gates, approvals and alias."""

    stage: MlflowStage | None = Field(
        default=None, description="The MLflow stage that is guarded; may be left out where there is an alias."
    )
    alias: Alias | None = Field(
        default=None,
        description="The alias that always moves together with MLflow's stage, or that is the stage by itself.",
    )
    after: str | None = Field(default=None, description="A stage that the version must have passed before.")
    gates: tuple[Annotated[GateEntry, BeforeValidator(_gate_entry)], ...] = Field(
        min_length=1, description="Gates; every one must have PASSED."
    )
    max_age_days: float = Field(default=7, gt=0, description="How long evidence is valid, in days.")
    max_attempts: int | None = Field(
        default=None, ge=1, description="Most gate runs of a version; by default any number."
    )
    approvals: int = Field(
        default=0, ge=0, description="Number of people who have to approve; the version's author does not count."
    )
    approvers: tuple[str, ...] = Field(
        default=(), description="User names of those who may approve; by default every signed-in user."
    )
    on_missing: OnMissing = Field(
        default=OnMissing.REFUSE,
        description="A promotion without evidence is refused; 'enqueue' also queues a gate run.",
    )
    auto_promote: bool = Field(
        default=False, description="Whether a queued gate run that PASSED completes the promotion."
    )

    @model_validator(mode="after")
    def _possible(self) -> Stage:
        if self.stage is None and self.alias is None:
            raise ValueError(
                "a stage is one of MLflow's (stage: Production), an alias (alias: challenger), or both"
            )
        if self.approvers and not self.approvals:
            raise ValueError("approvers are listed, but approvals is 0: say how many have to approve")
        if self.approvers and self.approvals > len(set(self.approvers)):
            raise ValueError(
                f"{self.approvals} approvals are demanded of only {len(set(self.approvers))} approvers"
            )
        if self.auto_promote and self.on_missing is not OnMissing.ENQUEUE:
            raise ValueError("auto_promote completes queued gate runs; it needs on_missing: enqueue")
        return self

    def as_policy(self, name: str, folder: Path) -> StagePolicy:
        """As a domain object; relative paths start from ``folder``."""
        same = {"stage", "alias", "after", "max_attempts", "approvals", "on_missing", "auto_promote"}
        return StagePolicy(
            name=name,
            gates=tuple(gate.as_spec(folder) for gate in self.gates),
            max_age=timedelta(days=self.max_age_days),
            approvers=frozenset(self.approvers),
            **self.model_dump(include=same),
        )


class Stages(Strict):
    """The stages of a model, in the order in which a version passes them."""

    stages: dict[StageName, Stage] = Field(min_length=1, description="Stages by name, as --stage takes it.")
    reference: str = Field(
        default="run",
        min_length=1,
        description="Rows to compare with: 'run' for those that lifecycle.track() logged, or other data.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Stages:
        for name, stage in self.stages.items():
            if stage.after is not None and stage.after not in self.stages:
                raise ValueError(f"stage {name!r} comes after {stage.after!r}, which is not a stage here")
            self._ends(name)
        for what in ("stage", "alias"):
            used = [value for s in self.stages.values() if (value := getattr(s, what)) is not None]
            if len(set(used)) != len(used):
                raise ValueError(f"two stages share one {what}; each needs its own")
        return self

    def _ends(self, name: str) -> None:
        seen: list[str] = []
        stage: str | None = name
        while stage is not None:
            if stage in seen:
                raise ValueError(f"stages come after each other in a circle: {' after '.join([*seen, stage])}")
            seen.append(stage)
            stage = self.stages[stage].after if stage in self.stages else None

    def as_policy(self, folder: Path) -> ModelPolicy:
        """As a domain object; relative paths start from ``folder``."""
        return ModelPolicy(
            tuple(stage.as_policy(name, folder) for name, stage in self.stages.items()),
            reference=None if self.reference == "run" else _located(self.reference, folder),
        )


BUILT_IN = Stages.model_validate(
    {
        "stages": {
            "staging": {"stage": "Staging", "gates": ["signature", "safety"]},
            "production": {
                "stage": "Production",
                "alias": "champion",
                "gates": [
                    "signature",
                    "safety",
                    "data_quality",
                    "drift",
                    {"performance": {"metric": "roc_auc", "max_drop_vs_champion": 0.01}},
                ],
            },
        }
    }
)
"""The policy of a model that no ``lifecycle.yaml`` covers."""


class Model(Stages):
    """A registered model: its stages, or the environment that the model itself is."""

    stages: dict[StageName, Stage] = Field(
        default_factory=dict, description="Stages by name, as --stage takes it."
    )
    environment: StageName | None = Field(
        default=None,
        description="Instead of stages: the stage that the model itself is. Copying a version into the model "
        "promotes it to that stage.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Model:
        if bool(self.stages) == bool(self.environment):
            raise ValueError("a model has either stages or an environment: 'environment: production'")
        return self


class LifecycleFile(Strict):
    """The top level of ``lifecycle.yaml``."""

    models: dict[str, Model] = Field(default_factory=dict, description="Policies by registered model.")
    defaults: Stages = Field(default=BUILT_IN, description="The policy of models without an entry of their own.")

    def as_policies(self, folder: Path) -> PolicyBook:
        """As a domain object; relative paths start from ``folder``."""
        default = self.defaults.as_policy(folder)
        inherited = tuple(replace(stage, inherited=True) for stage in default.stages)
        return PolicyBook(
            replace(default, stages=inherited),
            {
                name: replace(default, environment=default.stage(model.environment).name)
                if model.environment
                else model.as_policy(folder)
                for name, model in self.models.items()
            },
        )

    @model_validator(mode="after")
    def _environments_are_stages(self) -> LifecycleFile:
        for name, model in self.models.items():
            if model.environment and model.environment not in self.defaults.stages:
                known = ", ".join(self.defaults.stages)
                raise ValueError(
                    f"{name}: environment {model.environment!r} is not a stage of defaults. Known: {known}"
                )
        return self


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
