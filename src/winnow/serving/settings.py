"""What the operator decides before the server starts. Plain values; nothing here does I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

HTTP_PORT = 8025
SPAMD_PORT = 7830
"""spamd's own port is 783, which only root may bind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one worker process; what exceeds one is answered, never waited for.

    Attributes:
        inline_bytes: messages up to this size are checked in the event loop itself: a hop to a
            thread costs more than their check.
        scan_bytes: only so much of the beginning of a message is kept and looked at.
        message_bytes: a longer message is refused; its end is not read.
        json_bytes: longest JSON request; JSON cannot be looked at before it is whole.
        header_bytes: longest request line and headers of one HTTP request.
        deadline_seconds: an answer that takes longer is given up.
        head_seconds: time for a client to send the request line and headers.
        body_seconds: time for a client to send the message.
        idle_seconds: an HTTP connection without a request is closed after this time.
        connections: open connections of each door.
        waiting: large messages that may wait for a thread.
        threads: threads for large messages.
    """

    inline_bytes: int = 64 * 1024
    scan_bytes: int = 1024 * 1024
    message_bytes: int = 64 * 1024 * 1024
    json_bytes: int = 4 * 1024 * 1024
    header_bytes: int = 32 * 1024
    deadline_seconds: float = 5.0
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 30.0
    connections: int = 512
    waiting: int = 64
    threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One server.

    Attributes:
        host: address to bind, as written by the operator.
        port: HTTP port; 0 lets the system choose one.
        spamd_port: spamd port, 0 likewise; None for no such door.
        workers: number of worker processes.
        allow_remote: whether a host off loopback is meant.
        allowed_hosts: further names that the Host header of a request may carry.
        watch: model folder whose change on disk swaps the model; None to swap on SIGHUP only.
        device: that the model runs on, by its name, or "auto".
        grace_seconds: time for requests in flight when the server stops.
        stalled_seconds: a worker that has not moved for so long is killed and replaced.
        ready_file: where to write the bound ports as JSON once the server answers.
        limits: bounds of each worker.
    """

    host: str = "127.0.0.1"
    port: int = HTTP_PORT
    spamd_port: int | None = SPAMD_PORT
    workers: int = 1
    allow_remote: bool = False
    allowed_hosts: tuple[str, ...] = ()
    watch: Path | None = None
    device: str = "cpu"
    grace_seconds: float = 10.0
    stalled_seconds: float = 60.0
    ready_file: Path | None = None
    limits: Limits = field(default_factory=Limits)
