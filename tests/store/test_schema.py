"""Opening: a file that is not ours is never touched, and the schema that shipped never changes."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import stat
from pathlib import Path

import pytest

from store.samples import VERDICT, append, opened, start
from winnow.errors import StoreError
from winnow.store import schema
from winnow.store.schema import APPLICATION_ID, MIGRATIONS, connect, prepare

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/store.md").read_text("utf-8")
OPENER = """
import sys
from pathlib import Path
from winnow.store import Store
Store.open(Path(sys.argv[1]), busy_timeout_seconds=20).close()
"""
# Add a line for a new migration; never change one.
SHIPPED = ("396fe458c8cfa383",)


def make(path: Path, script: str) -> bytes:
    """Make a database by a script and return its bytes."""
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path.read_bytes()


def test_migrations_that_shipped_never_change():
    """A database of any age gets the same tables."""
    digests = tuple(hashlib.sha256(m.encode()).hexdigest()[:16] for m in MIGRATIONS)
    assert digests == SHIPPED


def test_a_new_file_is_ours_and_private(tmp_path: Path):
    """Mode 0600 whatever the umask, write-ahead log, our mark and version."""
    path = tmp_path / "w.db"
    before = os.umask(0)
    try:
        with opened(path) as store:
            store.latest_correction()
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"w.db": 0o600, "w.db-wal": 0o600, "w.db-shm": 0o600}
    connection = sqlite3.connect(path)
    asked = [f"PRAGMA {name}" for name in ("application_id", "user_version", "journal_mode")]
    assert [connection.execute(p).fetchone()[0] for p in asked] == [APPLICATION_ID, 1, "wal"]
    connection.close()


def test_opening_again_keeps_everything(tmp_path: Path):
    """Preparing is idempotent."""
    with opened(tmp_path / "w.db") as store, store.correction() as log:
        append(log)
    prepare(tmp_path / "w.db", 1.0)
    with opened(tmp_path / "w.db") as store:
        assert store.latest_correction() == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("CREATE TABLE mine (a)", "another program"),
        ("PRAGMA application_id = 7", "another program"),
        (f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 99", "newer Winnow"),
    ],
)
def test_a_foreign_or_newer_database_is_left_as_it_was(tmp_path: Path, script: str, words: str):
    """Pointing Winnow at the wrong file harms nothing."""
    path = tmp_path / "other.db"
    before = make(path, script)
    with pytest.raises(StoreError, match=words):
        prepare(path, 1.0)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["other.db"]


def test_what_is_no_database_is_left_as_it_was(tmp_path: Path):
    """A text file by mistake is told of, not overwritten."""
    path = tmp_path / "note.txt"
    path.write_text("my diary\n" * 500)
    with pytest.raises(StoreError, match="no SQLite database"):
        prepare(path, 1.0)
    assert path.read_text() == "my diary\n" * 500


@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
def test_a_damaged_database_is_told_of(tmp_path: Path, damage: str):
    """Half a file, or noise over the corrections, stops the start with a sentence."""
    path = tmp_path / "w.db"
    with opened(path) as store, store.correction() as log:
        for number in range(200):
            append(log, f"{number}", step=b"s" * 2000)
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] if damage == "truncated" else data[:half] + os.urandom(half))
    with pytest.raises(StoreError, match="damaged"):
        prepare(path, 1.0)


@pytest.mark.parametrize("name", [".", "no/such/folder/w.db"])
def test_a_place_that_holds_no_file(tmp_path: Path, name: str):
    """A folder, or a path into nowhere."""
    with pytest.raises(StoreError, match=r"opened|No such"):
        prepare(tmp_path / name, 1.0)


def test_a_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A new version that breaks half-way leaves the old database whole."""
    path = tmp_path / "w.db"
    prepare(path, 1.0)
    broken = "CREATE TABLE extra (a);\nCREATE TABLE extra (a);\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(StoreError, match="extra"):
        prepare(path, 1.0)
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE extra (a);\n"))
    prepare(path, 1.0)
    connection = connect(path, 1.0)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 2
    connection.close()


def test_every_query_runs_while_the_store_is_open(tmp_path: Path):
    """What a user copies from the page works, beside a running server."""
    queries = re.findall(r"^SELECT .*;$", PAGE, re.MULTILINE)
    with opened(tmp_path / "w.db") as store:
        store.record(VERDICT, door="http", at=4e9)
        store.flush()
        with store.correction() as log:
            append(log)
        connection = sqlite3.connect(tmp_path / "w.db")
        found = [
            connection.execute(q.replace("1@example.org", "1@x.y")).fetchall() for q in queries
        ]
        connection.close()
    assert [len(rows) for rows in found] == [1, 1, 1]


def test_the_mark_is_on_the_page():
    """Whoever finds such a file can look up whose it is."""
    assert f"`0x{APPLICATION_ID:X}`" in PAGE


def test_many_processes_may_create_it_at_once(tmp_path: Path):
    """A server's workers all start at the same moment on a new machine."""
    path = tmp_path / "w.db"
    processes = [start(path, "x", 0, OPENER) for _ in range(6)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 6
