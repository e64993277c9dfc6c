"""The size check counts what it says and fails where it should."""

from __future__ import annotations

import ast
from pathlib import Path

from scripts import sizes

FUNCTION = '''def f(
    x: int,
) -> int:
    """Two lines
    of docstring."""
    y = x
    return y
'''


def test_a_docstring_is_not_length() -> None:
    """A function is measured without its docstring: nobody shall save on words."""
    node = ast.parse(FUNCTION).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert sizes.function_lines(node) == 5


def test_limits_are_limits() -> None:
    """A file of 601 lines and a function of 61 are named; one line less is fine."""
    long_function = "def g() -> None:\n" + "    x = 1\n" * 60
    measured = sizes.Sizes()
    measured.add(Path("a.py"), long_function)
    measured.add(Path("b.py"), "x = 1\n" * 601)
    assert measured.broken == [
        "a.py:1: g has 61 lines, more than 60",
        "b.py: 601 lines, more than 600",
    ]
    fine = sizes.Sizes()
    fine.add(Path("a.py"), long_function.replace("    x = 1\n", "", 1))
    fine.add(Path("b.py"), "x = 1\n" * 600)
    assert not fine.broken


def test_ninetieth() -> None:
    """Nine in ten values do not exceed it, and one value is its own."""
    assert sizes.ninetieth(list(range(1, 11))) == 9
    assert sizes.ninetieth([7]) == 7


def test_an_empty_folder_is_shown() -> None:
    """An empty group is shown as none, not as a failure."""
    assert sizes.row("bench", sizes.Sizes()).split() == ["bench", "0"]
