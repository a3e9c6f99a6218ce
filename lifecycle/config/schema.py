"""The shape of ``lifecycle.yaml``. Frozen, unknown keys are errors, no I/O."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lifecycle.domain.policy import PLACES, GateSpec, ModelPolicy, PolicyBook, StagePolicy

MlflowStage = Literal["Staging", "Production"]


_STAGE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")


def _stage_name(name: str) -> str:
    """The name is part of the guard's tags: ``lifecycle.<stage>``, beside ``lifecycle.history`` and others."""
    if not _STAGE_NAME.fullmatch(name) or name in ("history", "promotion"):
        raise ValueError(f"{name!r} is not a usable stage name: use a-z, 0-9, '_' and '-', such as 'production'")
    return name


StageName = Annotated[str, AfterValidator(_stage_name)]


class Strict(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GateEntry(Strict):
    """One item of a ``gates:`` list: ``drift``, or ``drift: {max_drifted_share: 0.3}``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    def as_spec(self, folder: Path) -> GateSpec:
        """The domain's own form, with the paths of data made absolute."""
        options = dict(self.options)
        for key in PLACES:
            if isinstance(options.get(key), str):
                options[key] = _located(options[key], folder)
        return GateSpec(self.name, options)


def _located(source: str, folder: Path) -> str:
    """A relative path starts from the file's folder; a query's address stands for itself."""
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
    raise ValueError("a gate is a name, or one name with its options: 'drift: {min_rows: 500}'")


class Stage(Strict):
    """What one stage demands."""

    stage: MlflowStage = Field(description="MLflow's stage that this guards.")
    alias: str | None = Field(default=None, description="The alias that always moves together with the stage.")
    after: str | None = Field(default=None, description="The stage that has to come before.")
    gates: tuple[Annotated[GateEntry, BeforeValidator(_gate_entry)], ...] = Field(
        min_length=1, description="Every one of these must have PASSED."
    )
    max_age_days: float = Field(default=7, gt=0, description="How long evidence is worth something, in days.")
    max_attempts: int | None = Field(
        default=None, ge=1, description="Gate runs that a version has; by default any number."
    )


class Stages(Strict):
    """The stages of a model, in the order in which a version passes them."""

    stages: dict[StageName, Stage] = Field(min_length=1, description="By the name that --stage takes.")
    reference: str = Field(
        default="run",
        min_length=1,
        description="Rows to compare with: 'run' for those that lifecycle.track() logged, or data of your own.",
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
        """The domain's own form; relative paths start from ``folder``."""
        return ModelPolicy(
            tuple(
                StagePolicy(
                    name=name,
                    stage=stage.stage,
                    gates=tuple(gate.as_spec(folder) for gate in stage.gates),
                    alias=stage.alias,
                    after=stage.after,
                    max_age=timedelta(days=stage.max_age_days),
                    max_attempts=stage.max_attempts,
                )
                for name, stage in self.stages.items()
            ),
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
"""What holds for a model that no file speaks of."""


class LifecycleFile(Strict):
    """A whole ``lifecycle.yaml``."""

    models: dict[str, Stages] = Field(default_factory=dict, description="By registered model.")
    defaults: Stages = Field(default=BUILT_IN, description="For models with no entry of their own.")

    def as_policies(self, folder: Path) -> PolicyBook:
        """The domain's own form; relative paths start from ``folder``."""
        return PolicyBook(
            self.defaults.as_policy(folder),
            {name: stages.as_policy(folder) for name, stages in self.models.items()},
        )
