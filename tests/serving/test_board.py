"""Shared numbers."""

from __future__ import annotations

import os

from winnow.serving.board import NOTE_BYTES, Board


def test_rows_and_notes_do_not_touch():
    """Protects the layout: the last number, the note and the next row lie side by side."""
    board = Board(3, 5)
    for index, row in enumerate(board.rows):
        for cell in range(5):
            row[cell] = index * 10 + cell
        row.note = "x" * 2000 if index == 1 else f"note {index}"
    for index, row in enumerate(board.rows):
        assert [row[cell] for cell in range(5)] == [index * 10 + cell for cell in range(5)]
    assert board.rows[0].note == "note 0"
    assert board.rows[1].note == "x" * NOTE_BYTES
    assert board.rows[2].note == "note 2"


def test_totals_over_processes():
    """Protects multi-worker metrics: what a child adds, its parent and its siblings see."""
    board = Board(3, 2)
    board.rows[0].add(1)
    for index in (1, 2):
        child = os.fork()
        if child == 0:
            for _ in range(100):
                board.rows[index].add(1, 0.5)
            board.rows[index].note = f"child {index}"
            os._exit(0)
        os.waitpid(child, 0)
    assert board.total(1) == 101.0
    assert board.total(0) == 0.0
    assert [row.note for row in board.rows] == ["", "child 1", "child 2"]


def test_a_cut_note_is_still_text():
    """Protects readers of notes from half a character at the cut."""
    row = Board(1, 1).rows[0]
    row.note = "a" + "ü" * NOTE_BYTES
    assert row.note.startswith("aüü")
