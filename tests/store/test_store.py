"""The store: the promises to its callers, one by one."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.samples import VERDICT, append, opened, start, verdict
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
    deadline = time.monotonic() + 30
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
    with opened(path, busy_timeout_seconds=60.0) as store:
        store.wait_at_most(0.1)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.record(VERDICT, door="http", at=NOW)
        start = time.monotonic()
        with pytest.raises(StoreError, match="locked"), store.correction():
            pass
        assert 0.1 <= time.monotonic() - start < 20.0
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
        deadline = time.monotonic() + 30
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
    start = time.process_time()
    for _ in range(1000):
        store.latest_correction()
    assert time.process_time() - start < 0.5


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
    assert time.perf_counter() - start < 4
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
    store._corrector.execute("PRAGMA busy_timeout = 60000")
    store._logger.execute("PRAGMA busy_timeout = 60000")
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
    assert store.flush(60)
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


# Several processes on one file: kill -9, full disks and races lose nothing that was committed.

# Says "verdicts N" or "correction N" after what it wrote is on the disk.
WRITER = """
import sys
from pathlib import Path
from store.samples import append, verdict
from winnow.store import Store
path, name = Path(sys.argv[1]), sys.argv[2]
store = Store.open(path, busy_timeout_seconds=20)
n = 0
while n < int(sys.argv[3]):
    for i in range(20):
        store.record(verdict(id=f"{name}.{n}.{i}", identity=name), door="http", at=1e10)
    with store.correction() as log:
        append(log, f"{name}.{n}", step=b"s" * 3000)
    n += 1
    print("correction", n, flush=True)
    assert store.flush(60)
    print("verdicts", store.recorded, flush=True)
assert store.lost == 0
store.close()
"""


def promised(output: str, kind: str) -> int:
    """Return the last whole number that a writer said of a kind."""
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return max((int(words[1]) for words in lines if words[0] == kind), default=0)


@pytest.mark.slow
def test_four_writers_a_reader_and_a_kill(tmp_path: Path):
    """What a killed process had committed is there, and the others never notice."""
    path = tmp_path / "w.db"
    victim = start(path, "victim", 1_000_000, WRITER)
    others = [start(path, f"other{n}", 15, WRITER) for n in range(3)]
    with opened(path, busy_timeout_seconds=20) as reader:
        seen: list[int] = []
        while not any(row.identity == "victim.4" for row in reader.corrections()):
            seen.append(reader.latest_correction())
            time.sleep(0.002)
        victim.send_signal(signal.SIGKILL)
        said = {"victim": victim.communicate(timeout=60)[0]}
        assert victim.returncode == -signal.SIGKILL
        for number, other in enumerate(others):
            said[f"other{number}"] = other.communicate(timeout=60)[0]
            assert other.returncode == 0
        assert seen == sorted(seen)
        rows = reader.corrections()
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        for name, output in said.items():
            kept = sum(row.identity.startswith(f"{name}.") for row in rows)
            assert promised(output, "correction") <= kept <= promised(output, "correction") + 1
            assert len(reader.find(name)) >= min(1000, promised(output, "verdicts"))
        assert promised(said["victim"], "correction") >= 4
        assert promised(said["other0"], "verdicts") == 300
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from store.samples import append
from winnow.store import Store
store = Store.open(Path(sys.argv[1]))
with store.correction() as log:
    append(log, "half", step=b"s" * 5_000_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_the_middle_of_a_correction(tmp_path: Path):
    """Half a correction is no correction, and its lock dies with the process."""
    path = tmp_path / "w.db"
    with opened(path, busy_timeout_seconds=0.5) as store:
        with store.correction() as log:
            append(log)
        killed = start(path, "x", 0, KILLED_HALF_WAY)
        killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert [row.identity for row in store.corrections()] == ["ab12"]
        with store.correction() as log:
            assert append(log, "cd34") == 2


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from store.samples import append, verdict
from winnow.errors import StoreError
from winnow.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(Path(sys.argv[1]))
with store.correction() as log:
    append(log, "before")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    with store.correction() as log:
        append(log, "too big", step=b"s" * 1_000_000)
except StoreError as error:
    print("refused:", error)
for i in range(5000):
    store.record(verdict(id=str(i)), door="http", at=1e10)
assert store.flush(30)
assert store.recorded + store.lost == 5000, (store.recorded, store.lost)
print("lost", store.lost > 0, store.last_error != "")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with store.correction() as log:
    append(log, "after")
lost = store.lost
store.record(verdict(id="after"), door="http", at=1e10)
assert store.flush(30)
assert store.lost == lost
store.close()
print("done")
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on file sizes here")
def test_the_operating_system_refuses_to_let_the_file_grow(tmp_path: Path):
    """A real write error: corrections are refused whole, verdicts counted, and then all goes on."""
    path = tmp_path / "w.db"
    process = start(path, "x", 0, FULL_DISK)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.startswith("refused:")
    assert output.endswith("lost True True\ndone\n")
    with opened(path) as store:
        assert [row.identity for row in store.corrections()] == ["before", "after"]
        assert len(store.find("after")) == 1
