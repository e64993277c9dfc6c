"""A filter as small as the server lets it be, and a server around it in processes of its own.

The fake's corrections live in one text file, so that several processes share them as they share
the real store. What a message says moves the fake: SLEEP makes it slow and say so in the log, WAIT
keeps it until it is let go, CRASH kills its process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from winnow.errors import ArtifactError, StoreError
from winnow.policy import Rules
from winnow.store import VerdictRow
from winnow.verdict import Action, Envelope, Label, Learnt, Reason, Verdict

ROOT = Path(__file__).resolve().parent.parent.parent
HAM = b"Subject: minutes\r\nMessage-ID: <ham@example.org>\r\n\r\nThe minutes are attached.\r\n"
SPAM = b"Subject: pills\r\nMessage-ID: <spam@example.org>\r\n\r\nCHEAP pills\r\n"


class FakeStore:
    """Keeps verdicts in memory; loses those of messages whose id begins with "lose"."""

    def __init__(self) -> None:
        self.lost = 0
        self.last_error = ""
        self.queued: list[VerdictRow] = []
        self.rows: list[VerdictRow] = []

    def record(self, verdict: Verdict, *, door: str, at: float) -> None:
        """Queue or lose a verdict."""
        if verdict.id.startswith("lose"):
            self.lost += 1
            self.last_error = "the disk is full"
            return
        self.queued.append(
            VerdictRow(
                *(verdict.id, verdict.identity, at, door, verdict.probability, verdict.action),
                *(verdict.rule, verdict.stage, verdict.reasons, verdict.milliseconds),
                *(verdict.model, verdict.size_bytes, "", ""),
            )
        )

    def find(self, message_id: str) -> list[VerdictRow]:
        """Find what has been written, the newest first."""
        key = message_id.removeprefix("<").removesuffix(">")
        return [row for row in reversed(self.rows) if row.message_id == key]

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Write what is queued."""
        self.rows += self.queued
        self.queued.clear()
        return True


class FakeFilter:
    """Says spam to CHEAP and to what it was taught."""

    def __init__(self, folder: Path | None = None, *, store: bool = True) -> None:
        self.model = _model(folder)
        self.device = "cpu"
        if self.model.startswith("only-in-parent"):
            _refuse_second(folder)
        if folder is not None:
            with (folder / "opened-by").open("a") as file:
                file.write(f"{os.getpid()}\n")
        self.rules = Rules.default()
        self.store = FakeStore() if store else None
        self.closed = 0
        self.let_go = threading.Event()
        self._corrections = folder / "corrections.txt" if folder else None
        self._taught: dict[str, str] = {}
        self._lines = 0
        self.refresh()

    def check(
        self,
        raw: bytes,
        envelope: Envelope = Envelope(),  # noqa: B008
        *,
        size_bytes: int | None = None,
        explain: bool = True,
        by: float | None = None,
    ) -> Verdict:
        """Answer."""
        self._take_time(raw)
        if b"CRASH" in raw:
            os.kill(os.getpid(), signal.SIGKILL)
        digest = hashlib.sha256(raw).hexdigest()
        label = self._taught.get(digest, "spam" if b"CHEAP" in raw else "ham")
        found = re.search(rb"(?im)^Message-ID:\s*<(.*?)>", raw)
        reasons = (Reason("word", label, 0.5), Reason("trait", envelope.sender, -0.1))
        return Verdict(
            id=found[1].decode("utf-8", "replace") if found else digest[:16],
            identity=digest,
            probability=0.97 if label == "spam" else 0.02,
            action=Action.JUNK if label == "spam" else Action.DELIVER,
            rule="default",
            stage="reflex",
            reasons=reasons if explain else (),
            milliseconds=0.25,
            model=self.model,
            size_bytes=len(raw) if size_bytes is None else size_bytes,
        )

    def _take_time(self, raw: bytes) -> None:
        if b"WAIT" in raw:
            assert self.let_go.wait(60)
        if slow := re.search(rb"SLEEP (\d+)", raw):
            sys.stderr.write("event=asleep\n")
            time.sleep(int(slow[1]) / 1000)

    def learn(self, raw: bytes, label: Label, *, source: str) -> Learnt:
        """Write a correction."""
        return self._correct(raw, str(label))

    def forget(self, raw: bytes, *, source: str) -> Learnt:
        """Take one back."""
        return self._correct(raw, "forget")

    def _correct(self, raw: bytes, word: str) -> Learnt:
        if self.store is None or b"LOCKED" in raw:
            raise StoreError("the database is locked")
        self._take_time(raw)
        digest = hashlib.sha256(raw).hexdigest()
        before = self._taught.get(digest)
        if self._corrections is not None:
            with self._corrections.open("a") as file:
                file.write(f"{digest} {word}\n")
        self._teach(digest, word)
        if word == "forget":
            return Learnt.FORGOTTEN if before else Learnt.UNKNOWN
        if before is None:
            return Learnt.LEARNT
        return Learnt.ALREADY if before == word else Learnt.RELABELLED

    def _teach(self, digest: str, word: str) -> None:
        if word == "forget":
            self._taught.pop(digest, None)
        else:
            self._taught[digest] = word

    def refresh(self) -> int:
        """Read what other processes wrote."""
        if self._corrections is None or not self._corrections.exists():
            return 0
        lines = self._corrections.read_text().splitlines()[self._lines :]
        for line in lines:
            self._teach(*line.split())
        self._lines += len(lines)
        return len(lines)

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


