"""What parts of a message moved a reader, found by reading it again without them.

For readers that do not say what each token added. Half of the message is taken out, then the other
half; the half that moved the answer more is halved in turn. So eight readings, whatever the length,
lead to a sixteenth of the message, where the words are that are tried one by one as reasons.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from winnow.errors import ReaderError
from winnow.tokens import Tokens

_HALVINGS = 4


def occluded(
    tokens: Tokens, value: float, side: float, read: Callable[[Tokens], float]
) -> tuple[float, ...]:
    """Roughly what each token added to the log-odds, (t,); 0 where nobody could tell.

    Args:
        tokens: of a message; the first and the last are of the tokenizer and stay.
        value: the reader's log-odds for them.
        side: 1 or -1: where to look closer, for what raised or what lowered them.
        read: the reader's log-odds for what is left.
    """
    shares = np.zeros(len(tokens.ids))
    start, end = 1, len(tokens.ids) - 1
    for _ in range(_HALVINGS):
        if end - start < 2:
            break
        middle = (start + end) // 2
        halves = ((start, middle), (middle, end))
        try:
            moved = [value - read(_without(tokens, *half)) for half in halves]
        except ReaderError:
            break
        for (first, after), by in zip(halves, moved, strict=True):
            shares[first:after] = by / (after - first)
        start, end = halves[0] if side * moved[0] >= side * moved[1] else halves[1]
    return tuple(shares.tolist())


def _without(tokens: Tokens, start: int, end: int) -> Tokens:
    kept = np.ones(len(tokens.ids), dtype=bool)
    kept[start:end] = False
    return tokens.only(kept)
