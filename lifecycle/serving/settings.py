"""Settings of a server. JSON types only, since they travel in a file from target to server."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """All options of a server that ``-C`` sets.

    Attributes:
        ports: Ports to try in turn; 0 is any free one.
        workers: Number of processes that score a model.
        drain_s: Seconds for requests in flight when a worker ends.
        max_body: Most bytes of one body.
        max_rows: Most rows of one request.
        max_pending_mb: MiB of request bodies that one worker holds at once.
        max_connections, max_connections_per_client: Limits of one worker; a client is an address.
        model_memory_mb: MiB that one process of a pyfunc model may allocate; 0 for all of the machine's memory.
        max_in_flight: Most requests of one worker that have been read and not answered.
        max_queue_rows: Most rows of one worker in the queue.
        request_timeout_s: Seconds until a request is answered with 504, unless the client sets less.
        batch_latency_ms: Milliseconds that scoring one batch may take, which limits the rows of a batch;
            0 lets the model's measured cost decide.
        auth: ``auto``, ``required`` or ``none``; ``auto`` demands keys or tokens except on a loopback address.
        api_keys: Path of the file of API keys.
        jwt_issuer, jwt_audience: Issuer and audience of accepted tokens; empty for none.
        jwt_keys: Path or URL of the issuer's JWKS; empty to use its discovery document.
        tls_cert, tls_key: Paths of PEM files; empty for plain HTTP.
        capture: Share of requests whose rows and predictions are kept, 0 to 1.
        capture_mask: Columns that are stored as null.
        capture_mb: Most MB on disk; the oldest files are deleted first.
        access_log: ``none``, or ``json`` for one line per request.
    """

    host: str = "127.0.0.1"
    ports: list[int] = field(default_factory=lambda: [0])
    workers: int = 1
    drain_s: float = 20.0
    max_body: int = 16 * 2**20
    max_rows: int = 100_000
    max_pending_mb: float = 256.0
    max_connections: int = 4096
    max_connections_per_client: int = 1024
    model_memory_mb: float = 0.0
    max_in_flight: int = 256
    max_queue_rows: int = 100_000
    request_timeout_s: float = 60.0
    batch_latency_ms: float = 0.0
    auth: str = "auto"
    api_keys: str = ""
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_keys: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    capture: float = 0.0
    capture_mask: list[str] = field(default_factory=list)
    capture_mb: float = 256.0
    access_log: str = "none"
