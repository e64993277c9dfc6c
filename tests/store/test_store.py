"""The store: the promises to its callers, one by one."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.samples import VERDICT, append, opened, verdict
from winnow.errors import StoreError
from winnow.store import Store

DAY = 86_400.0
NOW = 4e9  # in 2096, so that no retention ends before the test


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database will be."""
    return tmp_path / "w.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """Return an open store that does not wait long for locks."""
    with opened(path, busy_timeout_seconds=0.05) as made:
        yield made


@pytest.fixture
def locker(store: Store, path: Path) -> Iterator[sqlite3.Connection]:
    """Return another program's connection that has locked the database."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


def test_a_verdict_is_found_by_its_message_id(store: Store):
    """The log answers why a mail went where it went."""
    store.record(VERDICT, door="http", at=NOW, sender="anna@x.y", subject="secret")
    assert store.flush()
    (row,) = store.find("<1@x.y>")
    assert (row.probability, row.door, row.at) == (0.75, "http", NOW)
    assert (row.sender, row.subject) == ("", "")
    assert (store.recorded, store.lost, store.last_error) == (1, 0, "")


def test_text_is_kept_where_the_owner_wants_it(path: Path):
    """One switch for sender, subject and words."""
    with opened(path, keep_text=True) as store:
        store.record(VERDICT, door="http", at=NOW, sender="anna@x.y", subject="secret")
        store.flush()
        (row,) = store.find("1@x.y")
        assert (row.sender, row.subject, len(row.reasons)) == ("anna@x.y", "secret", 2)


