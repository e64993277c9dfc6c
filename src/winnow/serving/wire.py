"""uvicorn's HTTP/1.1 connection with the bounds it lacks, and its server without its signals.

uvicorn waits for ever for a first request, takes headers of any size, drops the answer of a client
that closes its half after asking, reads a body nobody wants to its end, and answers its own errors
in plain text. What is overridden here is named in its tests, one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Generator
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from winnow.serving.answers import CODES, error_answer
from winnow.serving.engine import Door

LISTEN_BACKLOG = 1024
_LINGER_SECONDS = 2.0
_ARRIVAL_SECONDS = 0.05  # from the acceptance of a connection to its request, on one machine


class JoinedWrites:
    """A transport that sends the head of an answer and its body with one system call.

    uvicorn writes the two apart; each call costs more than our own work on the answer, and the
    second wakes the client a second time.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send; the head of an answer is sent with what comes next, or by `flush`."""
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100 "):
            self._head += data
        else:
            head, self._head = self._head, b""
            self._transport.write(head + data)

    def flush(self) -> None:
        """Send a head that has no body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Send what is written, then close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedHttp(HttpToolsProtocol):
    """One HTTP connection; `bounded_http` makes the class that uvicorn instantiates.

    Attributes:
        door: where bounds come from and errors are counted.
    """

    door: Door
    _in_head = True
    _undelivered_bytes = 0
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock; too many connections are answered so, far too many are not."""
        self._joined = JoinedWrites(transport)
        super().connection_made(cast(Any, self._joined))
        most = self.door.limits.connections
        if len(self.connections) > 2 * most:
            self.door.failed("busy")
            transport.abort()
            return
        if len(self.connections) > most:
            self.app = partial(_refuse, self.door, 503, "too many connections")
        self._start_clock(self.door.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self._stop_clock()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; give up when it swallows too much without delivering anything."""
        if self.transport.is_closing():
            return
        if self._in_head and self._clock is None:
            self._start_clock(self.door.limits.head_seconds)
        self._undelivered_bytes += len(data)
        super().data_received(data)
        if self._undelivered_bytes > self.door.limits.header_bytes:
            self._give_up(431, "request line and headers are too large")

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep our half open while an answer is owed."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self.transport.close()  # what is written is sent first
            return False
        self.cycle.keep_alive = False
        return True

    def on_headers_complete(self) -> None:
        """Stop the clock and start the request, or the refusal of its headers."""
        self._stop_clock()
        self._in_head = False
        self._undelivered_bytes = 0
        size_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        usual = self.app
        if size_bytes > self.door.limits.header_bytes:
            self.app = partial(_refuse, self.door, 431, "request line and headers are too large")
        super().on_headers_complete()
        self.app = usual

    def on_body(self, body: bytes) -> None:
        """Note that the parser delivers."""
        self._undelivered_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next head, or end a connection that only lingered for this."""
        self._in_head = True
        self._undelivered_bytes = 0
        super().on_message_complete()
        if self._clock is not None:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Linger when the client still sends: closing at once would destroy our answer."""
        self._joined.flush()
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._start_clock(_LINGER_SECONDS)

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed."""
        self._give_up(400, msg)

    def _start_clock(self, seconds: float) -> None:
        self._clock = self.loop.call_later(seconds, self.transport.close)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _give_up(self, status: int, message: str) -> None:
        """Answer outside of any request, and close."""
        if self.transport.is_closing():
            return
        self.door.failed(CODES[status][1])
        answer = error_answer(status, message, {"Connection": "close"})
        lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()


async def _refuse(
    door: Door, status: int, message: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """ASGI application that refuses everything."""
    door.failed(CODES[status][1])
    headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
    await error_answer(status, message, headers)(scope, receive, send)


def bounded_http(door: Door) -> type[BoundedHttp]:
    """Return the connection class for one door."""
    return type("DoorHttp", (BoundedHttp,), {"door": door})


class QuietServer(uvicorn.Server):
    """uvicorn's server; signals are the worker's business.

    Attributes:
        answering: set once it accepts connections.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """Connections being served now."""
        return len(self.server_state.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on bound sockets."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(LISTEN_BACKLOG)
        self.answering.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept what waits in the kernel's queue, but no more, and finish what is in flight."""
        for listener in sockets or ():
            for _ in range(LISTEN_BACKLOG):
                if not select.select([listener], [], [], 0)[0]:
                    break
                await asyncio.sleep(0)  # one is accepted in each turn of the loop
        for server in self.servers:
            server.close()
        await asyncio.sleep(_ARRIVAL_SECONDS)  # a connection without a request would be closed
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals alone."""
        yield


def make_server(app: Any, door: Door, *, grace_seconds: float) -> QuietServer:
    """Return a server for an ASGI application, ready to `serve` on bound sockets."""
    config = uvicorn.Config(
        app,
        http=bounded_http(door),
        loop="none",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # One accept for each turn of the loop, so that one worker does not take all connections
        # of a burst while its siblings wake up; `startup` gives the socket its true queue again.
        backlog=1,
        timeout_keep_alive=int(door.limits.idle_seconds),
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
    )
    return QuietServer(config)
