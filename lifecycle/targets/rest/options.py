"""What ``-C`` can say to the REST target."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from lifecycle.serving.settings import Settings
from lifecycle.targets.options import TargetOptions


class RestOptions(TargetOptions):
    """Where a server listens, and how it behaves."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; whoever reaches it may ask")
    port: int = Field(0, ge=0, le=65535, description="TCP port; 0 takes any free one")
    max_body_mb: float = Field(16, gt=0, le=2048, description="largest request body in MiB")
    max_in_flight: int = Field(64, ge=1, description="requests at once; more are answered 429")
    timeout_s: float = Field(120, gt=0, description="seconds that a version may take to come up")

    def settings(self, ports: Sequence[int]) -> Settings:
        """For the server.

        Args:
            ports: To try in turn.
        """
        return Settings(
            host=self.host,
            ports=list(ports),
            max_body=int(self.max_body_mb * 2**20),
            max_in_flight=self.max_in_flight,
        )
