"""The spamd door: spamc, Exim and everything else that speaks SPAMC/1.2 to 1.5.

Law: a client gets a true verdict or none. Whatever goes wrong, it is told so at once in a way that
makes it pass its message on unmarked; docs/reference/spamd.md has the table of failures.

Sockets and not asyncio's transports: with one connection a message, connections are the cost. What
spamc sends is there when it is accepted, so that most requests are read, answered and closed in one
go, without a task, a timer or the event loop ever watching their socket.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from winnow.errors import RemoteProtocolError, WinnowError
from winnow.protocols.spamd import Limits, SpamdConnection
from winnow.protocols.spamd_events import (
    Check,
    Closed,
    Command,
    Failed,
    Forget,
    Learn,
    Ping,
    Pong,
    Reply,
    Scored,
    Status,
    Told,
)
from winnow.protocols.spamd_reply import Piece
from winnow.verdict import Action, Envelope, Label, Learnt, Verdict

logger = logging.getLogger("winnow.serving")

_BACKLOG = 1024  # connections that the kernel holds for us; the kernel may allow fewer
_ACCEPT_PAUSE_SECONDS = 1.0  # when no descriptor is left; asyncio itself waits as long
_READ_BYTES = 64 << 10  # at a time: the others get their turn
_JOINED_BYTES = 64 << 10  # a reply up to here is sent in one piece
_UNEXPLAINED = frozenset({Command.CHECK})
_CHANGED = frozenset({Learnt.LEARNT, Learnt.RELABELLED, Learnt.FORGOTTEN})


class AbstractEngine(Protocol):
    """What the door needs of the engine."""

    @property
    def junk_threshold(self) -> float:
        """Probability from which the general rule says junk, in 0..1."""

    def check_now(
        self, raw: bytes, envelope: Envelope, *, size_bytes: int, explain: bool
    ) -> Verdict | None:
        """Answer for a small message without waiting; None for a large one."""

    async def check(
        self, raw: bytes, envelope: Envelope, *, size_bytes: int, explain: bool
    ) -> Verdict:
        """Answer for a message. Raises TimeoutError, WinnowError."""

    async def learn(self, raw: bytes, label: Label, *, source: str) -> Learnt:
        """Correct the weights. Raises TimeoutError, WinnowError."""

    async def forget(self, raw: bytes, *, source: str) -> Learnt:
        """Take a correction back. Raises TimeoutError, WinnowError."""

    def failed(self, kind: str) -> None:
        """Count a request that got no answer: see `metrics.ERROR_KINDS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Bounds of one door.

    Attributes:
        connections: open at once; a further one is told EX_TEMPFAIL and closed.
        held_bytes: of all messages being received together; what exceeds it is told EX_TEMPFAIL.
        idle_seconds: a client that is silent so long in the middle of its request is given up.
        request_seconds: from the connection to the last byte of the reply.
        linger_seconds: how long to wait, after the reply, for the client to close its side.
    """

    connections: int = 512
    held_bytes: int = 256 << 20
    idle_seconds: float = 30.0
    request_seconds: float = 120.0
    linger_seconds: float = 2.0


class SpamdDoor:
    """Serves the spamd protocol on sockets that are already bound.

    Args:
        engine: who answers.
        limits: bounds of one request.
        door_limits: bounds of all of them.
    """

    def __init__(
        self,
        engine: AbstractEngine,
        *,
        limits: Limits | None = None,
        door_limits: DoorLimits | None = None,
    ) -> None:
        self.engine = engine
        self.limits = limits or Limits()
        self.door_limits = door_limits or DoorLimits()
        self._open: set[_Client] = set()
        self._held_bytes = 0
        self._listeners: list[socket.socket] = []
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    @property
    def open_connections(self) -> int:
        """Connections being served now."""
        return len(self._open)

    def start(self, listener: socket.socket) -> None:
        """Accept connections on a bound TCP or Unix socket, which is the door's from now on."""
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        self._listeners.append(listener)
        self._watch(listener)

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """Accept no more, finish what is in flight, then close.

        Args:
            grace_seconds: requests that take longer are told EX_TEMPFAIL. A client that has sent
                nothing is waited for no longer than `linger_seconds`.
        """
        loop = asyncio.get_running_loop()
        while self._listeners:
            listener = self._listeners.pop()
            loop.remove_reader(listener)
            # To close would reset the connections that wait in the kernel's queue.
            for _ in range(_BACKLOG):
                if not self._accept(listener):
                    break
            listener.close()
        patience = min(self.door_limits.linger_seconds, grace_seconds)
        await self._closed_within(patience)
        for client in [client for client in self._open if not client.in_flight]:
            client.abandon()
        await self._closed_within(grace_seconds - patience)
        for client in list(self._open):
            client.abandon()
        await self._closed_within(self.door_limits.linger_seconds)

    async def _closed_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_closed.wait(), seconds)

    def _watch(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Take one connection; the rest of a burst is for the next turn or the other workers."""
        try:
            accepted, _address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            # No descriptors or memory: to try again at once would only spin.
            logger.warning("event=accept_failed door=spamd errno=%s", error.errno)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(_ACCEPT_PAUSE_SECONDS, self._watch, listener)
            return False
        accepted.setblocking(False)
        _Client(self, accepted).begin()
        return True

    def admit(self, client: _Client) -> bool:
        """Take a connection in; tell whether it is one too many."""
        self._open.add(client)
        self._all_closed.clear()
        return len(self._open) <= self.door_limits.connections

    def dismiss(self, client: _Client) -> None:
        """Forget a connection that is closed."""
        self._open.discard(client)
        if not self._open:
            self._all_closed.set()

    def hold(self, change_bytes: int) -> bool:
        """Count memory that a connection takes or gives back; tell whether there is enough."""
        self._held_bytes += change_bytes
        return self._held_bytes <= self.door_limits.held_bytes

    def reply_now(self, event: Check) -> Reply | None:
        """Ask the engine about a small message; None for a large one, which takes a thread."""
        verdict = self.engine.check_now(
            event.head,
            _envelope(event.user),
            size_bytes=event.size_bytes,
            explain=event.command not in _UNEXPLAINED,
        )
        return None if verdict is None else _scored(verdict, self.engine.junk_threshold)

    async def reply_to(self, event: Check | Learn | Forget) -> Reply:
        """Ask the engine; what it raises on purpose becomes a `Failed`."""
        try:
            return await self._ask(event)
        except TimeoutError:
            return Failed(Status.TEMPFAIL, "no answer in time")
        except WinnowError as error:
            return Failed(Status.TEMPFAIL, str(error))

    async def _ask(self, event: Check | Learn | Forget) -> Reply:
        match event:
            case Check():
                verdict = await self.engine.check(
                    event.head,
                    _envelope(event.user),
                    size_bytes=event.size_bytes,
                    explain=event.command not in _UNEXPLAINED,
                )
                return _scored(verdict, self.engine.junk_threshold)
            case Learn():
                label = Label(event.label)
                result = await self.engine.learn(event.head, label, source=_source(event.user))
            case Forget():
                result = await self.engine.forget(event.head, source=_source(event.user))
        return Told(result in _CHANGED)


def _envelope(user: str) -> Envelope:
    """A user that is an address (virtual users) is the recipient; a login name says nothing."""
    return Envelope(recipients=(user,)) if "@" in user else Envelope()


def _source(user: str) -> str:
    return f"spamd {user}" if user else "spamd"


def _scored(verdict: Verdict, junk_threshold: float) -> Scored:
    return Scored(
        is_spam=verdict.action is Action.JUNK,
        probability=verdict.probability,
        junk_threshold=junk_threshold,
        action=str(verdict.action),
        rule=verdict.rule,
        model=verdict.model,
        reasons=tuple((reason.kind, reason.text, reason.share) for reason in verdict.reasons),
    )


class _Phase(Enum):
    READING = auto()  # the request
    ANSWERING = auto()  # the engine has it
    WRITING = auto()  # the reply
    LINGERING = auto()  # all is written; the client has not closed its side
    CLOSED = auto()


class _Client:
    """One connection: bytes to the protocol, its events to the door, the reply back, then close."""

    def __init__(self, door: SpamdDoor, accepted: socket.socket) -> None:
        self._door = door
        self._bounds = door.door_limits
        self._loop = asyncio.get_running_loop()
        self._socket = accepted
        self._spamd = SpamdConnection(door.limits)
        self._phase = _Phase.READING
        self._watched = False  # whether the event loop calls `_readable`
        self._received = False
        self._held_bytes = 0
        self._answering: asyncio.Task[None] | None = None
        self._may_drop = False  # whether what the engine does may be stopped
        self._started = self._active = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None  # while there is something to wait for

    @property
    def in_flight(self) -> bool:
        """Whether the client has begun a request and has not got all of its reply."""
        if self._phase is _Phase.READING:
            return self._received
        return self._phase in (_Phase.ANSWERING, _Phase.WRITING)

    def begin(self) -> None:
        """Read what is there already; wait only for the rest."""
        if not self._door.admit(self):
            self._door.engine.failed("busy")
            self._say(Failed(Status.TEMPFAIL, "too many connections"))
            self._close()
            return
        self._readable()
        if self._phase is _Phase.READING:
            self._watch()
        if self._phase in (_Phase.READING, _Phase.ANSWERING, _Phase.WRITING):
            self._set_timer()

    def abandon(self) -> None:
        """Give a request up: tell the client if it can still be told, and close."""
        match self._phase:
            case _Phase.READING if self._received:
                self._fail(Status.TIMEOUT, "request not complete in time", "slow")
            case _Phase.ANSWERING:
                assert self._answering
                if self._may_drop:
                    self._answering.cancel()
                self._door.engine.failed("deadline")
                self._say(Failed(Status.TEMPFAIL, "no answer in time"))
                self._close()
            case _Phase.WRITING:
                assert self._answering
                self._answering.cancel()  # it closes
            case _Phase.READING | _Phase.LINGERING:
                self._close()

    # Reading.

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            self._loop.add_reader(self._socket, self._readable)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._socket)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # reset by the client
            self._close()
            return
        if self._phase is _Phase.LINGERING:
            if not data:
                self._close()
            return
        self._active = self._loop.time()
        if data:
            self._received = True
            self._spamd.receive_data(data)
        else:
            self._spamd.end_of_input()
        self._advance()

    def _advance(self) -> None:
        try:
            event = self._spamd.next_event()
        except RemoteProtocolError as error:
            kind = "too_large" if error.status == Status.DATAERR else "malformed"
            self._fail(error.status, str(error), kind)
            return
        match event:
            case None:
                self._count_held()
            case Closed():
                self._close()
            case Ping():
                self._say(Pong())
                self._linger()
            case Check() | Learn() | Forget():
                self._count_held()
                self._begin_answer(event)

    def _count_held(self) -> None:
        change = self._spamd.held_bytes - self._held_bytes
        self._held_bytes += change
        if change and not self._door.hold(change):
            self._fail(Status.TEMPFAIL, "too much mail at once", "busy")

    # Answering.

    def _begin_answer(self, event: Check | Learn | Forget) -> None:
        if self._phase is not _Phase.READING:
            return
        self._phase = _Phase.ANSWERING
        self._unwatch()
        if isinstance(event, Check) and self._answer_now(event):
            return
        self._may_drop = isinstance(event, Check)  # a correction is taken, even if too late
        self._answering = self._loop.create_task(self._answer(event))

    def _answer_now(self, event: Check) -> bool:
        """Answer for a small message here and now; tell whether it was one."""
        try:
            reply = self._door.reply_now(event)
            if reply is None:
                return False
            pieces = self._spamd.send(reply)
        except Exception:
            pieces = self._internal_error()
        self._phase = _Phase.WRITING
        rest = self._write_now(pieces)
        if rest:
            self._answering = self._loop.create_task(self._write_and_close(rest))
        else:
            self._close()
        return True

    async def _answer(self, event: Check | Learn | Forget) -> None:
        try:
            pieces = await self._ask(event)
            if self._phase is _Phase.ANSWERING:
                self._phase = _Phase.WRITING
                await self._write_and_close(self._write_now(pieces))
        finally:
            self._close()

    async def _ask(self, event: Check | Learn | Forget) -> list[Piece]:
        """Return the reply, or nothing when the request has been given up meanwhile."""
        try:
            reply = await self._door.reply_to(event)
            return self._spamd.send(reply) if self._phase is _Phase.ANSWERING else []
        except Exception:
            return self._internal_error()

    def _internal_error(self) -> list[Piece]:
        """Count an exception that is a bug of ours: one verdict, neither the mail nor the server.

        Returns:
            The reply, or nothing when the request has been given up meanwhile.
        """
        logger.exception("event=internal_error door=spamd")
        self._door.engine.failed("internal")
        if self._phase is not _Phase.ANSWERING:
            return []
        return self._spamd.send(Failed(Status.TEMPFAIL, "internal error"))

    def _write_now(self, pieces: list[Piece]) -> list[Piece]:
        """Send a short reply; return what is left to send of it."""
        if sum(map(len, pieces)) > _JOINED_BYTES:
            return pieces
        data = b"".join(pieces)
        try:
            sent = self._socket.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError:  # the client has gone
            return []
        return [data[sent:]] if sent < len(data) else []

    async def _write_and_close(self, pieces: list[Piece]) -> None:
        try:
            with suppress(OSError):  # the client has gone
                for piece in pieces:
                    await self._loop.sock_sendall(self._socket, piece)
        finally:
            self._close()

    # Closing.

    def _say(self, reply: Pong | Failed) -> None:
        """Send a line now; an empty send buffer always has room for it."""
        with suppress(OSError):
            self._socket.send(b"".join(self._spamd.send(reply)))

    def _fail(self, status: int, reason: str, kind: str) -> None:
        self._door.engine.failed(kind)
        self._say(Failed(status, reason))
        self._linger()

    def _linger(self) -> None:
        """Wait for the client to close its side, as some of its request may still be coming.

        To close with input unread would be a reset, and the client might lose the reply.
        """
        self._phase = _Phase.LINGERING
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()
            return
        self._active = self._loop.time()
        self._set_timer()
        self._watch()

    def _close(self) -> None:
        if self._phase is _Phase.CLOSED:
            return
        self._phase = _Phase.CLOSED
        if self._timer:
            self._timer.cancel()
        self._unwatch()
        with suppress(OSError):
            self._socket.recv(_READ_BYTES)  # unread input would make this a reset
        self._socket.close()
        self._door.hold(-self._held_bytes)
        self._door.dismiss(self)

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline(), self._on_timer)

    def _on_timer(self) -> None:
        if self._loop.time() < self._deadline():
            self._set_timer()
        else:
            self.abandon()

    def _deadline(self) -> float:
        """When this connection is given up, unless something happens before."""
        total = self._started + self._bounds.request_seconds
        match self._phase:
            case _Phase.READING:
                return min(total, self._active + self._bounds.idle_seconds)
            case _Phase.LINGERING:
                return min(total, self._active + self._bounds.linger_seconds)
            case _:
                return total
