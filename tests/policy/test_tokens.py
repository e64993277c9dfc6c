"""Tokens: nothing is lost, strings are whole, and costly texts are refused before they cost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.policy.tokens import MAX_DEPTH, MAX_DOTS, MAX_WORD, check, tokenize, unclosed

TOML = st.text("ab.=[]{},\"'\\#\n \t1é", max_size=40)


@given(TOML)
def test_tokens_are_slices_of_the_text_in_order(text: str):
    """Every offset is right, and only blanks, comments and a broken string are left out."""
    tokens, fault = tokenize(text)
    position = 0
    for token in tokens:
        assert text[token.start : token.start + len(token.text)] == token.text
        assert token.start >= position
        between = text[position : token.start]
        cut = between if fault is None else between[: max(0, fault.offset - position)]
        assert all(line == "" or line.startswith("#") for line in [cut.strip(" \t")])
        position = token.start + len(token.text)
    assert tokens[-1].kind == "end"


@pytest.mark.parametrize(
    "string",
    [
        *('""', "''", '"a\\"b"', "'a\\'", '"""a""b"""', '"""a"""""', "'''a'b''c'''", '"# [no]"'),
        *('"""\n\\"""\n"""', "'''\n\n'''"),
    ],
)
def test_a_string_is_one_token(string: str):
    """Brackets, hashes and quotes within a string are not taken for grammar."""
    tokens, fault = tokenize(f"{string}]")
    assert [t.text for t in tokens] == [string, "]", ""]
    assert fault is None


@pytest.mark.parametrize("text", ['x="a', "x='a\n'", 'x="""a""', "x='''a\n\n", 'x="a\\"'])
def test_a_string_that_does_not_end_is_placed_at_its_start(text: str):
    """The user is sent to the quote that opens it, not to the end of the file."""
    tokens, fault = tokenize(text)
    assert fault is not None
    assert fault.offset == 2
    assert [t.text for t in tokens] == ["x", "=", ""]


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("[" * (MAX_DEPTH + 1), MAX_DEPTH),
        ("a" + ".a" * (MAX_DOTS + 1), 2 * MAX_DOTS + 1),
        ("a = " + "1" * (MAX_WORD + 1), 4),
    ],
)
def test_costly_texts_are_refused_at_their_place(text: str, offset: int):
    """Brackets that overflow a stack, keys of quadratic cost, numbers too long to read."""
    fault = check(tokenize(text)[0])
    assert fault is not None
    assert fault.offset == offset
    assert check(tokenize(text[:offset])[0]) is None


def test_dots_in_strings_and_lists_are_no_keys():
    """A long line of addresses is fine."""
    text = "a = [" + ", ".join(['"a.b.c@d.e.f", 1.5'] * 100) + "]"
    assert check(tokenize(text)[0]) is None


def test_the_innermost_open_bracket():
    """The bracket that someone forgot to close is found."""
    assert unclosed(tokenize("a = [1, {b = [2]}")[0]) == 4
    assert unclosed(tokenize("a = [1, {b = [2], c")[0]) == 8
    assert unclosed(tokenize("a = [1]")[0]) is None


@pytest.mark.parametrize(
    "piece", ['"', "'", '"""', "'''", '"\\', '"""\\"', '"a\n', "#\n", "[", "\\"]
)
def test_any_long_text_is_cut_in_linear_time(piece: str):
    """No text makes the tokenizer go back over it."""
    start = time.process_time()
    tokenize(piece * (200_000 // len(piece)))
    assert time.process_time() - start < 2
