"""Tables whose numbers are whole on any terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.table import Table

from winnow.cli.tables import print_table, table


def small() -> Table:
    """Return a table of a long name, two numbers and a long text."""
    shown = table("name ", "ham %\n>= 0.50", "bytes", "why ")
    shown.add_row(
        "a-rather-long-name-of-mail", "12.345", "6,324,456", "[red]word[/red] :smile: [/]"
    )
    shown.add_row("b", "", "7", "short")
    return shown


def printed(columns: int) -> list[str]:
    """Return the lines of that table on a terminal of so many columns."""
    out = io.StringIO()
    print_table(Console(file=out, width=columns, markup=False, emoji=False), small())
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_room_enough() -> None:
    """Texts whole, numbers flush right; brackets of mail are text."""
    head, above, first, second = printed(100)
    assert head.split() == ["ham", "%"]
    assert above.split() == ["name", ">=", "0.50", "bytes", "why"]
    assert re.split("  +", first) == [
        "a-rather-long-name-of-mail", "12.345", "6,324,456", "[red]word[/red] :smile: [/]",
    ]  # fmt: skip
    assert first.index("6,324,456") + 9 == second.index("7") + 1


@pytest.mark.parametrize("columns", [40, 50, 60, 70, 79])
def test_texts_give_way(columns: int) -> None:
    """The last text is shortened first, no number is, and no line is wider than the terminal."""
    lines = printed(columns)
    assert max(map(len, lines)) <= columns
    assert "6,324,456" in lines[2 if columns > 50 else -1] + "".join(lines)
    assert len(lines) == 4 or columns < 50


def test_no_room_at_all() -> None:
    """Half a number would be another number: each cell has a line, and an empty one none."""
    assert printed(30) == [
        "a-rather-long-name-of-mail",
        "  ham % >= 0.50: 12.345",
        "  bytes: 6,324,456",
        "  why: [red]word[/red] :smile:",
        "[/]",
        "b",
        "  bytes: 7",
        "  why: short",
    ]
