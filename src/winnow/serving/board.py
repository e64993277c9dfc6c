"""Numbers that all processes of one server share: a table in anonymous shared memory.

Law: a row is written by one process only, in one thread; any process reads all rows. A number is
one aligned 8-byte store, so no lock is needed and a process killed half-way leaves no half number.
A worker that is started again takes over the row of the dead one: totals never fall.
"""

from __future__ import annotations

import mmap

NOTE_BYTES = 512
_NUMBER_BYTES = 8


class Row:
    """One process's numbers and its note (a line of text)."""

    def __init__(self, numbers: memoryview[float], note: memoryview) -> None:
        self._numbers = numbers
        self._note = note

    def __getitem__(self, cell: int) -> float:
        return float(self._numbers[cell])

    def __setitem__(self, cell: int, value: float) -> None:
        self._numbers[cell] = value

    def add(self, cell: int, amount: float = 1.0) -> None:
        """Add to a number."""
        self._numbers[cell] += amount

    @property
    def note(self) -> str:
        """Line of text, cut to fit; readers in other processes may see a torn one."""
        return bytes(self._note).rstrip(b"\0").decode("utf-8", "replace")

    @note.setter
    def note(self, text: str) -> None:
        encoded = text.encode("utf-8", "replace")[:NOTE_BYTES]
        self._note[:] = encoded.ljust(NOTE_BYTES, b"\0")


class Board:
    """The table. Make it before the fork; every child sees the same one."""

    def __init__(self, rows: int, cells: int) -> None:
        row_bytes = cells * _NUMBER_BYTES + NOTE_BYTES
        self._memory = memoryview(mmap.mmap(-1, rows * row_bytes))
        self.rows = [self._row(start, cells) for start in range(0, rows * row_bytes, row_bytes)]

    def _row(self, start: int, cells: int) -> Row:
        middle = start + cells * _NUMBER_BYTES
        numbers = self._memory[start:middle].cast("d")
        return Row(numbers, self._memory[middle : middle + NOTE_BYTES])

    def total(self, cell: int) -> float:
        """Sum of one number over all processes."""
        return sum(row[cell] for row in self.rows)