def _refuse_second(folder: Path | None) -> None:
    """Open once only, as a store does that another process has locked meanwhile."""
    assert folder is not None
    if (folder / "opened").exists():
        raise StoreError("this model opens once")
    (folder / "opened").touch()


def _model(folder: Path | None) -> str:
    if folder is None:
        return "fake@00000000"
    try:
        return str(json.loads((folder / "model" / "manifest.json").read_text())["name"])
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"damaged: {error}") from None


def write_model(folder: Path, name: str) -> None:
    """Put a model in place at once, as a careful installer does."""
    write_manifest(folder, json.dumps({"name": name}))


def write_manifest(folder: Path, text: str) -> None:
    """Put a manifest in place; whoever watches the model sees one change, never half of it."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (folder / "manifest.new").write_text(text)
    (folder / "manifest.new").replace(model / "manifest.json")


class Running:
    """A server in processes of its own."""

    def __init__(self, process: subprocess.Popen[bytes], ready: dict[str, Any], log: Path) -> None:
        self.process = process
        self.url = str(ready["http"])
        self.port = int(self.url.rpartition(":")[2])
        self.spamd_port = int(str(ready["spamd"]).rpartition(":")[2]) if ready["spamd"] else 0
        self.ready = ready
        self._log = log
        # A connection for each request, so that any worker may get it.
        self.client = httpx.Client(
            base_url=self.url, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return self._log.read_text("utf-8", "replace")

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.client.get(path, **options)

    def check(self, raw: bytes = HAM, **options: Any) -> httpx.Response:
        """POST a raw message."""
        return self.client.post("/v1/check", content=raw, **options)

    def health(self) -> Any:
        """Ask how it is."""
        return self.get("/v1/health").json()

    def pids(self) -> list[int]:
        """Workers that answer."""
        return [worker["pid"] for worker in self.health()["workers"]]

    def stop(self) -> int:
        """Stop in order; return the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Running]:
    """Start a server on free ports; stop it at the end, and see that it stops in order."""
    if not (folder / "model").exists():
        write_model(folder, "first@11111111")
    ready_file = folder / "ready.json"
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".log", delete=False) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.serving.fake_server", str(folder), json.dumps(settings)],
            cwd=ROOT,
            stderr=log,
        )
    try:
        wait_until(lambda: ready_file.exists() or process.poll() is not None)
        assert process.poll() is None, Path(log.name).read_text()
        server = Running(process, json.loads(ready_file.read_text()), Path(log.name))
        with server.client:
            yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for something that takes a moment in another process."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


async def until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for something that takes a moment in this event loop or a thread beside it."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.002)


async def settle() -> None:
    """Let the event loop do what it can do at once."""
    for _ in range(20):
        await asyncio.sleep(0)


def pass_time(seconds: float) -> None:
    """Put the clock of the running event loop forward.

    So a test can have bounds much longer than any pause of the machine, and need not wait for them.
    """
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
