"""Text to words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.features.hashing import MAX_BYTES, hash_bytes
from winnow.features.text import normalise, words_of


def _oracle(text: str) -> list[str]:
    """The words as plain Python splits them."""
    pattern = rb"[a-zA-Z0-9\x80-\xff]+|[$!%?]"
    data = normalise(text).encode("utf-8", "replace")
    return [found.decode("utf-8", "replace") for found in re.findall(pattern, data)]


@given(st.text(max_size=200))
def test_words_are_those_of_plain_python(text: str) -> None:
    """Runs of letters and digits, and a few signs alone, in any script, surrogates included."""
    words = words_of(text)
    assert [words[n] for n in range(len(words))] == _oracle(text)


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_hashes_are_those_of_the_words(text: str) -> None:
    """A word's hash is that of its bytes with digits by shape, wherever it stands."""
    words = words_of(text)
    for n in range(len(words)):
        data = words.data[words.starts[n] : words.ends[n]]
        assert int(words.hashes[n]) == hash_bytes(re.sub(rb"[0-9]", b"0", data))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("FREE Money", ["free", "money"]),
        ("vi\u00adag\u200bra", ["viagra"]),
        ("\uff26\uff32\uff25\uff25", ["free"]),
        ("buy!now", ["buy", "!", "now"]),
        ("50%", ["50", "%"]),
        ("\u4f60\u597d", ["\u4f60", "\u597d"]),
        ("don't_stop", ["don", "t", "stop"]),
        ("", []),
        (" \n\0", []),
    ],
)
def test_tricks_are_undone(written: str, read: list[str]) -> None:
    """Invisible signs, wide letters and unspaced scripts are read as a person reads them."""
    words = words_of(written)
    assert [words[n] for n in range(len(words))] == read


def test_numbers_count_by_shape() -> None:
    """Two prices of as many digits are one feature; one of more digits is another."""
    one, two, three = (int(words_of(text).hashes[0]) for text in ("199", "250", "1999"))
    assert one == two != three


@given(st.text(max_size=60), st.integers(1, 8))
def test_grams_are_windows_of_the_joined_words(text: str, length: int) -> None:
    """Oracle: windows over the words joined by one space, the last followed by one."""
    words = words_of(text)
    pieces = [words.data[words.starts[n] : words.ends[n]] for n in range(len(words))]
    joined = b"".join(re.sub(rb"[0-9]", b"0", piece) + b" " for piece in pieces)
    expected = [
        int.from_bytes(joined[i : i + length], "little") for i in range(len(joined) - length + 1)
    ]
    assert words.grams(slice(None), length).tolist() == expected


def test_what_is_too_long_is_cut() -> None:
    """Signs that expand a hundredfold in normal form do not expand the work."""
    assert len(words_of("\ufdfa " * MAX_BYTES).data) <= MAX_BYTES
