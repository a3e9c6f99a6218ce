"""Where MLflow's own client would look, with the guard in between where nothing else brings it."""

from __future__ import annotations

from dataclasses import dataclass

import mlflow


@dataclass(frozen=True, slots=True)
class Location:
    """The two URIs of an MLflow installation."""

    tracking_uri: str
    registry_uri: str

    def as_environment(self) -> dict[str, str]:
        """What makes a child process look in the same place."""
        return {"MLFLOW_TRACKING_URI": self.tracking_uri, "MLFLOW_REGISTRY_URI": self.registry_uri}


def mlflow_location() -> Location:
    """What ``mlflow.set_tracking_uri`` or the environment say, else MLflow's default, ``sqlite:///mlflow.db``.

    A SQLite file has no server to hold the guard, so the guard runs in this very process.
    """
    registry_uri: str = mlflow.get_registry_uri()
    guarded = f"lifecycle+{registry_uri}" if registry_uri.startswith("sqlite:") else registry_uri
    return Location(mlflow.get_tracking_uri(), guarded)
