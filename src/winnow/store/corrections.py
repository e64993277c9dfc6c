"""The log of corrections: rows are added and never changed, so that every process can follow."""

from __future__ import annotations

import sqlite3
from typing import Any

from winnow.store.rows import CorrectionRow, Kind
from winnow.verdict import Label

_COLUMNS = "seq, identity, label, kind, of_seq, at, source, fingerprint, model, features, step"


class CorrectionLog:
    """The corrections as seen inside one transaction; nobody else can add any meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def active(self, identity: str) -> CorrectionRow | None:
        """Return the learn row of a message that no row has taken back.

        Args:
            identity: hex digest of the message.
        """
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM correction AS learnt "  # noqa: S608  constant text
            "WHERE identity = ? AND kind = 'learn' AND NOT EXISTS "
            "(SELECT 1 FROM correction AS later WHERE later.of_seq = learnt.seq) "
            "ORDER BY seq DESC LIMIT 1",
            (identity,),
        ).fetchone()
        return _row(row) if row else None

    def append(
        self,
        *,
        identity: str,
        label: Label,
        kind: Kind,
        at: float,
        source: str,
        fingerprint: str,
        model: str,
        features: bytes,
        step: bytes,
        of_seq: int | None = None,
    ) -> int:
        """Add a row; see CorrectionRow for the fields.

        Returns:
            The row's seq.
        """
        cursor = self._connection.execute(
            f"INSERT INTO correction ({_COLUMNS}) "  # noqa: S608  constant text
            "VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(identity, str(label), kind, of_seq, at, source, fingerprint, model),
                *(features, step),
            ),
        )
        assert cursor.lastrowid is not None, "an INSERT of one row has one"
        return cursor.lastrowid


def rows_after(connection: sqlite3.Connection, seq: int) -> list[CorrectionRow]:
    """Return the rows above a seq, in order."""
    query = f"SELECT {_COLUMNS} FROM correction WHERE seq > ? ORDER BY seq"  # noqa: S608
    return [_row(row) for row in connection.execute(query, (seq,))]


def highest_seq(connection: sqlite3.Connection) -> int:
    """Return the highest seq, 0 when there is no row."""
    return int(connection.execute("SELECT max(seq) FROM correction").fetchone()[0] or 0)


def _row(row: tuple[Any, ...]) -> CorrectionRow:
    seq, identity, label, *rest = row
    return CorrectionRow(seq, identity, Label(label), *rest)
