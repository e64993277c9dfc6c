"""The verdict log: what is kept, what is not, and what odd values do."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.samples import VERDICT, verdict
from winnow.store.schema import connect, prepare
from winnow.store.verdicts import MAX_FOUND, PRUNED_AT_ONCE, Entry, find, prune, write
from winnow.verdict import Reason, Verdict


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection to a new database."""
    prepare(tmp_path / "w.db", 1.0)
    connection = connect(tmp_path / "w.db", 1.0)
    yield connection
    connection.close()


def entry(asked: Verdict = VERDICT, *, at: float = 100.0) -> Entry:
    """Return an entry with a sender and a subject."""
    return Entry(asked, "http", at, "anna@x.y", "hello")


def test_all_fields_come_back(db: sqlite3.Connection):
    """With text, a row tells all that the verdict told but why that stage: the log line has it."""
    assert write(db, [entry()], keep_text=True) == 1
    (row,) = find(db, "1@x.y")
    shared = [name for name in VERDICT.__slots__ if name not in ("id", "why")]
    assert {n: getattr(row, n) for n in shared} == {n: getattr(VERDICT, n) for n in shared}
    assert (row.message_id, row.at, row.door) == ("1@x.y", 100.0, "http")
    assert (row.sender, row.subject) == ("anna@x.y", "hello")


def test_without_text_nothing_of_the_mail_is_kept(db: sqlite3.Connection, tmp_path: Path):
    """Only traits, which are our own words, stay among the reasons; the file has no word of it."""
    write(db, [entry()], keep_text=False)
    (row,) = find(db, "1@x.y")
    assert row.reasons == (Reason("trait", "many exclamation marks", 0.25),)
    assert (row.sender, row.subject) == ("", "")
    written = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert not any(word in written for word in (b"viagra", b"anna@x.y", b"hello"))


@pytest.mark.parametrize("asked", ["1@x.y", "<1@x.y>", " <1@x.y> ", "ab12", "AB12"])
def test_found_by_either_name(db: sqlite3.Connection, asked: str):
    """The Message-ID as a log shows it, or the identity."""
    write(db, [entry()], keep_text=False)
    assert len(find(db, asked)) == 1
    assert find(db, "2@x.y") == []


def test_the_newest_first_and_not_without_end(db: sqlite3.Connection):
    """A Message-ID that a spammer uses for all mail does not fill the memory."""
    write(db, [entry(at=float(i)) for i in range(MAX_FOUND + 5)], keep_text=False)
    rows = find(db, "1@x.y")
    assert len(rows) == MAX_FOUND
    assert (rows[0].at, rows[1].at) == (MAX_FOUND + 4.0, MAX_FOUND + 3.0)


def test_a_row_that_no_column_takes_does_not_spoil_the_others(db: sqlite3.Connection):
    """NaN and numbers beyond 64 bits are left out, and the batch is written."""
    odd = [verdict(probability=math.nan), verdict(size_bytes=1 << 70), VERDICT]
    assert write(db, [entry(v) for v in odd], keep_text=False) == 1
    assert len(find(db, "1@x.y")) == 1


def test_hostile_text_is_bounded_and_harmless(db: sqlite3.Connection):
    """A Message-ID of a megabyte, of NULs or of half characters is stored and found."""
    for message_id in ("x" * 1_000_000, "a\0b", "\ud800@x.y", "'; DROP TABLE verdict; --"):
        assert write(db, [entry(verdict(id=message_id))], keep_text=True) == 1
        (row,) = find(db, f"<{message_id}>")
        assert len(row.message_id) <= 1000


def test_nothing_is_written_when_the_batch_fails(db: sqlite3.Connection):
    """A full disk half-way through a batch leaves no half of it."""
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        write(db, [entry() for _ in range(1000)], keep_text=True)
    assert not db.in_transaction
    assert find(db, "1@x.y") == []


def test_prune_deletes_the_old_in_steps(db: sqlite3.Connection):
    """What is past its time goes, what is not stays."""
    count = PRUNED_AT_ONCE + 10
    write(db, [entry(at=float(i)) for i in range(count)], keep_text=False)
    assert prune(db, count - 1.0) == PRUNED_AT_ONCE
    assert prune(db, count - 1.0) == 9
    assert [row.at for row in find(db, "1@x.y")] == [count - 1.0]
