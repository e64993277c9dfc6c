"""Start a server, wait until it answers, ask it over loopback, and stop it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
START_SECONDS = 90.0  # rspamd compiles its tables first
ASK_SECONDS = 120.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def daemon(
    command: Sequence[str | Path],
    ready: Callable[[], bool],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[int]:
    """Run a server in the foreground; yield its process id once it is ready.

    Args:
        command: starts it.
        ready: whether it answers; asked every 5 ms.
        log: where its output goes.
        env: its environment.
        options: for Popen.

    Raises:
        OSError: it cannot be started, ends by itself or does not get ready; says where the log is.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=env, **(options or {})
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
                raise OSError(f"{command[0]} did not start: {' '.join(last)}")
            time.sleep(0.005)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    """Whether anybody accepts connections at a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def exchange(port: int, request: bytes, *, half_close: bool = False) -> bytes:
    """Send a request over a connection of its own; return all that comes until it is closed.

    Args:
        port: of loopback.
        request: all of it.
        half_close: say that no more comes, as spamc does; spamd waits for it now and then.
    """
    with socket.create_connection((HOST, port), timeout=ASK_SECONDS) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def spamd_request(raw: bytes, verb: str = "CHECK") -> bytes:
    """Frame a message for the spamd protocol."""
    return f"{verb} SPAMC/1.5\r\nContent-length: {len(raw)}\r\n\r\n".encode() + raw


def http_request(raw: bytes, path: str) -> bytes:
    """Frame a message for one HTTP request on a connection of its own."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw


def post(port: int, path: str, raw: bytes) -> tuple[int, bytes]:
    """POST a message; return the status and the body of the answer."""
    connection = HTTPConnection(HOST, port, timeout=ASK_SECONDS)
    try:
        connection.request("POST", path, raw, {"Content-Type": "message/rfc822"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
