"""Labelled tokens of many messages, and the order in which training draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.tokens import Tokens

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Batch = dict[str, NDArray[np.generic]]

# Batches are as long as their longest message, in steps of this many tokens: every length is a
# program of its own to compile.
LENGTH_STEP = 32
# Messages of like length are put together within so many batches.
_WINDOW = 24


@dataclass(frozen=True)
class TokenRows:
    """Tokens of n messages.

    Attributes:
        tokens: of each message.
        target: (n,) wanted probability of spam: a label, or what a teacher says.
        weight: (n,) how often each is drawn, in proportion.
    """

    tokens: Sequence[Tokens]
    target: F32
    weight: F64

    def __len__(self) -> int:
        return len(self.tokens)


def draw_order(rows: TokenRows, draws: int, batch: int, seed: int) -> list[I64]:
    """Which rows each step of training reads.

    Each row is drawn as often as its weight asks, rounded up or down at random; the same seed
    gives the same order, which is what lets training go on after a stop.

    Returns:
        One array of at most `batch` rows a step; rows of like length are together.
    """
    random = np.random.default_rng(seed)
    wanted = rows.weight * (draws / rows.weight.sum())
    counts = np.floor(wanted + random.random(len(wanted))).astype(np.int64)
    order = random.permutation(np.repeat(np.arange(len(rows)), counts))
    lengths = np.array([len(tokens.ids) for tokens in rows.tokens])
    batches = []
    for start in range(0, len(order), batch * _WINDOW):
        window = order[start : start + batch * _WINDOW]
        window = window[np.argsort(lengths[window], kind="stable")]
        cuts = np.arange(batch, len(window), batch)
        parts = np.split(window, cuts)
        batches += [parts[index] for index in random.permutation(len(parts))]
    return [part for part in batches if len(part)]


def batch_of(rows: TokenRows, members: I64, most: int | None = None) -> Batch:
    """Arrays of some rows for the network, padded to a common length.

    Args:
        rows: all of them.
        members: which.
        most: tokens that the network has positions for; nothing is padded beyond.
    """
    chosen = [rows.tokens[row] for row in members.tolist()]
    longest = max(len(tokens.ids) for tokens in chosen)
    length = -(-longest // LENGTH_STEP) * LENGTH_STEP
    if most is not None:
        length = min(length, most)
    ids = np.zeros((len(chosen), length), dtype=np.int32)
    fields, mask = np.zeros_like(ids), np.zeros_like(ids)
    for index, tokens in enumerate(chosen):
        ids[index, : len(tokens.ids)] = tokens.ids
        fields[index, : len(tokens.ids)] = tokens.fields
        mask[index, : len(tokens.ids)] = 1
    return {
        "ids": ids,
        "fields": fields,
        "mask": mask,
        "target": rows.target[members],
    }


def by_length(rows: TokenRows, batch: int) -> Iterator[I64]:
    """All rows, once, those of like length together: for answering."""
    order = np.argsort([len(tokens.ids) for tokens in rows.tokens], kind="stable")
    for start in range(0, len(order), batch):
        yield order[start : start + batch]
