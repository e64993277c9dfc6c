"""Dataset -> the same messages with innocent text below their own, as padded spam has it.

For a reflex that text is the union of two messages' words, so no message needs to be written and
read anew.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Hashes
from winnow.training.dataset import Dataset, Rows, packed


def padded(whole: Dataset, openings: Dataset, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Add the words of some ham to each message.

    Args:
        whole: with ham among it.
        openings: the same rows by their openings alone; as the whole where it is no longer.
        seed: of the choice of the ham.

    Returns:
        The same rows, and what their openings are then: a message that is no longer than one
        begins with the other's words, too. Traits and raw bytes are those of the message itself.
    """
    ham = np.flatnonzero(~whole.spam)
    below = np.random.default_rng(seed).choice(ham, len(whole))
    words, begins = whole.experts[0], openings.experts[0]
    short = np.diff(words.ends) == np.diff(begins.ends)
    everywhere = np.ones(len(whole), dtype=np.bool_)
    return _with(whole, below, everywhere), _with(openings, below, short)


def _with(dataset: Dataset, below: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Dataset:
    words, grams, traits, stream = dataset.experts
    return replace(
        dataset,
        experts=(_joined(words, below, chosen), _joined(grams, below, chosen), traits, stream),
    )


def _joined(rows: Rows, below: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Rows:
    def one(row: int) -> Hashes:
        both: Hashes = np.union1d(rows[row], rows[int(below[row])])
        return both

    return packed([one(row) if chosen[row] else rows[row] for row in range(len(below))])
