"""The store: one SQLite file that several threads and several processes use at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from winnow.errors import StoreError
from winnow.store import corrections as corrections_
from winnow.store import verdicts
from winnow.store.rows import CorrectionRow, VerdictRow
from winnow.store.schema import connect, prepare, store_error
from winnow.store.writer import BatchWriter
from winnow.verdict import Verdict

_SECONDS_A_DAY = 86_400.0


class Store:
    """The verdict log and the correction log.

    All methods may be called from any thread. SQLite's connections do not survive a fork: after
    one, the child must open a store of its own; in it, this one loses verdicts (counted) and
    raises StoreError for everything else.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention_days: float | None,
        busy_timeout_seconds: float,
        keep_text: bool,
    ) -> None:
        self.path = path
        self.retention_days = retention_days
        self.keep_text = keep_text
        self._pid = os.getpid()
        self._closed = False
        self._busy_timeout_seconds = busy_timeout_seconds
        # Three connections, so that polling and looking up never wait for a writer.
        self._reader, self._corrector, self._logger = (
            connect(path, busy_timeout_seconds) for _ in range(3)
        )
        # A correction is the owner's word: it is on the disk before anyone hears that it was kept.
        self._corrector.execute("PRAGMA synchronous = FULL")
        self._reading = threading.Lock()
        self._correcting = threading.Lock()
        self._logging = threading.Lock()
        self._seen_version = -1
        self._seen_seq = 0
        self._forked_lost = 0
        self._writer = BatchWriter(
            self._write, lambda: self._prune(time.time()) == verdicts.PRUNED_AT_ONCE
        )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        retention_days: float | None = 90.0,
        busy_timeout_seconds: float = 5.0,
        keep_text: bool = False,
    ) -> Store:
        """Open a store, creating the file (mode 0600) where there is none.

        Args:
            path: the database file; its folder must exist.
            retention_days: verdicts older than this are deleted about every hour; None keeps all.
            busy_timeout_seconds: how long to wait for another process that is writing.
            keep_text: keep sender, subject and the words among the reasons of each verdict.

        Raises:
            StoreError: the file is damaged, of something else, from a newer Winnow, or cannot be
                opened or written.
        """
        prepare(path, busy_timeout_seconds)
        try:
            return cls(
                path,
                retention_days=retention_days,
                busy_timeout_seconds=busy_timeout_seconds,
                keep_text=keep_text,
            )
        except sqlite3.Error as error:
            raise store_error(path, error) from error

    @property
    def recorded(self) -> int:
        """Verdicts written since the store was opened."""
        return self._writer.recorded

    @property
    def lost(self) -> int:
        """Verdicts that could not be queued or written since the store was opened."""
        return self._writer.lost + self._forked_lost

    @property
    def last_error(self) -> str:
        """What SQLite said when it last failed to take verdicts, "" if it never did."""
        return self._writer.last_error

    def record(
        self, verdict: Verdict, *, door: str, at: float, sender: str = "", subject: str = ""
    ) -> None:
        """Queue a verdict for the log. Never blocks, never raises; what is lost is counted.

        Args:
            verdict: the verdict.
            door: which door asked.
            at: when, in seconds since 1970.
            sender: dropped unless the store keeps text.
            subject: dropped unless the store keeps text.
        """
        if os.getpid() != self._pid:  # the writer's lock may have been held at the fork
            self._forked_lost += 1
            return
        if not self.keep_text:
            sender = subject = ""
        self._writer.put(verdicts.Entry(verdict, door, at, sender, subject))

    def find(self, message_id: str) -> list[VerdictRow]:
        """Return the logged verdicts on a message, the newest first, at most 1,000.

        Verdicts still in the queue are not found; `flush` first.

        Args:
            message_id: Message-ID with or without angle brackets, or the identity.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._use(self._reading):
            return verdicts.find(self._reader, message_id)

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until all queued verdicts are written or lost; False when time ran out."""
        return os.getpid() == self._pid and self._writer.flush(timeout_seconds)

    def prune(self, now: float) -> int:
        """Delete the verdicts past their retention; the server's own thread does so as well.

        Args:
            now: in seconds since 1970.

        Returns:
            How many were deleted.

        Raises:
            StoreError: the database cannot be written.
        """
        total = 0
        with self._use():
            while (pruned := self._prune(now)) == verdicts.PRUNED_AT_ONCE:
                total += pruned
            return total + pruned

    @contextlib.contextmanager
    def correction(self) -> Iterator[corrections_.CorrectionLog]:
        """Open the correction log for one transaction: all of it is kept, or nothing.

        Nobody else, in any process, can write meanwhile, so be brief. When the block ends without
        an exception its rows are on the disk.

        Raises:
            StoreError: the database is locked, full or damaged; nothing was written.
        """
        with self._use(self._correcting):
            self._corrector.execute("BEGIN IMMEDIATE")
            try:
                yield corrections_.CorrectionLog(self._corrector)
                self._corrector.execute("COMMIT")
            except BaseException:
                self._corrector.rollback()
                raise

    def wait_at_most(self, seconds: float) -> None:
        """Let corrections wait so long for other processes, for a caller who has a deadline.

        Raises:
            StoreError: the store is closed.
        """
        with self._use(self._correcting):
            self._corrector.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def corrections(self, *, after: int = 0) -> list[CorrectionRow]:
        """Return the corrections whose seq is above `after`, in order.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._use(self._reading):
            return corrections_.rows_after(self._reader, after)

    def latest_correction(self) -> int:
        """Return the highest seq, 0 if there is none; microseconds when nothing was written.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._use(self._reading):
            version = self._reader.execute("PRAGMA data_version").fetchone()[0]
            if version != self._seen_version:
                self._seen_seq = corrections_.highest_seq(self._reader)
                self._seen_version = version
            return self._seen_seq

    def close(self) -> None:
        """Write what is queued and close the file. A second call does nothing."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        # Longer than one batch waits for a lock; a thread that hangs even then keeps its file.
        if self._writer.close(self._busy_timeout_seconds + 5.0):
            with self._logging:
                self._logger.close()
        with self._reading:
            self._reader.close()
        with self._correcting:
            self._corrector.close()

    @contextlib.contextmanager
    def _use(self, lock: threading.Lock | None = None) -> Iterator[None]:
        """Hold a connection's lock, and turn SQLite's errors into StoreError."""
        if os.getpid() != self._pid:
            raise StoreError(f"{self.path}: the store must be opened anew after a fork")
        try:
            with lock or contextlib.nullcontext():
                if self._closed:
                    raise StoreError(f"{self.path}: the store is closed")
                yield
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    def _write(self, entries: list[verdicts.Entry]) -> int:
        with self._logging:
            return verdicts.write(self._logger, entries, keep_text=self.keep_text)

    def _prune(self, now: float) -> int:
        if self.retention_days is None:
            return 0
        with self._logging:
            return verdicts.prune(self._logger, now - self.retention_days * _SECONDS_A_DAY)
