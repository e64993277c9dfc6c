"""One worker process: an event loop, an engine, and the doors on the sockets the parent bound."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from winnow.errors import WinnowError
from winnow.protocols.spamd import Limits as SpamdLimits
from winnow.serving.board import Board
from winnow.serving.engine import Engine
from winnow.serving.filter import AbstractFilter
from winnow.serving.http import HttpDoor, application
from winnow.serving.metrics import CONNECTIONS, PID, STARTED, Meters
from winnow.serving.settings import Settings
from winnow.serving.spamd import DoorLimits, SpamdDoor
from winnow.serving.swap import Swapper, fingerprint
from winnow.serving.wire import make_server

BEAT_SECONDS = 0.25
CANNOT_START = 3
"""Exit status of a worker that could not open its filter; its row's note says why."""

logger = logging.getLogger("winnow.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a worker gets from its parent.

    Attributes:
        settings: the operator's.
        open_filter: opens model, rules and store; raises WinnowError.
        http: bound socket of the HTTP door.
        spamd: bound socket of the spamd door, if there is one.
        board: numbers of all processes.
        slot: this worker's row.
        lifeline: pipe that ends when the parent is gone, however it went.
        ready: pipe to write the slot to once the doors are open.
    """

    settings: Settings
    open_filter: Callable[[], AbstractFilter]
    http: socket.socket
    spamd: socket.socket | None
    board: Board
    slot: int
    lifeline: int
    ready: int


def run_worker(place: Place) -> int:
    """Serve until told to stop; return the exit status of the process."""
    row = place.board.rows[place.slot]
    # While a thread looks at a large message, small ones wait for it at most so long each time the
    # loop wants the interpreter; the default of 5 ms doubles their time.
    sys.setswitchinterval(0.001)
    for cell in range(CONNECTIONS.start, CONNECTIONS.end):
        row[cell] = 0.0  # the process that had this row before may have died with open ones
    try:
        asyncio.run(_serve(place))
    except WinnowError as error:
        row.note = str(error)
        logger.critical("event=worker_cannot_start error=%s", json.dumps(str(error)))
        return CANNOT_START
    else:
        return 0
    finally:
        row[PID] = 0.0


async def _serve(place: Place) -> None:
    await _Worker(place).run()


class _Worker:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._row = place.board.rows[place.slot]
        settings = place.settings
        meters = Meters(self._row)
        self._meters = meters
        self._grace_seconds = settings.grace_seconds
        loaded = fingerprint(settings.watch)  # before opening: a change from now on is a new one
        self._engine = Engine(place.open_filter(), limits=settings.limits, meters=meters)
        self._swapper = Swapper(self._engine, place.open_filter, settings.watch, loaded)
        self._http = HttpDoor(self._engine, place.board)
        self._server = make_server(
            application(self._http, names=_names(settings)),
            self._http.door,
            grace_seconds=settings.grace_seconds,
        )
        self._spamd = _spamd_door(self._engine)

    async def run(self) -> None:
        """Serve until SIGTERM, or until the parent is gone; raises what breaks underway."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._swapper.requested.set)
        loop.add_reader(self._place.lifeline, stop.set)
        async with asyncio.TaskGroup() as group:
            server = group.create_task(self._server.serve([self._place.http]))
            others = (self._open_and_beat(), self._engine.keep_fresh(), self._swapper.run())
            tasks = [group.create_task(work) for work in others]
            await stop.wait()
            loop.remove_reader(self._place.lifeline)  # at its end it stays readable for ever
            await self._finish(server)
            for task in tasks:
                task.cancel()
        try:
            await asyncio.wait_for(self._engine.close(), self._grace_seconds)
        except TimeoutError:
            logger.error("event=store_not_flushed")

    async def _finish(self, server: asyncio.Task[None]) -> None:
        """Accept no more, and finish what is in flight."""
        self._http.stopping = True
        self._server.should_exit = True
        await asyncio.gather(self._spamd.stop(self._grace_seconds), server)

    async def _open_and_beat(self) -> None:
        """Open the doors, tell the parent, then show for ever that this process moves."""
        if self._place.spamd is not None:
            self._spamd.start(self._place.spamd)
        await self._server.answering.wait()
        # What is alive now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self._row[STARTED] = time.monotonic()
        self._row[PID] = os.getpid()
        self._beat()
        os.write(self._place.ready, bytes([self._place.slot]))
        logger.info("event=worker_ready model=%s", self._engine.model)
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._beat()

    def _beat(self) -> None:
        self._meters.beat(
            time.monotonic(),
            model=self._engine.model,
            applied=self._engine.applied,
            connections={
                "http": self._server.open_connections,
                "spamd": self._spamd.open_connections,
            },
        )


def _spamd_door(engine: Engine) -> SpamdDoor:
    limits = engine.limits
    return SpamdDoor(
        engine.door("spamd"),
        limits=SpamdLimits(body_bytes=limits.message_bytes, scan_bytes=limits.scan_bytes),
        door_limits=DoorLimits(connections=limits.connections),
    )


def _names(settings: Settings) -> frozenset[str]:
    """Return what a Host header may say: the host as the operator wrote it, and further names."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return frozenset(name.lower() for name in (host, *settings.allowed_hosts))
