"""One tree of errors, whose texts and attributes tell whose fault it was."""

from __future__ import annotations

import inspect

import pytest

from winnow import errors
from winnow.errors import RemoteProtocolError, RuleError, WinnowError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_every_error_is_in_the_one_tree() -> None:
    """The command line catches the base; what is outside of it would be a traceback."""
    assert len(ALL) >= 7
    assert all(issubclass(kind, WinnowError) for kind in ALL)
    assert not issubclass(WinnowError, OSError | ValueError)


def test_the_drawing_names_every_error() -> None:
    """The module's docstring is where people look which error to raise."""
    drawing = errors.__doc__ or ""
    assert [kind.__name__ for kind in ALL if kind.__name__ not in drawing] == []


def test_kinds_are_told_apart() -> None:
    """Catching one kind must not swallow another."""
    leaves = [kind for kind in ALL if kind is not WinnowError]
    assert not [(a, b) for a in leaves for b in leaves if a is not b and issubclass(a, b)]


@pytest.mark.parametrize(
    ("line", "column", "text"),
    [(3, 7, "my.toml:3:7: no such key"), (0, 0, "my.toml: no such key")],
)
def test_a_rule_error_says_where(line: int, column: int, text: str) -> None:
    """Line and column in the form that editors open; none where the fault has no line."""
    error = RuleError("no such key", origin="my.toml", line=line, column=column)
    assert str(error) == text
    assert (error.reason, error.origin, error.line, error.column) == (
        "no such key",
        "my.toml",
        line,
        column,
    )


def test_a_peers_error_carries_the_answer_to_it() -> None:
    """The door answers with the status and does not guess it from the text."""
    error = RemoteProtocolError("no length", status=76)
    assert (str(error), error.status) == ("no length", 76)
    with pytest.raises(TypeError):
        RemoteProtocolError("no length")  # type: ignore[call-arg]
