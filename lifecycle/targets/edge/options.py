"""What ``-C`` options the edge target takes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lifecycle.targets.contract import TargetOptions


class EdgeOptions(TargetOptions):
    """Options of one edge deployment."""

    output: str = Field(pattern=r"\.zip$", description="the bundle to write, a file named *.zip")

    @property
    def bundle(self) -> Path:
        """Where the bundle goes."""
        return Path(self.output).expanduser().resolve()
