"""The ``-C`` options of the REST target."""

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
    """Demand an absolute path: the server may be restarted from another folder."""
    if path and "://" not in path and not Path(path).is_absolute():
        raise ValueError(f"write the absolute path: {Path(path).absolute()}")
    return path


_Place = Annotated[str, AfterValidator(_whole)]


class RestOptions(TargetOptions):
    """Options of a REST server."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="address to listen on; other machines need an API key (auth)"
    )
    port: int = Field(0, ge=0, le=65535, description="TCP port; 0 takes any free one")
    server: str = Field(
        "",
        description="deployment whose server also serves this one, at /models/<name>/invocations; all options but "
        "timeout_s are then those of that deployment",
    )
    workers: int = Field(
        1, ge=1, le=256, description="processes that score; with 2 or more, clients do not notice a crash of one"
    )
    drain_s: float = Field(20, ge=0, le=3600, description="seconds for requests in flight when a process ends")
    max_body_mb: float = Field(16, gt=0, le=2048, description="largest request body in MiB")
    max_pending_mb: float = Field(
        256, gt=0, description="most MiB of request bodies in a process at once; more are answered 429"
    )
    max_rows: int = Field(100_000, ge=1, description="most rows of one request; more are answered 413")
    max_queue_rows: int = Field(
        100_000, ge=1, description="most rows in the queue of a process; more are answered 429"
    )
    max_in_flight: int = Field(256, ge=1, description="most requests of a process at once; more are answered 429")
    max_connections: int = Field(4096, ge=1, description="most connections of a process; more are answered 503")
    max_connections_per_client: int = Field(
        1024, ge=1, description="the same per client address; a proxy in front counts as one address"
    )
    request_timeout_s: float = Field(
        60, gt=0, le=3600, description="seconds until a request is answered 504, unless the client sets less"
    )
    batch_latency_ms: float = Field(
        0, ge=0, description="milliseconds that scoring a batch may take; 0 decides by the measured cost"
    )
    model_memory_mb: float = Field(
        0, ge=0, description="MiB that a process of a pyfunc model may allocate; 0 is all of the machine's memory"
    )
    auth: Literal["auto", "required", "none"] = Field(
        "auto",
        description="authentication: auto needs a key or token except on a loopback address; or required, or none",
    )
    api_keys: _Place = Field("", description="file of API keys, instead of the home's keys/api.json")
    jwt_issuer: str = Field("", description="URL of an OpenID Connect issuer whose tokens are accepted too")
    jwt_audience: str = Field("", description="audience that these tokens must name; needed with jwt_issuer")
    jwt_keys: _Place = Field("", description="file or URL of the issuer's JWKS, instead of the one it publishes")
    tls_cert: _Place = Field("", description="PEM file of the certificate and its chain, for https")
    tls_key: _Place = Field("", description="PEM file of its private key, which only its owner may read")
    access_log: Literal["none", "json"] = Field(
        "none", description="json writes one line per request to the server's log, without values"
    )
    capture: float = Field(
        0, ge=0, le=1, description="share of requests whose rows and predictions are kept as Parquet files"
    )
    capture_mask: str = Field("", description="columns that are stored as null, comma-separated")
    capture_mb: float = Field(256, gt=0, description="most MiB of captured files; the oldest are deleted first")
    timeout_s: float = Field(120, gt=0, description="seconds that a version may take to start")

    def settings(self, ports: Sequence[int], api_keys: Path) -> Settings:
        """The server's settings.

        Args:
            ports: Ports to try in turn.
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
