"""Tables: typed access that refuses everything else at its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from winnow.errors import RuleError
from winnow.policy.syntax import parse
from winnow.policy.table import Table, error_at

TEXT = """\
n = 0.5
big = 7
yes = true
word = "x"
date = 2024-01-01
mixed = [1, "a"]
none = []
huge = 0xFFFF
[sub]
[[many]]
k = 1
"""


@pytest.fixture
def table() -> Table:
    """Return the table of TEXT."""
    return parse(TEXT, origin="t")


def even(text: str) -> str:
    """Refuse text of odd length."""
    if len(text) % 2:
        raise ValueError("odd")
    return text


def test_what_is_there(table: Table):
    """Right types come through unchanged."""
    assert table.number("n", most=1) == 0.5
    assert table.number("big", most=7, whole=True) == 7
    assert table.number("missing", most=1) is None
    assert table.flag("yes") is True
    assert table.flag("missing") is None
    assert table.text("word", str.upper) == "X"
    assert table.texts("word", str) == ["x"]
    assert table.table("missing").data == {}
    assert [t.path for t in table.tables("many")] == [("many", 0)]
    assert [t.path for t in table.tables("sub", or_one=True)] == [("sub",)]
    assert "n" in table
    assert "x" not in table


@pytest.mark.parametrize(
    ("ask", "line", "column", "words"),
    [
        (lambda t: t.number("word", most=1), 4, 8, "must be a number, not a text"),
        (lambda t: t.number("yes", most=1), 3, 7, "must be a number, not true or false"),
        (lambda t: t.number("date", most=1), 5, 8, "must be a number, not a date"),
        (lambda t: t.number("n", most=1, whole=True), 1, 5, "whole number"),
        (lambda t: t.number("big", most=6), 2, 7, "from 0 to 6"),
        (lambda t: t.flag("big"), 2, 7, "must be true or false, not a number"),
        (lambda t: t.text("big", str), 2, 7, "must be a text in quotes"),
        (lambda t: t.text("word", even), 4, 8, "odd"),
        (lambda t: t.texts("mixed", str), 6, 10, "mixed must be a text"),
        (lambda t: t.texts("none", str), 7, 8, "must not be empty"),
        (lambda t: t.table("n"), 1, 5, "must be a table, not a number"),
        (lambda t: list(t.tables("sub")), 9, 1, "array of tables"),
        (lambda t: list(t.tables("mixed")), 6, 10, "must be a table"),
        (lambda t: t.allow_only("n", "bog"), 2, 1, 'did you mean "bog"'),
        (lambda t: t.allow_only("zzzz"), 1, 1, "known are zzzz"),
    ],
)
def test_what_is_refused(
    table: Table, ask: Callable[[Table], object], line: int, column: int, words: str
):
    """Each refusal says what was wanted, and where."""
    with pytest.raises(RuleError, match=words) as caught:
        ask(table)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_place_counts_from_one_and_per_line():
    """The first character is 1:1, also of later lines."""
    text = "ab\ncd"
    places = [error_at(text, i, "r", origin="o") for i in (0, 1, 3, 5)]
    assert [(p.line, p.column) for p in places] == [(1, 1), (1, 2), (2, 1), (2, 3)]
