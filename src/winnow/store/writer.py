"""The one thread of a process that writes the verdict log, in batches, behind a bounded queue.

Strategy: `put` only appends under a lock that nobody holds while waiting for the disk, so an answer
never waits for the log. The thread takes what has gathered within a tenth of a second, or sooner
when a batch is full, and writes it in one transaction. What cannot be queued or written is counted
and forgotten: a log that is behind must not hold up mail, nor fill the memory.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from winnow.store.verdicts import Entry

BATCH_ROWS = 500
BATCH_SECONDS = 0.1
# Ten seconds of a busy server; about 20 MB with all their reasons.
QUEUE_ROWS = 10_000
CHORE_SECONDS = 3600.0


class BatchWriter:
    """Writes entries by a function, in a thread of its own.

    Args:
        write: writes a batch; returns how many rows of it were written; may raise anything.
        chore: called in the same thread after the first batch and then about every hour; returns
            whether it wants to go on after the next batch.

    Attributes:
        recorded: rows written.
        lost: rows that could not be queued or written.
        last_error: what SQLite said when it last failed, "" if it never did.
    """

    def __init__(self, write: Callable[[list[Entry]], int], chore: Callable[[], bool]) -> None:
        self.recorded = 0
        self.lost = 0
        self.last_error = ""
        self._write = write
        self._chore = chore
        self._next_chore = 0.0
        self._queue: deque[Entry] = deque()
        self._taken = 0  # entries that were queued
        self._done = 0  # of these, written or lost
        self._hurry = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="winnow-store", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Queue an entry, or count it as lost. Never blocks, never raises."""
        with self._changed:
            if self._closed or len(self._queue) >= QUEUE_ROWS:
                self.lost += 1
                return
            self._queue.append(entry)
            self._taken += 1
            if len(self._queue) in (1, BATCH_ROWS):
                self._changed.notify_all()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that was queued before is written or lost; False when time ran out."""
        with self._changed:
            wanted = self._taken
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._done >= wanted, timeout_seconds)

    def close(self, timeout_seconds: float) -> bool:
        """Write what is queued and end the thread; False when it is still writing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch and self._closed:
                return
            written, fault = 0, ""
            try:
                written = self._write(batch) if batch else 0
                if time.monotonic() >= self._next_chore:
                    more = self._chore()
                    self._next_chore = time.monotonic() + (0 if more else CHORE_SECONDS)
            # Whatever it is, it costs rows and not the thread; it is counted and shown.
            except Exception as error:
                fault = str(error) or type(error).__name__
            with self._changed:
                self.recorded += written
                self.lost += len(batch) - written
                self.last_error = fault or self.last_error
                self._done += len(batch)
                self._changed.notify_all()

    def _next_batch(self) -> list[Entry]:
        """Wait for entries and return them; none when it is time for the chore or the end."""
        with self._changed:
            self._hurry = self._hurry and bool(self._queue)
            self._changed.wait_for(lambda: self._queue or self._closed, CHORE_SECONDS)
            if self._queue:
                self._changed.wait_for(
                    lambda: self._hurry or self._closed or len(self._queue) >= BATCH_ROWS,
                    BATCH_SECONDS,
                )
            return [self._queue.popleft() for _ in range(min(BATCH_ROWS, len(self._queue)))]
