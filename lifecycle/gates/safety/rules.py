"""Rules of the safety gate: the operator's allow-list of names, and what else speaks against loading a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from lifecycle.domain.text import printable
from lifecycle.domain.verdict import Outcome
from lifecycle.gates.contract import GateOptions

DEFAULT = Path(__file__).with_name("allowed.txt")
"""The list that ships with the gate, with reasons in comments."""

EXACT_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
"""``module.name``. Nothing stands for a whole module: most modules hold something harmful somewhere, such as the
``os`` that they import, or numpy's ``numpy.testing._private.utils.runstring``."""


def _exact(name: str) -> str:
    if not EXACT_NAME.fullmatch(name):
        message = f"{name!r} must be one exact name, such as 'my_package.transformers.Clip'; no patterns"
        raise ValueError(message)
    return name


class SafetyOptions(GateOptions):
    """The operator's options: what a model may contain. Nothing of it comes from the model."""

    allow: tuple[Annotated[str, AfterValidator(_exact)], ...] | None = Field(
        default=None, description="Names that a model may use beyond the list that ships with the gate."
    )
    allow_code: bool = Field(default=False, description="Whether a model may bring Python code of its own.")
    allow_unpinned: bool = Field(
        default=False, description="Whether a model's requirements may leave versions open."
    )
    accept_unknown: tuple[str, ...] | None = Field(
        default=None,
        description="Files of a kind that is not known, to be accepted as they are; patterns like docs/*.",
    )
    max_mib: int = Field(
        default=2048,
        ge=1,
        description="Size in MiB to which archives are unpacked, all together, and ONNX is read.",
    )


@dataclass(frozen=True, slots=True)
class AllowList:
    """Exact names that are allowed. The model's own list is never used.

    Attributes:
        called: Names that loading may instantiate or call.
        named: Names that loading may reference as a value.
    """

    called: frozenset[str]
    named: frozenset[str]

    def may_call(self, name: str) -> bool:
        """Whether loading may instantiate or call it."""
        return name in self.called

    def may_name(self, name: str) -> bool:
        """Whether loading may reference it as a value."""
        return name in self.called or name in self.named


def allow_list(extra: Iterable[str] = ()) -> AllowList:
    """The shipped list, with the operator's own names, which may be called."""
    default = _default()
    return AllowList(default.called | frozenset(extra), default.named)


@cache
def _default() -> AllowList:
    sections: dict[str, set[str]] = {"called": set(), "named": set()}
    section = ""
    for line in DEFAULT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            module, _, names = line.partition(": ")
            sections[section] |= {f"{module}.{name}" for name in names.split()}
    return AllowList(frozenset(sections["called"]), frozenset(sections["named"]))


REASONS: Mapping[str, tuple[Outcome, str]] = {
    "pickled_network": (
        Outcome.FAILED,
        'Log the network with mlflow.pytorch.log_model(..., serialization_format="pt2"), which holds no pickle of '
        "its classes; or add names that you have reviewed and trust to the gate's option 'allow'.",
    ),
    "not_allowed": (
        Outcome.FAILED,
        "Log the model as skops or ONNX without code of your own; or add names that you have reviewed and trust "
        "to the gate's option 'allow'.",
    ),
    "network_code": (
        Outcome.FAILED,
        "Use layers of Keras itself: in place of a Lambda an operation such as keras.layers.Rescaling.",
    ),
    "code": (
        Outcome.FAILED,
        "Log the model without Python code; or set the gate's option 'allow_code' once you have read the code.",
    ),
    "loader_not_allowed": (
        Outcome.FAILED,
        "Log the model with one of MLflow's own flavors; or add the name to the gate's option 'allow'.",
    ),
    "outside": (Outcome.FAILED, "A model may only name files in its own folder. Log it again."),
    "link": (Outcome.FAILED, "A model may hold nothing but plain files. Log it again."),
    "hidden_content": (Outcome.FAILED, "A file must be one thing from its first byte to its last. Log it again."),
    "bomb": (Outcome.FAILED, "Log the model again without such compression."),
    "external_data": (Outcome.FAILED, "Keep external tensors in plain files beside the ONNX file, or inside it."),
    "custom_operator": (Outcome.FAILED, "Export the model with ONNX's own operators only."),
    "option_in_requirements": (
        Outcome.FAILED,
        "Only names with versions may stand there: no options, addresses or paths.",
    ),
    "unpinned": (
        Outcome.FAILED,
        "Pin each with ==, as MLflow does when it infers them; or set the gate's option 'allow_unpinned'.",
    ),
    "broken": (Outcome.FAILED, "The file may have been tampered with, or cut off. Log the model again."),
    "unreadable": (Outcome.ERROR, "Look at the disk and the rights on the files."),
    "too_large": (
        Outcome.INCONCLUSIVE,
        "Raise the gate's option 'max_mib' if the model is meant to be that large.",
    ),
    "unknown_format": (
        Outcome.INCONCLUSIVE,
        "Leave such files out of the model; or vouch for them with the gate's option 'accept_unknown'.",
    ),
    "missing_file": (Outcome.INCONCLUSIVE, "Log the model again."),
    "no_mlmodel": (Outcome.INCONCLUSIVE, "Log the model with MLflow, whose MLmodel file says what loads it."),
    "no_files": (Outcome.INCONCLUSIVE, "Log the model again."),
}
"""Outcome and advice by reason code; the most important first within one outcome."""

_SEVERITY = list(Outcome)
_IMPORTANCE = list(REASONS)
_NAME, _WHY = 120, 300  # characters, as attackers choose the names


@dataclass(frozen=True, slots=True)
class SafetyIssue:
    """One reason against loading a model.

    Attributes:
        what: A key of :data:`REASONS`.
        file: Path in the model, ``outer!inner`` inside of an archive; empty for the whole model.
        why: A phrase that continues after the file's name.
    """

    what: str
    file: str
    why: str

    @property
    def outcome(self) -> Outcome:
        """The outcome that it leads to."""
        return REASONS[self.what][0]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return REASONS[self.what][1]

    @property
    def weight(self) -> tuple[int, int]:
        """Sort key: most important first."""
        return -_SEVERITY.index(self.outcome), _IMPORTANCE.index(self.what)

    def __str__(self) -> str:
        """One readable line, with untrusted names sanitized."""
        file, why = printable(self.file, _NAME), printable(self.why, _WHY)
        return f"{file} {why}" if file else why
