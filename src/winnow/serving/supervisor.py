"""Starting worker processes and keeping them going.

Law: the parent has no thread and no event loop, so that it can fork at any time and can hardly
fail. It waits on three things: signals, workers' words that they are ready, and time.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from winnow.errors import InputError
from winnow.serving.board import Board
from winnow.serving.filter import AbstractFilter
from winnow.serving.metrics import BEAT, CELLS, PID, STARTED, Meters
from winnow.serving.settings import Settings
from winnow.serving.worker import Place, run_worker

_FLUSH_SECONDS = 5.0  # beyond the grace time, before a worker that does not stop is killed
_STEADY_SECONDS = 60.0  # a worker that lived so long starts with a clean slate
_LONGEST_DELAY_SECONDS = 15.0
_TICK_SECONDS = 1.0
_PIPE_BYTES = 4096
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_HANDLED = (*_STOPPING, signal.SIGHUP, signal.SIGCHLD)

logger = logging.getLogger("winnow.serving")


@dataclass(slots=True)
class _Slot:
    """Place of one worker, and the process that has it now.

    Attributes:
        index: row of the board.
        pid: process, 0 when there is none.
        started: when it was started (monotonic seconds).
        ready: whether its doors are open.
        failures: how often in a row it died young.
        due: when to start the next one, while there is none.
        reload: whether to have it reload as soon as it is ready.
    """

    index: int
    pid: int = 0
    started: float = 0.0
    ready: bool = False
    failures: int = 0
    due: float = 0.0
    reload: bool = False


class Supervisor:
    """Runs the workers of one server on listening sockets.

    Args:
        settings: what the operator decided.
        open_filter: opens model, rules and store in each worker.
        http: bound socket of the HTTP door; closed when the server stops, as is the next one.
        spamd: bound socket of the spamd door, if there is one.
    """

    def __init__(
        self,
        settings: Settings,
        open_filter: Callable[[], AbstractFilter],
        http: socket.socket,
        spamd: socket.socket | None,
    ) -> None:
        self._settings = settings
        self._open_filter = open_filter
        self._http = http
        self._spamd = spamd
        self._board = Board(settings.workers + 1, CELLS)
        self._board.rows[0][STARTED] = time.monotonic()
        self._meters = Meters(self._board.rows[0])
        self._slots = [_Slot(index) for index in range(1, settings.workers + 1)]
        self._signals: deque[int] = deque()
        self._lifeline, self._lifeline_end = os.pipe()
        self._ready, self._ready_end = os.pipe()

    def run(self, when_ready: Callable[[], None]) -> None:
        """Run until SIGTERM or SIGINT.

        Args:
            when_ready: called once, when all workers answer.

        Raises:
            InputError: a worker could not start.
        """
        with self._signal_handlers() as wakeup:
            try:
                self._start_all(wakeup)
                when_ready()
                while not self._stop_is_asked():
                    self._wait(wakeup)
                    self._reap()
                    self._kill_stalled()
                    self._start_due()
            finally:
                self._stop_all(wakeup)

    # Starting.

    def _start_all(self, wakeup: int) -> None:
        self._start_due()
        while not all(slot.ready for slot in self._slots) and not self._stop_is_asked():
            self._wait(wakeup)
            for slot in self._reap():
                note = self._board.rows[slot.index].note
                raise InputError(f"a worker could not start: {note or 'see the log'}")

    def _start_due(self) -> None:
        for slot in self._slots:
            if not slot.pid and time.monotonic() >= slot.due:
                self._start(slot)

    def _start(self, slot: _Slot) -> None:
        row = self._board.rows[slot.index]
        row[BEAT] = time.monotonic()
        row.note = ""
        slot.started, slot.ready = row[BEAT], False
        sys.stdout.flush()
        sys.stderr.flush()
        # Until the child has its own handlers, a signal must neither be lost nor reach ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            slot.pid = os.fork()
            if slot.pid == 0:
                self._become_worker(slot)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)

    def _become_worker(self, slot: _Slot) -> None:
        """Turn this process, a fresh fork, into a worker; does not return."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _HANDLED:
                signal.signal(number, signal.SIG_DFL)
            # The parent hears a Ctrl-C, too, and stops us in order; a SIGHUP may come too early.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            os.close(self._lifeline_end)
            os.close(self._ready)
            status = run_worker(
                Place(
                    settings=self._settings,
                    open_filter=self._open_filter,
                    http=self._http,
                    spamd=self._spamd,
                    board=self._board,
                    slot=slot.index,
                    lifeline=self._lifeline,
                    ready=self._ready_end,
                )
            )
        except BaseException:
            logger.critical("event=worker_crashed", exc_info=True)
        finally:
            logging.shutdown()
            # Not sys.exit: what the parent has on its stack is not ours to unwind.
            os._exit(status)

    # Watching.

    def _wait(self, wakeup: int) -> None:
        """Wait for a signal, a worker's word, or the next tick; take note of the words."""
        found, _, _ = select.select([wakeup, self._ready], [], [], self._seconds_to_tick())
        if wakeup in found:
            os.read(wakeup, _PIPE_BYTES)
        if self._ready in found:
            for index in os.read(self._ready, _PIPE_BYTES):
                slot = self._slots[index - 1]
                slot.ready = True
                if slot.reload:
                    self._send(slot, signal.SIGHUP)
                slot.reload = False

    def _seconds_to_tick(self) -> float:
        now = time.monotonic()
        dues = [slot.due - now for slot in self._slots if not slot.pid]
        return max(0.0, min([_TICK_SECONDS, *dues]))

    def _stop_is_asked(self) -> bool:
        """Act on the signals that have come; tell whether one of them says stop."""
        while self._signals:
            number = self._signals.popleft()
            if number in _STOPPING:
                return True
            if number == signal.SIGHUP:
                logger.info("event=reload_asked")
                for slot in self._slots:
                    if slot.ready and slot.pid:
                        self._send(slot, signal.SIGHUP)
                    else:
                        slot.reload = True
        return False

    def _reap(self) -> list[_Slot]:
        """Bury workers that have ended, and set when to replace them; return their slots."""
        ended = []
        for slot in self._slots:
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                ended.append(slot)
                self._plan_restart(slot, os.waitstatus_to_exitcode(status))
        return ended

    def _plan_restart(self, slot: _Slot, status: int) -> None:
        now = time.monotonic()
        slot.failures = 1 if now - slot.started > _STEADY_SECONDS else slot.failures + 1
        # At once for the first time, then after 0.2, 0.4, 0.8 s and so on.
        delay = 0.1 * 2 ** (slot.failures - 1) if slot.failures > 1 else 0.0
        slot.due = now + min(delay, _LONGEST_DELAY_SECONDS)
        logger.error(
            "event=worker_died worker=%d status=%d restart_in_seconds=%.1f",
            slot.pid, status, slot.due - now,
        )  # fmt: skip
        slot.pid = 0
        self._board.rows[slot.index][PID] = 0.0
        self._meters.restarted()

    def _kill_stalled(self) -> None:
        for slot in self._slots:
            still = time.monotonic() - self._board.rows[slot.index][BEAT]
            if slot.pid and still > self._settings.stalled_seconds:
                logger.error("event=worker_stalled worker=%d seconds=%.0f", slot.pid, still)
                self._send(slot, signal.SIGKILL)

    # Stopping.

    def _stop_all(self, wakeup: int) -> None:
        """End all workers, in order as long as they keep to the grace time."""
        self._http.close()
        if self._spamd is not None:
            self._spamd.close()
        for slot in self._slots:
            self._send(slot, signal.SIGTERM)
        end = time.monotonic() + self._settings.grace_seconds + _FLUSH_SECONDS
        while any(slot.pid for slot in self._slots):
            for slot in self._slots:
                if slot.pid and os.waitpid(slot.pid, os.WNOHANG)[0]:
                    slot.pid = 0
            # A second Ctrl-C or SIGTERM does not wait for anybody.
            if self._stop_is_asked() or time.monotonic() > end:
                for slot in self._slots:
                    self._send(slot, signal.SIGKILL)
            if select.select([wakeup], [], [], 0.05)[0]:
                os.read(wakeup, _PIPE_BYTES)
        for end_of_pipe in (self._lifeline, self._lifeline_end, self._ready, self._ready_end):
            os.close(end_of_pipe)

    def _send(self, slot: _Slot, number: signal.Signals) -> None:
        if slot.pid:
            with suppress(ProcessLookupError):
                os.kill(slot.pid, number)

    @contextmanager
    def _signal_handlers(self) -> Iterator[int]:
        """Queue signals while inside; yields a descriptor that is readable when one has come."""
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        before_fd = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._on_signal) for number in _HANDLED}
        try:
            yield reading.fileno()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before_fd)
            reading.close()
            writing.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
