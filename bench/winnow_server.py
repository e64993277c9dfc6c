"""A real `winnow serve` in a folder of its own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.daemon import daemon, post


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers.

    Attributes:
        pid: of its first process.
        http: its HTTP port.
        spamd: its port of the spamd protocol.
        start_seconds: from the start of the program to its first answer for a message.
    """

    pid: int
    http: int
    spamd: int
    start_seconds: float


@contextmanager
def serving(folder: Path, *, workers: int = 1, model: Path | None = None) -> Iterator[Server]:
    """Run the server as it is installed, with a new store, until the block ends."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "winnow", "serve", "--port", "0", "--spamd-port", "0"]
    command += ["--workers", f"{workers}", "--ready-file", f"{ready}"]
    command += ["--store", f"{folder / 'winnow.db'}"]
    command += ["--model", f"{model}"] if model else []
    start = time.monotonic()
    with daemon(command, ready.exists, log=folder / "winnow.log") as pid:
        found = json.loads(ready.read_text("utf-8"))
        http, spamd = (int(found[door].rpartition(":")[2]) for door in ("http", "spamd"))
        post(http, "/v1/check", b"Subject: hello\n\nhello\n")
        yield Server(pid, http, spamd, time.monotonic() - start)
