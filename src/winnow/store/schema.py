"""Opening the database file: whose it is, which version, and the migrations to the newest one.

A migration that has shipped never changes; a new one is added at the end.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from winnow.errors import StoreError

APPLICATION_ID = 0x57494E4E  # "WINN", in the file's header

_FIRST = """
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL,
    identity TEXT NOT NULL,
    at REAL NOT NULL,
    door TEXT NOT NULL,
    probability REAL NOT NULL,
    action TEXT NOT NULL,
    rule TEXT NOT NULL,
    stage TEXT NOT NULL,
    reasons TEXT NOT NULL,
    milliseconds REAL NOT NULL,
    model TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sender TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX verdict_message_id ON verdict (message_id);
CREATE INDEX verdict_identity ON verdict (identity);
CREATE INDEX verdict_at ON verdict (at);
CREATE TABLE correction (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL,
    label TEXT NOT NULL CHECK (label IN ('spam', 'ham')),
    kind TEXT NOT NULL CHECK (kind IN ('learn', 'retract')),
    of_seq INTEGER UNIQUE REFERENCES correction (seq),
    at REAL NOT NULL,
    source TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    model TEXT NOT NULL,
    features BLOB NOT NULL,
    step BLOB NOT NULL,
    CHECK ((kind = 'retract') = (of_seq IS NOT NULL))
);
CREATE INDEX correction_identity ON correction (identity);
"""

MIGRATIONS = (_FIRST,)


def connect(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """Return a connection for use by one thread at a time, without implicit transactions.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    connection = sqlite3.connect(
        path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        # FULL, the default, would wait for the disk at every batch of verdicts; NORMAL never
        # damages the file and loses the last batches only when the machine itself fails.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = FAST")  # pruned rows are overwritten where free
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare(path: Path, busy_timeout_seconds: float) -> None:
    """Create the database, or check that it is ours and bring it to the newest version.

    Raises:
        StoreError: it is damaged, of something else, from a newer Winnow, or cannot be opened.
    """
    connection = None
    try:
        _create_private(path)
        connection = connect(path, busy_timeout_seconds)
        _check_owner(connection, path)
        _use_wal(connection, busy_timeout_seconds)
        _migrate(connection, path)
        damage = connection.execute("PRAGMA quick_check('correction')").fetchone()[0]
        if damage != "ok":
            raise StoreError(f"{path}: the database is damaged: {damage}; restore a copy")
    except (sqlite3.Error, OSError) as error:
        raise store_error(path, error) from error
    finally:
        if connection is not None:
            connection.close()


def store_error(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """Return the sentence for a failure of SQLite or of the file system."""
    name = getattr(error, "sqlite_errorname", "")
    sentences = {
        "SQLITE_BUSY": "the database is locked by another program; try again",
        "SQLITE_LOCKED": "the database is locked by another program; try again",
        "SQLITE_FULL": "the disk is full, nothing was written; make room and try again",
        "SQLITE_CORRUPT": "the database is damaged; restore a copy",
        "SQLITE_NOTADB": "the file is no SQLite database; name another --store",
        "SQLITE_READONLY": "this user may not write the database; be its owner, or name another "
        "--store",
        "SQLITE_CANTOPEN": "the database cannot be opened; see that its folder exists and may be "
        "written, or name another --store",
        "SQLITE_IOERR": "the disk failed to read or write the database; see the system's log",
    }
    known = [text for prefix, text in sentences.items() if name.startswith(prefix)]
    reason = known[0] if known else getattr(error, "strerror", None) or str(error)
    return StoreError(f"{path}: {reason}")


def _create_private(path: Path) -> None:
    """Create the file with mode 0600; SQLite gives its -wal and -shm the same mode.

    An existing file is not opened here: closing it again would drop the locks that SQLite holds
    on it elsewhere in this process.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not ours before anything in it is changed."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if owner != APPLICATION_ID and (owner or tables):
        raise StoreError(f"{path}: the database belongs to another program; name another --store")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path}: the database is from a newer Winnow (version {version}, known are versions "
            f"up to {len(MIGRATIONS)}); install that one"
        )


def _use_wal(connection: sqlite3.Connection, busy_timeout_seconds: float) -> None:
    """Switch to the write-ahead log, in which readers and a writer do not wait for each other."""
    # SQLite does not wait here as it does elsewhere when several processes switch at once.
    deadline = time.monotonic() + busy_timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Run the migrations that are missing, all or none."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check_owner(connection, path)  # another process may have been here first
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for migration in MIGRATIONS[version:]:
            for statement in migration.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
