"""Syntax errors: the place is where a person would look, on every supported Python."""

from __future__ import annotations

import pytest

from policy.facts_of import fault_of
from winnow.errors import RuleError
from winnow.policy.syntax import MAX_TEXT, parse


@pytest.mark.parametrize(
    "marked",
    [
        "¦é = 1",
        "a = ¦",
        "a = 1\nb = ¦oops\n",
        "a ¦1\n",
        "a = 1 ¦2\n",
        "[a¦\n",
        "a = ¦[1, 2",
        "a = [1,\n  ¦[2, 3\n",
        'a = ¦"""x\ny\n',
        "a = ¦'''x",
        'a = "x¦\n',
        "a = 1\n¦a = 2\n",
        "a = 1\n¦a = [\n 1,\n 2]\nb = 3\n",
        "a = 1\n¦a = {b = 1}",
        "a = { b = 1, ¦b = 2 }\n",
        "[a]\nx = 1\n[b]\n[¦a]\n",
        "[a]\nx = 1\n[[¦a]]\n",
        "[[a]]\n[¦a]\n",
        "[a]\nb.c = 1\n[a.¦b]\n",
        "a.b = 1\na.¦b = 2\n",
        "a = " + "[" * 16 + "¦[",
        "a" + ".a" * 16 + "¦.a = 1",
        "a = ¦" + "1" * 5000,
    ],
)
def test_the_place_of_a_syntax_error(marked: str):
    """Line and column are those of the mark."""
    fault_of(marked)


def test_lines_may_end_as_on_windows():
    """CRLF moves no place."""
    assert fault_of("a = 1\r\nb = ¦oops\r\n").reason == "Invalid value"
    fault_of("a = 1\r\n¦a = 2\r\n")


def test_a_broken_number_or_date_has_a_place():
    """Values that Python itself refuses do not escape as another error."""
    fault_of("a = 1\nb = ¦2024-02-30\n")


def test_the_reason_comes_without_its_place():
    """The place is said once, in front."""
    assert fault_of("a = 1\nb = ¦oops\n").reason == "Invalid value"


def test_a_text_over_the_limit_is_refused():
    """A rule file is written by a person."""
    with pytest.raises(RuleError, match="1 MiB"):
        parse("#" * (MAX_TEXT + 1), origin="t")
    assert parse("#" * MAX_TEXT, origin="t").data == {}
