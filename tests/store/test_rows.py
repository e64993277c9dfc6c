"""Rows: values that nobody can change after they were read."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from winnow.store import CorrectionRow, VerdictRow
from winnow.verdict import Label


def test_rows_are_frozen():
    """A row in one hand cannot differ from the row in another."""
    row = CorrectionRow(1, "a", Label.HAM, "learn", None, 1.0, "cli", "f", "m", b"", b"")
    with pytest.raises(FrozenInstanceError):
        row.seq = 2  # type: ignore[misc]


def test_a_correction_holds_no_text_of_the_mail():
    """What is kept for ever names the message by a digest and carries numbers only."""
    names = {field.name for field in fields(CorrectionRow)}
    assert not names & {"subject", "sender", "text", "reasons", "message_id"}
    assert {"sender", "subject"} < {field.name for field in fields(VerdictRow)}
