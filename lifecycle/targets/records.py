"""A target's records of deployments: one folder per deployment with one JSON record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lifecycle.domain.deployment import (
    Deployment,
    DeploymentSpec,
    ModelSource,
    Status,
    Variant,
    check_deployment_name,
    is_deployment_name,
)
from lifecycle.domain.model import ModelRef
from lifecycle.durable import exclusive, write_json
from lifecycle.errors import IntegrityError, NotFound, UsageError, unknown
from lifecycle.targets.contract import TargetContext

_RECORD = "deployment.json"
_LOCKS = ".locks"  # no deployment name starts with a dot
_UNKNOWN = ModelRef("?", version=0)  # no model is called so


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """The record of a deployment.

    Attributes:
        spec: The requested deployment.
        status, address, detail, figures: As in :class:`Deployment`.
    """

    spec: DeploymentSpec
    status: Status
    address: str = ""
    detail: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def deployment(self, target: str) -> Deployment:
        """The deployment as the target reports it."""
        spec = self.spec
        return Deployment(
            spec.name,
            target,
            spec.ref,
            spec.version,
            spec.digest,
            self.status,
            self.address,
            self.detail,
            dict(spec.options),
            dict(self.figures),
            spec.variants,
        )


class DeploymentRecords:
    """The deployments of one target below ``home``.

    ``<target>/<name>/`` belongs to the deployment; it exists for other processes from the moment its
    record is written, which is the last step of a deployment.
    """

    def __init__(self, home: Path, target: str) -> None:
        self._root = home.absolute() / target

    def path(self, name: str) -> Path:
        """Path of the deployment's folder. Raises UsageError for an invalid name."""
        return self._root / check_deployment_name(name)

    def folder(self, name: str) -> Path:
        """The deployment's folder, created if missing."""
        folder = self.path(name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def find(self, name: str) -> DeploymentRecord | None:
        """The deployment's record, or None.

        Raises:
            UsageError: the name is not valid.
            IntegrityError: the file is not a record.
        """
        path = self.path(name) / _RECORD
        try:
            record = _from_json(path.read_text(encoding="utf-8"))
            if record.spec.name != name:
                raise ValueError("it is another deployment's")
            return record
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError, UsageError) as exc:
            raise IntegrityError(f"{path} is not a deployment record any more; undeploy {name!r}") from exc

    def load(self, name: str) -> DeploymentRecord:
        """The deployment's record. Raises NotFound for an unknown name, with the known ones."""
        record = self.find(name)
        if record is None:
            raise NotFound(unknown("deployment", name, self.names()))
        return record

    def names(self) -> list[str]:
        """Every deployment, sorted. A folder with another name or no record is none."""
        found = [path.parent.name for path in self._root.glob(f"*/{_RECORD}")]
        return sorted(name for name in found if is_deployment_name(name))

    def described(self, describe: Callable[[DeploymentRecord], Deployment]) -> list[Deployment]:
        """All deployments by name. One with an unreadable record is FAILED."""
        found = []
        for name in self.names():
            try:
                record = self.find(name)
            except IntegrityError as exc:
                found.append(Deployment(name, self._root.name, _UNKNOWN, 0, "", Status.FAILED, detail=str(exc)))
            else:
                found += [describe(record)] if record is not None else []
        return found

    def save(self, record: DeploymentRecord) -> None:
        """Write the record atomically."""
        write_json(self.folder(record.spec.name) / _RECORD, _as_dict(record))

    def remove(self, name: str) -> None:
        """Forget the deployment and delete its folder. Idempotent."""
        folder = self.path(name)
        (folder / _RECORD).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the deployment's exclusive lock across processes; the kernel releases it if we die.

        Raises:
            Conflict: another process is changing it.
        """
        check_deployment_name(name)
        locks = self._root / _LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        with exclusive(locks / name, f"another process is changing deployment {name!r}; try again"):
            yield


def _as_dict(record: DeploymentRecord) -> dict[str, Any]:
    spec = record.spec
    return {
        "name": spec.name,
        "ref": str(spec.ref),
        "variants": [variant.as_dict() for variant in spec.variants],
        "options": dict(spec.options),
        "status": str(record.status),
        "address": record.address,
        "detail": record.detail,
        "figures": dict(record.figures),
    }


def _from_json(text: str) -> DeploymentRecord:
    fields = json.loads(text)
    ref = ModelRef.parse(fields["ref"])
    spec = DeploymentSpec(fields["name"], ref, _variants(ref, fields), dict(fields["options"]))
    figures = dict(fields["figures"])
    return DeploymentRecord(spec, Status(fields["status"]), str(fields["address"]), str(fields["detail"]), figures)


def _variants(ref: ModelRef, fields: Mapping[str, Any]) -> tuple[Variant, ...]:
    if "variants" in fields:
        return tuple(map(Variant.from_dict, fields["variants"]))
    # written before variants existed: one version, with paths of this machine instead of a source
    version = int(fields["version"])
    source = ModelSource(f"models:/{ref.name}/{version}", fields["digest"])
    return (Variant(version, source, compiled=fields["compiled"] is not None),)


class ArtifactTarget:
    """Base of batch and edge: a deployment is a file or folder that was made once and belongs to the user.

    A subclass makes the artifacts and scores with them.
    """

    name: str
    marker = ""
    """File below an artifact's address that exists when the artifact is complete."""

    def __init__(self, context: TargetContext) -> None:
        self._models = context.models
        self._records = DeploymentRecords(context.deployments, self.name)

    def describe(self, name: str) -> Deployment:
        """The deployment. Raises NotFound for an unknown name."""
        return self._described(self._records.load(name))

    def list(self) -> Sequence[Deployment]:
        """All deployments, ordered by name."""
        return self._records.described(self._described)

    def undeploy(self, name: str) -> None:
        """Delete the record. The artifact belongs to the user and stays."""
        with self._records.lock(name):
            self._records.remove(name)

    def _described(self, record: DeploymentRecord) -> Deployment:
        """The deployment as recorded; FAILED if its artifact is missing."""
        if not (Path(record.address) / self.marker).is_file():
            detail = f"{record.address} is missing; deploy it again"
            record = replace(record, status=Status.FAILED, detail=detail)
        return record.deployment(self.name)
