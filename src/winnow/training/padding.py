"""Dataset -> the same messages with innocent text below their own, as padded spam has it.

For a reflex that text is the union of two messages' words, so no message needs to be written and
read anew.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from winnow.training.dataset import Dataset, packed


def padded(dataset: Dataset, seed: int = 0) -> Dataset:
    """Add the words of some ham to each message.

    Args:
        dataset: with ham among it.
        seed: of the choice of the ham.

    Returns:
        The same rows; traits and raw bytes are those of the message itself.
    """
    ham = np.flatnonzero(~dataset.spam)
    below = np.random.default_rng(seed).choice(ham, len(dataset)).tolist()
    words, grams, *rest = dataset.experts
    both = [
        packed([np.union1d(rows[row], rows[other]) for row, other in enumerate(below)])
        for rows in (words, grams)
    ]
    return replace(dataset, experts=(both[0], both[1], rest[0], rest[1]))
