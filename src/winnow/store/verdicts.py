"""The log of verdicts: what is kept of each, and how it is written, found and forgotten."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from winnow.store.rows import VerdictRow
from winnow.verdict import Action, Reason, Verdict

# Longer texts are cut: the log is for finding and telling, not for keeping a hostile header.
MAX_TEXT = 1000
MAX_FOUND = 1000
# Deleting takes the write lock; in steps of some milliseconds the others get their turn.
PRUNED_AT_ONCE = 5000
# A statement gives the interpreter away and wants it back: once for many rows, or the thread that
# answers is interrupted for each. SQLite before 3.32 takes 999 values, so some 70 rows.
_ROWS_A_STATEMENT = 50
_LARGEST_INTEGER = 2**63 - 1

_COLUMNS = (
    "message_id, identity, at, door, probability, action, rule, stage, reasons, milliseconds, "
    "model, size_bytes, sender, subject"
)


_as_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """A verdict on its way into the log."""

    verdict: Verdict
    door: str
    at: float
    sender: str
    subject: str


def write(connection: sqlite3.Connection, entries: list[Entry], *, keep_text: bool) -> int:
    """Write entries in one transaction.

    Returns:
        How many were written; one that no column takes, as a NaN, is left out.

    Raises:
        sqlite3.Error: none was written.
    """
    rows = [
        _values(entry, keep_text=keep_text)
        for entry in entries
        if abs(entry.verdict.size_bytes) <= _LARGEST_INTEGER
    ]
    written = 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            some = rows[start : start + _ROWS_A_STATEMENT]
            values = tuple(chain.from_iterable(some))
            written += connection.execute(_insertion(len(some)), values).rowcount
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return written


@cache
def _insertion(rows: int) -> str:
    """Return the statement that inserts so many rows; IGNORE leaves out those with a NaN."""
    marks = f"({', '.join('?' * 14)})"
    return (
        f"INSERT OR IGNORE INTO verdict ({_COLUMNS}) "  # noqa: S608  constant text
        f"VALUES {', '.join([marks] * rows)}"
    )


def find(connection: sqlite3.Connection, message_id: str) -> list[VerdictRow]:
    """Return the verdicts on a message, the newest first, at most MAX_FOUND.

    The message may be named by its Message-ID, with or without brackets, or its identity.
    """
    key = _clean_id(message_id)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM verdict WHERE message_id = ? OR identity = ? "  # noqa: S608
        "ORDER BY at DESC, id DESC LIMIT ?",
        (key, key.lower(), MAX_FOUND),
    )
    return [_row(row) for row in rows]


def prune(connection: sqlite3.Connection, before: float) -> int:
    """Delete up to PRUNED_AT_ONCE verdicts that were given before a time.

    Returns:
        How many were deleted; call again while it is PRUNED_AT_ONCE.
    """
    return connection.execute(
        "DELETE FROM verdict WHERE id IN (SELECT id FROM verdict WHERE at < ? LIMIT ?)",
        (before, PRUNED_AT_ONCE),
    ).rowcount


def _values(entry: Entry, *, keep_text: bool) -> tuple[object, ...]:
    verdict = entry.verdict
    # A trait is our own wording; any other reason quotes the mail.
    reasons = [
        [r.kind, _text(r.text), round(r.share, 6)]
        for r in verdict.reasons
        if keep_text or r.kind == "trait"
    ]
    return (
        *(_clean_id(verdict.id), _text(verdict.identity).lower(), entry.at, _text(entry.door)),
        *(verdict.probability, str(verdict.action), _text(verdict.rule), verdict.stage),
        *(_as_json(reasons), verdict.milliseconds, verdict.model),
        verdict.size_bytes,
        _text(entry.sender) if keep_text else "",
        _text(entry.subject) if keep_text else "",
    )


def _row(row: tuple[Any, ...]) -> VerdictRow:
    message_id, identity, at, door, probability, action, rule, stage, reasons, *rest = row
    quoted = tuple(Reason(*reason) for reason in json.loads(reasons))
    first = (message_id, identity, at, door, probability, Action(action), rule, stage, quoted)
    return VerdictRow(*first, *rest)


def _clean_id(message_id: str) -> str:
    return _text(message_id.strip().removeprefix("<").removesuffix(">"))


def _text(text: str) -> str:
    """Return text that SQLite takes: bounded, and without halves of surrogate pairs."""
    if text.isascii():
        return text[:MAX_TEXT]
    return text[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
