"""Clients of a server in processes of its own, and what its owner looks at."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.serving.fakes import ROOT, Running


class Load:
    """Clients that ask without a pause, each question on a connection of its own."""

    def __init__(self, server: Running, body: bytes) -> None:
        self._server = server
        self._body = body
        self._over = threading.Event()
        self.models: Counter[str] = Counter()
        self.errors: list[str] = []

    def ask(self) -> None:
        """Ask until told to stop."""
        while not self._over.is_set():
            try:
                answer = self._server.check(self._body)
                answer.raise_for_status()
                self.models[answer.json()["model"]] += 1
            except httpx.HTTPError as error:
                self.errors.append(repr(error))

    @contextmanager
    def running(self, clients: int = 2) -> Iterator[Load]:
        """Ask while inside."""
        threads = [threading.Thread(target=self.ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has buried yet does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def refuses(port: int) -> bool:
    """Tell whether nobody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except ConnectionError:
        return True
    return False


def asleep(server: Running) -> int:
    """Return how many messages have made the server sleep so far."""
    return server.log.count("event=asleep")


def total(server: Running, name: str) -> float:
    """Return the sum of all series of a metric."""
    text = server.get("/metrics").text
    return sum(
        float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
    )


def ask_in_vain(server: Running, body: bytes) -> None:
    """Ask, whatever becomes of it."""
    with suppress(httpx.HTTPError):
        server.check(body)


def start_in_vain(folder: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Start a server that cannot start; return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "tests.serving.fake_server", str(folder), json.dumps(settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
