"""How a server is to behave. JSON types only: it travels in a file from the target to the server's processes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that ``-C`` can say to a server.

    Attributes:
        ports: To try in turn; 0 is any free one.
        workers: Processes that score a model.
        drain_s: How long requests in flight may take when a worker ends.
        max_body: Bytes of one body.
        max_rows: Rows of one request.
        max_pending_mb: MiB of request bodies that one worker holds at once.
        max_connections, max_connections_per_client: Of one worker; a client is an address.
        model_memory_mb: MiB that one process of a pyfunc model may allocate; 0 for all that the machine has.
        max_in_flight: Requests of one worker that have been read and not answered yet.
        max_queue_rows: Rows of one worker that wait for their turn.
        request_timeout_s: How long an answer may take, unless the client waits for less.
        batch_latency_ms: How long scoring one batch may take, which bounds how many rows are put together;
            0 lets the model's measured cost decide.
        auth: ``auto``, ``required`` or ``none``; ``auto`` demands keys or tokens except on a loopback address.
        api_keys: Path of the file of API keys.
        jwt_issuer, jwt_audience: Of the tokens that are taken; empty for none.
        jwt_keys: Path or URL of the issuer's JWKS; empty to ask the issuer's discovery document.
        tls_cert, tls_key: Paths of PEM files; empty for plain HTTP.
        capture: Share of the requests whose rows and predictions are kept, 0 to 1.
        capture_mask: Columns that are kept as null.
        capture_mb: How much is kept on disk; the oldest goes first.
        access_log: ``none`` or ``json``: a line a request.
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
