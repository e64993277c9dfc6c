"""Mail of tokens that a small reader learns in a moment; needs JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.model.tiny import random_weights, small_shape
from winnow.tokens import Tokens
from winnow.training.reader import Schedule, Training
from winnow.training.reader_data import TokenRows

SHAPE = small_shape(layers=1)
# 32 steps for 64 rows, all of 16 messages and 24 tokens, so that one program is compiled.
SCHEDULE = Schedule(draws=512, batch=16, rate=1e-2, look=5, mean_from=0.5)


def toy_rows(count: int, seed: int = 0, *, flipped: bool = False) -> TokenRows:
    """Messages of 4 to 24 tokens: nine in ten of the own half of the pieces, spam the upper."""
    random = np.random.default_rng(seed)
    tokens, target = [], np.zeros(count, dtype=np.float32)
    for row in range(count):
        spam, length = bool(row % 2), int(random.integers(4, SHAPE.positions + 1))
        upper = (random.random(length) < 0.9) == spam
        ids = random.integers(0, SHAPE.pieces // 2, length) + upper * (SHAPE.pieces // 2)
        tokens.append(Tokens(ids, random.integers(0, SHAPE.fields, length)))
        target[row] = spam != flipped
    return TokenRows(tokens, target, np.ones(count))


def training_of(
    rows: TokenRows, schedule: Schedule = SCHEDULE, held_out: TokenRows | None = None
) -> Training:
    """A training that has not begun."""
    return Training(SHAPE, random_weights(SHAPE), rows, schedule, held_out)


def as_bytes(weights: dict[str, Any]) -> dict[str, bytes]:
    """Weights to the last bit."""
    return {name: np.asarray(value).tobytes() for name, value in weights.items()}


def copied(weights: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Weights as they are now."""
    return {name: np.array(value) for name, value in weights.items()}
