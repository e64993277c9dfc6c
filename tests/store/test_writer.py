"""The writer thread: batches, bounds, counting, and that nothing ends it but the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from store.samples import VERDICT
from winnow.store import writer as writer_
from winnow.store.verdicts import Entry
from winnow.store.writer import BATCH_ROWS, QUEUE_ROWS, BatchWriter

ENTRY = Entry(VERDICT, "http", 1.0, "", "")


class Sink:
    """Takes batches; may be told to hang or to fail."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.chores = 0
        self.more = False
        self.open = threading.Event()
        self.open.set()
        self.fault: Exception | None = None

    def write(self, entries: list[Entry]) -> int:
        """Note the size of the batch."""
        assert self.open.wait(60)
        if self.fault:
            raise self.fault
        self.batches.append(len(entries))
        return len(entries)

    def chore(self) -> bool:
        """Count the call."""
        self.chores += 1
        return self.more


@pytest.fixture
def sink() -> Sink:
    """Return a sink that works."""
    return Sink()


@pytest.fixture
def writer(sink: Sink) -> BatchWriter:
    """Return a writer into the sink."""
    made = BatchWriter(sink.write, sink.chore)
    yield made
    sink.open.set()
    assert made.close(30)


def put(writer: BatchWriter, count: int) -> None:
    """Queue entries."""
    for _ in range(count):
        writer.put(ENTRY)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_rows_that_come_together_are_written_together(writer: BatchWriter, sink: Sink):
    """One transaction for what gathers within a tenth of a second, without being asked."""
    put(writer, 50)
    wait_until(lambda: writer.recorded == 50)
    assert len(sink.batches) <= 2
    assert writer.lost == 0


def test_a_full_batch_does_not_wait(writer: BatchWriter, sink: Sink, monkeypatch):
    """A burst is written at once, in batches of a bounded size."""
    monkeypatch.setattr(writer_, "BATCH_SECONDS", 60.0)
    put(writer, 2 * BATCH_ROWS)
    wait_until(lambda: writer.recorded == 2 * BATCH_ROWS)
    assert max(sink.batches) == BATCH_ROWS


def test_flush_hurries(writer: BatchWriter, monkeypatch: pytest.MonkeyPatch):
    """Who waits for the log does not wait for the batch to fill."""
    monkeypatch.setattr(writer_, "BATCH_SECONDS", 60.0)
    put(writer, 3)
    assert writer.flush(30)
    assert writer.recorded == 3
    assert writer.flush(0.01)


def test_flush_gives_up_in_time(writer: BatchWriter, sink: Sink):
    """A hanging disk does not hang the caller."""
    sink.open.clear()
    put(writer, 1)
    start = time.monotonic()
    assert not writer.flush(0.05)
    assert time.monotonic() - start < 20  # the disk would hang for a minute


def test_put_never_waits_and_the_queue_is_bounded(writer: BatchWriter, sink: Sink):
    """While the disk hangs, answers go on; beyond the bound, losses are counted."""
    sink.open.clear()
    put(writer, 1)
    wait_until(lambda: not writer._queue)
    start = time.monotonic()
    put(writer, QUEUE_ROWS + 7)
    assert time.monotonic() - start < 20  # the disk would hang for a minute
    assert writer.lost == 7
    sink.open.set()
    assert writer.flush(30)
    assert writer.recorded == QUEUE_ROWS + 1


def test_any_failure_costs_rows_and_not_the_thread(writer: BatchWriter, sink: Sink):
    """After a failure the next batch is tried as if nothing had been."""
    sink.fault = ValueError("odd")
    put(writer, 3)
    assert writer.flush(30)
    assert (writer.recorded, writer.lost, writer.last_error) == (0, 3, "odd")
    sink.fault = None
    put(writer, 2)
    assert writer.flush(30)
    assert (writer.recorded, writer.lost, writer.last_error) == (2, 3, "odd")


def test_close_writes_what_is_queued(sink: Sink):
    """A graceful stop loses nothing, and what comes later is counted."""
    writer = BatchWriter(sink.write, sink.chore)
    put(writer, BATCH_ROWS + 3)
    assert writer.close(30)
    assert writer.recorded == BATCH_ROWS + 3
    put(writer, 1)
    assert writer.lost == 1


def test_the_chore_comes_after_the_first_batch_and_rarely(writer: BatchWriter, sink: Sink):
    """Old rows go even when the process lives shortly, and not at every batch."""
    for _ in range(3):
        put(writer, 1)
        assert writer.flush(30)
    assert sink.chores == 1


def test_a_chore_that_is_not_done_goes_on(writer: BatchWriter, sink: Sink):
    """Much to delete is deleted in steps between the batches."""
    sink.more = True
    for _ in range(3):
        put(writer, 1)
        assert writer.flush(30)
    assert sink.chores == 3


def test_the_chore_comes_without_any_mail(sink: Sink, monkeypatch: pytest.MonkeyPatch):
    """Retention holds on a server that nobody writes to."""
    monkeypatch.setattr(writer_, "CHORE_SECONDS", 0.01)
    writer = BatchWriter(sink.write, sink.chore)
    wait_until(lambda: sink.chores > 1)
    assert writer.close(30)


def test_many_threads_may_put(writer: BatchWriter):
    """Every row of every thread is counted once."""
    threads = [threading.Thread(target=put, args=(writer, 500)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush(30)
    assert (writer.recorded, writer.lost) == (4000, 0)


def test_the_figures_on_the_page():
    """A bound that changes is changed on the page."""
    page = (Path(__file__).resolve().parents[2] / "docs/reference/store.md").read_text("utf-8")
    assert f"the queue takes {QUEUE_ROWS:,}" in page
    assert f"{BATCH_ROWS} rows" in page
    assert (writer_.BATCH_SECONDS, writer_.CHORE_SECONDS) == (0.1, 3600.0)