def test_a_verdict_is_written_soon_without_a_flush(store: Store):
    """Nobody has to ask."""
    store.record(VERDICT, door="http", at=NOW)
    deadline = time.monotonic() + 5
    while not store.find("1@x.y"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_close_keeps_what_was_recorded(path: Path):
    """A stop right after an answer loses nothing; a second close does nothing."""
    store = Store.open(path)
    store.record(VERDICT, door="http", at=NOW)
    store.close()
    store.close()
    store.record(VERDICT, door="http", at=NOW)
    assert (store.recorded, store.lost) == (1, 1)
    with pytest.raises(StoreError, match="closed"):
        store.find("1@x.y")
    with opened(path) as again:
        assert len(again.find("1@x.y")) == 1


def test_a_caller_with_a_deadline_waits_no_longer(path: Path):
    """Who promises an answer in seconds hears of a lock before, and the log may wait longer."""
    with opened(path, busy_timeout_seconds=5.0) as store:
        store.wait_at_most(0.1)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.record(VERDICT, door="http", at=NOW)
        start = time.monotonic()
        with pytest.raises(StoreError, match="locked"), store.correction():
            pass
        assert 0.1 <= time.monotonic() - start < 2.0
        other.close()
        assert store.flush()
        assert (store.recorded, store.lost) == (1, 0)


def test_old_verdicts_go_and_corrections_stay(path: Path):
    """Retention is for the log, not for what was learnt."""
    now = time.time()
    with opened(path, retention_days=1.0) as store:
        with store.correction() as log:
            append(log, at=0.0)
        store._writer._next_chore = float("inf")
        store.record(verdict(id="old"), door="http", at=now - 1.1 * DAY)
        store.record(verdict(id="new"), door="http", at=now - 0.9 * DAY)
        store.flush()
        assert (len(store.find("old")), len(store.find("new"))) == (1, 1)
        assert store.prune(now) == 1
        assert (len(store.find("old")), len(store.find("new"))) == (0, 1)
        assert store.latest_correction() == 1


def test_old_verdicts_go_by_themselves(path: Path):
    """Nobody has to call prune."""
    with opened(path, retention_days=1.0) as store:
        store.record(verdict(id="old"), door="http", at=time.time() - 2 * DAY)
        store.flush()
        deadline = time.monotonic() + 5
        while store.find("old"):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_without_retention_nothing_goes(path: Path):
    """None means for ever."""
    with opened(path, retention_days=None) as store:
        store.record(VERDICT, door="http", at=0.0)
        store.flush()
        assert store.prune(1e12) == 0
        assert len(store.find("1@x.y")) == 1


def test_a_correction_is_all_or_nothing(store: Store):
    """An exception half-way, ours or SQLite's, leaves no row, and the next transaction works."""

    def ours() -> None:
        with store.correction() as log:
            append(log)
            raise KeyError

    def of_sqlite() -> None:
        with store.correction() as log:
            append(log)
            append(log, label="maybe")

    with pytest.raises(KeyError):
        ours()
    with pytest.raises(StoreError, match="constraint"):
        of_sqlite()
    assert store.corrections() == []
    with store.correction() as log:
        append(log)
    assert len(store.corrections()) == 1


def test_a_correction_is_on_the_disk_when_the_block_ends(store: Store):
    """Even a power cut does not take the owner's word back (2 is FULL)."""
    assert store._corrector.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_the_latest_correction_is_seen_across_connections(store: Store, path: Path):
    """Another process's row is noticed by the next poll, also between verdicts."""
    assert store.latest_correction() == 0
    with opened(path) as other:
        with other.correction() as log:
            append(log)
        assert store.latest_correction() == 1
        other.record(VERDICT, door="http", at=NOW)
        other.flush()
        assert store.latest_correction() == 1
        with other.correction() as log:
            append(log, "cd34")
        assert (store.latest_correction(), other.latest_correction()) == (2, 2)


def test_polling_costs_microseconds(store: Store):
    """Ten polls a second are no load."""
    with store.correction() as log:
        append(log)
    start = time.perf_counter()
    for _ in range(1000):
        store.latest_correction()
    assert time.perf_counter() - start < 0.5


def test_polling_does_not_wait_for_a_correction(store: Store):
    """Workers go on while one of them learns."""
    with store.correction() as log:
        append(log)
        assert store.latest_correction() == 0
        assert store.corrections() == []


def test_a_locked_database_costs_the_log_and_not_the_mail(store: Store, locker: sqlite3.Connection):
    """Answers go on, the loss is counted, and afterwards all is well again."""
    start = time.perf_counter()
    for _ in range(10):
        store.record(VERDICT, door="http", at=NOW)
    assert time.perf_counter() - start < 1
    assert store.flush()
    assert (store.recorded, store.lost, store.last_error) == (0, 10, "database is locked")
    assert store.find("1@x.y") == []
    locker.execute("ROLLBACK")
    store.record(VERDICT, door="http", at=NOW)
    assert store.flush()
    assert (store.recorded, store.lost) == (1, 10)


def test_a_locked_database_refuses_a_correction(store: Store, locker: sqlite3.Connection):
    """The caller hears that nothing was kept; reading goes on."""
    with pytest.raises(StoreError, match="locked"), store.correction():
        pytest.fail("the block does not run")
    with pytest.raises(StoreError, match="locked"):
        store.prune(1e12)
    assert store.latest_correction() == 0
    locker.execute("ROLLBACK")
    with store.correction() as log:
        append(log)


def test_a_full_disk_refuses_a_correction_and_counts_verdicts(store: Store):
    """Nothing half-written stays, and when there is room again all goes on."""
    for connection in (store._corrector, store._logger):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full"), store.correction() as log:
        append(log, step=b"s" * 100_000)
    for _ in range(2000):
        store.record(VERDICT, door="http", at=NOW)
    assert store.flush()
    assert store.recorded + store.lost == 2000
    assert store.lost >= 500
    assert "full" in store.last_error
    for connection in (store._corrector, store._logger):
        connection.execute("PRAGMA max_page_count = 1000000")
    with store.correction() as log:
        append(log, step=b"s" * 100_000)
    assert store.latest_correction() == 1


def test_many_threads_at_once(store: Store):
    """Recording, correcting, finding and polling from eight threads lose and mix up nothing."""
    store._corrector.execute("PRAGMA busy_timeout = 5000")
    store._logger.execute("PRAGMA busy_timeout = 5000")
    faults: list[str] = []

    def work(number: int) -> None:
        try:
            for i in range(20):
                store.record(verdict(id=f"{number}.{i}"), door="http", at=NOW)
                with store.correction() as log:
                    append(log, f"{number}.{i}")
                store.latest_correction()
                store.find(f"{number}.{i}")
        except StoreError:
            faults.append(traceback.format_exc())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert store.flush()
    assert (store.recorded, store.lost, store.latest_correction()) == (160, 0, 160)
    assert len({row.identity for row in store.corrections()}) == 160


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_after_a_fork_the_store_must_be_opened_anew(store: Store, path: Path):
    """A child that forgets to hears of it, loses only its own rows and harms nobody's."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.record(VERDICT, door="http", at=NOW)
            assert (store.lost, store.flush(0.1)) == (1, False)
            for forbidden in (lambda: store.find("x"), store.latest_correction):
                with pytest.raises(StoreError, match="after a fork"):
                    forbidden()
            store.close()
            with opened(path) as own, own.correction() as log:
                append(log)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.latest_correction() == 1
    store.record(VERDICT, door="http", at=NOW)
    assert store.flush()
    assert (store.recorded, store.lost) == (1, 0)


def test_a_file_that_is_damaged_while_open(store: Store):
    """SQLite's word for it reaches the caller as ours."""
    store._reader.close()
    with pytest.raises(StoreError, match="closed database"):
        store.find("x")
