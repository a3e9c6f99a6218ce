"""What ``-C`` can say to the REST target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lifecycle.serving.settings import Settings
from lifecycle.targets.contract import TargetOptions

_DOOR = {"auth", "api_keys", "jwt_issuer", "jwt_audience", "jwt_keys", "tls_cert", "tls_key"}
_LIMITS = {
    "max_pending_mb",
    "max_rows",
    "max_queue_rows",
    "max_in_flight",
    "max_connections",
    "max_connections_per_client",
    "request_timeout_s",
    "batch_latency_ms",
    "model_memory_mb",
}


def _whole(path: str) -> str:
    """The server, and whoever starts it anew, may be in another folder than whoever typed this."""
    if path and "://" not in path and not Path(path).is_absolute():
        raise ValueError(f"write the whole path: {Path(path).absolute()}")
    return path


_Place = Annotated[str, AfterValidator(_whole)]


class RestOptions(TargetOptions):
    """Where a server listens, and how it behaves."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="address to listen on; where others reach it, they need keys (auth)"
    )
    port: int = Field(0, ge=0, le=65535, description="TCP port; 0 takes any free one")
    server: str = Field(
        "",
        description="name of a deployment whose server answers for this one too, at /models/<name> and under the "
        "same name in every other protocol; everything but timeout_s is then that deployment's affair",
    )
    workers: int = Field(
        1, ge=1, le=256, description="processes that score; from 2 on, one that crashes is not missed"
    )
    drain_s: float = Field(
        20, ge=0, le=3600, description="seconds that requests in flight may take when a process ends"
    )
    max_body_mb: float = Field(16, gt=0, le=2048, description="largest request body in MiB")
    max_pending_mb: float = Field(
        256, gt=0, description="MiB of request bodies that a process holds at once; more are answered 429"
    )
    max_rows: int = Field(100_000, ge=1, description="most rows of one request; more are answered 413")
    max_queue_rows: int = Field(
        100_000, ge=1, description="rows that wait in a process for their turn; more are answered 429"
    )
    max_in_flight: int = Field(256, ge=1, description="requests at once; more are answered 429")
    max_connections: int = Field(4096, ge=1, description="connections of a process; more are answered 503")
    max_connections_per_client: int = Field(
        1024, ge=1, description="the same from one address; a proxy in front of it is one address"
    )
    request_timeout_s: float = Field(
        60, gt=0, le=3600, description="seconds that an answer may take, unless the client waits for less"
    )
    batch_latency_ms: float = Field(
        0, ge=0, description="milliseconds that scoring a batch may take; 0 decides by what the model costs"
    )
    model_memory_mb: float = Field(
        0, ge=0, description="MiB that a pyfunc model's process may allocate; 0 is all that the machine has"
    )
    auth: Literal["auto", "required", "none"] = Field(
        "auto", description="who may ask: auto, anybody on a loopback address without jwt_issuer, else key holders"
    )
    api_keys: _Place = Field("", description="file of API keys, in place of the home's keys/api.json")
    jwt_issuer: str = Field("", description="whose tokens are taken besides: an OpenID Connect issuer's URL")
    jwt_audience: str = Field("", description="for whom these tokens have to be made")
    jwt_keys: _Place = Field("", description="file or URL of the issuer's JWKS, in place of what it publishes")
    tls_cert: _Place = Field("", description="PEM file of the certificate and its chain, for https")
    tls_key: _Place = Field("", description="PEM file of its private key, which nobody else may read")
    access_log: Literal["none", "json"] = Field(
        "none", description="json writes a line a request to the server's log, without values"
    )
    capture: float = Field(
        0, ge=0, le=1, description="share of the requests whose rows and predictions are kept as Parquet files"
    )
    capture_mask: str = Field("", description="columns that are kept as null, comma-separated")
    capture_mb: float = Field(256, gt=0, description="MiB of captured files; the oldest go first")
    timeout_s: float = Field(120, gt=0, description="seconds that a version may take to come up")

    def settings(self, ports: Sequence[int], api_keys: Path) -> Settings:
        """For the server.

        Args:
            ports: To try in turn.
            api_keys: The home's file of API keys.
        """
        return Settings(
            host=self.host,
            ports=list(ports),
            workers=self.workers,
            drain_s=self.drain_s,
            max_body=int(self.max_body_mb * 2**20),
            access_log=self.access_log,
            capture=self.capture,
            capture_mask=[name.strip() for name in self.capture_mask.split(",") if name.strip()],
            capture_mb=self.capture_mb,
            **self.model_dump(include=_LIMITS),
            **self.model_dump(include=_DOOR) | {"api_keys": self.api_keys or str(api_keys)},
        )
