"""What moved a reader that does not tell: found by few readings, whatever the length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.errors import ReaderError
from winnow.features.occlusion import occluded
from winnow.tokens import Tokens

MOST_READINGS = 8


def _tokens(length: int) -> Tokens:
    ids = np.arange(length, dtype=np.int64)
    return Tokens(ids, np.zeros(length, dtype=np.int64))


class Largest:
    """A reader that says the largest score of its tokens, and counts how often it is asked."""

    def __init__(self, scores: dict[int, float], rest: float = 0.0) -> None:
        self.scores = scores
        self.rest = rest
        self.asked: list[list[int]] = []

    def read(self, tokens: Tokens) -> float:
        """Answer for what is left."""
        ids = tokens.ids.tolist()
        self.asked.append(ids)
        return max([self.scores.get(one, self.rest) for one in ids], default=0.0)


@pytest.mark.parametrize("length", [18, 64, 130, 512])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_the_token_that_moved_it_is_among_the_first(length: int, part: float) -> None:
    """Of all tokens a sixteenth has the largest share, and the one is in it."""
    place = int(part * length)
    reader = Largest({place: 5.0})
    shares = occluded(_tokens(length), 5.0, 1.0, reader.read)
    assert len(shares) == length
    assert shares[place] == max(shares) > 0
    assert sum(share == shares[place] for share in shares) <= length / 16 + 1
    assert len(reader.asked) <= MOST_READINGS


def test_a_short_message_is_told_apart_word_by_word() -> None:
    """By what the answer loses, exactly."""
    reader = Largest({2: 3.0}, rest=-1.0)
    assert occluded(_tokens(6), 3.0, 1.0, reader.read) == (0.0, 0.0, 4.0, 0.0, 0.0, 0.0)


def test_what_spoke_against_spam_is_found_on_the_other_side() -> None:
    """Where the answer is ham, what lowered it is looked for."""

    def read(tokens: Tokens) -> float:
        return -6.0 if 40 in tokens.ids.tolist() else 1.0

    shares = occluded(_tokens(64), -6.0, -1.0, read)
    assert shares[40] == min(shares) < 0


@given(st.integers(0, 4))
def test_too_little_to_halve_is_not_read_again(length: int) -> None:
    """Without a word there is nothing to ask about; the tokenizer's own tokens stay."""
    reader = Largest({})
    shares = occluded(_tokens(length), 0.0, 1.0, reader.read)
    assert len(shares) == length
    assert len(reader.asked) == (2 if length == 4 else 0)


def test_the_first_and_the_last_token_are_always_read() -> None:
    """No graph is asked for a text without its special tokens."""
    reader = Largest({7: 1.0})
    occluded(_tokens(33), 1.0, 1.0, reader.read)
    assert all(ids[0] == 0 and ids[-1] == 32 for ids in reader.asked)
    assert all(len(ids) < 33 for ids in reader.asked)


def test_a_reader_that_fails_leaves_what_was_found() -> None:
    """An answer is explained as far as it can be."""
    asked = 0

    def read(tokens: Tokens) -> float:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise ReaderError("out of order")
        return 0.0 if 3 not in tokens.ids.tolist() else 2.0

    shares = occluded(_tokens(34), 2.0, 1.0, read)
    assert shares[1:17] == (2.0 / 16,) * 16
    assert set(shares[17:]) == {0.0}
