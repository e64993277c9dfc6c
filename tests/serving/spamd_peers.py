"""A small engine behind the spamd door, and clients before it."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from winnow.protocols.spamd import Limits
from winnow.serving.spamd import DoorLimits, SpamdDoor
from winnow.verdict import Action, Envelope, Label, Learnt, Reason, Verdict

SPAM = b"From: a@b.test\nSubject: x\n\nCHEAP pills\n"
IDLE_SECONDS = 20.0
REQUEST_SECONDS = 40.0
HANG_SECONDS = 90.0
"""A test that takes longer has failed: more than any bound above, however the clock is moved."""


class FakeEngine:
    """Says spam to CHEAP; what `trouble` says, it does first: raise, sleep, wait for an event.

    Like the real one it answers for small messages at once, unless it has to wait for its trouble.
    """

    junk_threshold = 0.9
    inline_bytes = 1000

    def __init__(self, trouble: Exception | float | asyncio.Event | None = None) -> None:
        self.trouble = trouble
        self.asked: list[tuple[Any, ...]] = []
        self.taught: dict[bytes, Label] = {}
        self.failures: list[str] = []

    async def _be_in_trouble(self) -> None:
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if isinstance(self.trouble, asyncio.Event):
            await self.trouble.wait()
        elif self.trouble:
            await asyncio.sleep(self.trouble)

    async def check(
        self, raw: bytes, envelope: Envelope, *, size_bytes: int, explain: bool
    ) -> Verdict:
        """Answer."""
        self.asked.append((raw, envelope, size_bytes, explain))
        await self._be_in_trouble()
        return self._verdict(raw, size_bytes, explain)

    def check_now(
        self, raw: bytes, envelope: Envelope, *, size_bytes: int, explain: bool
    ) -> Verdict | None:
        """Answer for a small message."""
        if isinstance(self.trouble, RuntimeError):  # a bug
            raise self.trouble
        if self.trouble or len(raw) > self.inline_bytes:
            return None
        self.asked.append((raw, envelope, size_bytes, explain))
        return self._verdict(raw, size_bytes, explain)

    def _verdict(self, raw: bytes, size_bytes: int, explain: bool) -> Verdict:
        junk = b"CHEAP" in raw
        return Verdict(
            id="m@b.test",
            identity="00",
            probability=0.97 if junk else 0.02,
            action=Action.JUNK if junk else Action.DELIVER,
            rule="junk" if junk else "deliver",
            stage="reflex",
            reasons=(Reason("word", "Grüße\r\nX-Evil: 1", 0.5),) if explain else (),
            milliseconds=0.1,
            model="fake@12345678",
            size_bytes=size_bytes,
        )

    async def learn(self, raw: bytes, label: Label, *, source: str) -> Learnt:
        """Learn."""
        self.asked.append((raw, label, source))
        await self._be_in_trouble()
        before = self.taught.get(raw)
        self.taught[raw] = label
        if before is label:
            return Learnt.ALREADY
        return Learnt.RELABELLED if before else Learnt.LEARNT

    async def forget(self, raw: bytes, *, source: str) -> Learnt:
        """Forget."""
        self.asked.append((raw, None, source))
        await self._be_in_trouble()
        return Learnt.FORGOTTEN if self.taught.pop(raw, None) else Learnt.UNKNOWN

    def failed(self, kind: str) -> None:
        """Count."""
        self.failures.append(kind)


class FullListener(socket.socket):
    """A listener that has no descriptor left, once."""

    refusals = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Fail first, then accept."""
        if not self.refusals:
            self.refusals += 1
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


Scenario = Callable[[SpamdDoor, int], Awaitable[Any]]


def serve(
    scenario: Scenario,
    engine: FakeEngine | None = None,
    limits: Limits | None = None,
    **door_limits: Any,
) -> FakeEngine:
    """Run a scenario with an open door; nothing of it may be left at the end.

    The times of the door are longer than any pause of the machine: see `fakes.pass_time`.
    """
    engine = engine or FakeEngine()
    times = {
        "idle_seconds": IDLE_SECONDS,
        "request_seconds": REQUEST_SECONDS,
        "linger_seconds": IDLE_SECONDS,
    }
    bounds = DoorLimits(**(times | door_limits))

    async def body() -> None:
        door = SpamdDoor(engine, limits=limits, door_limits=bounds)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        door.start(listener)
        try:
            await scenario(door, port)
        finally:
            await door.stop(grace_seconds=1)
        assert door.open_connections == 0
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*others), HANG_SECONDS)

    asyncio.run(body())
    return engine


def in_flight(door: SpamdDoor) -> int:
    """Return how many clients have begun a request and have not got all of their reply."""
    return sum(client.in_flight for client in door._open)


def request(command: str, *headers: str, body: bytes = SPAM, length: int | None = None) -> bytes:
    """Return a request as spamc sends it."""
    size = len(body) if length is None else length
    lines = [f"{command} SPAMC/1.5", *headers, f"Content-length: {size}", "", ""]
    return "\r\n".join(lines).encode() + body


async def exchange(port: int, *pieces: bytes, half_close: bool = True, pause: float = 0.0) -> bytes:
    """Send pieces, return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if half_close:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), HANG_SECONDS)
    finally:
        writer.close()
        await writer.wait_closed()


async def spamc(port: int, *options: str, message: bytes = SPAM) -> tuple[int | None, bytes]:
    """Run spamc; return its exit status and output."""
    process = await asyncio.create_subprocess_exec(
        "spamc", "-d", "127.0.0.1", "-p", str(port), "-F", "/dev/null", *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(message), HANG_SECONDS)
    return process.returncode, output
