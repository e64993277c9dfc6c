"""The reference page of the store: its queries run, and its figures are those of the code."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from store.samples import VERDICT, append, opened
from winnow.store import writer
from winnow.store.schema import APPLICATION_ID

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/store.md").read_text()


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


def test_the_figures_are_those_of_the_code():
    """A bound that changes is changed on the page."""
    assert f"the queue takes {writer.QUEUE_ROWS:,}" in PAGE
    assert f"{writer.BATCH_ROWS} rows" in PAGE
    assert f"`0x{APPLICATION_ID:X}`" in PAGE
    assert (writer.BATCH_SECONDS, writer.CHORE_SECONDS) == (0.1, 3600.0)
