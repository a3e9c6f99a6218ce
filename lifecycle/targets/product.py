"""What batch and edge share: a deployment is a file or folder that was made once and belongs to the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lifecycle.domain.deployment import Deployment, Status
from lifecycle.targets.state import DeploymentRecord, DeploymentRecords


class ProductTarget:
    """Remembers products; a subclass makes them and scores with them.

    Args:
        home: Folder for the deployments' records.
    """

    name: str
    follows = False
    mark = ""
    """What has to be there, below a product's address, for the product to be complete."""

    def __init__(self, home: Path) -> None:
        self._records = DeploymentRecords(home, self.name)

    def describe(self, name: str) -> Deployment:
        """Raises NotFound for an unknown name."""
        return self._described(self._records.load(name))

    def list(self) -> Sequence[Deployment]:
        """Every deployment, by name."""
        return self._records.described(self._described)

    def undeploy(self, name: str) -> None:
        """Forget the deployment. Its product belongs to the user and stays."""
        with self._records.lock(name):
            self._records.remove(name)

    def _described(self, record: DeploymentRecord) -> Deployment:
        """As recorded, unless its product has gone since."""
        if not (Path(record.address) / self.mark).is_file():
            detail = f"{record.address} is gone; deploy it again"
            record = replace(record, status=Status.FAILED, detail=detail)
        return record.deployment(self.name)
