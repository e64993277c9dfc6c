"""How much each message counts in training: classes even, large sources held back.

A source of 30,000 messages would otherwise be the only one that is heard. Within each class a
source counts by the square root of its size: more mail still means more, but not in proportion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def importance(
    spam: NDArray[np.bool_],
    sources: NDArray[np.int64],
    *,
    power: float = 0.5,
    even_classes: bool = True,
) -> F64:
    """Weight of each message, mean 1.

    Args:
        spam: (n,) labels.
        sources: (n,) index of each message's source.
        power: a source of m messages of a class counts m ** power; 1 makes messages equal.
        even_classes: give both classes the same total.
    """
    weights = np.ones(len(spam))
    for source in np.unique(sources):
        for label in (False, True):
            group = (sources == source) & (spam == label)
            if group.any():
                weights[group] = float(group.sum()) ** (power - 1)
    if even_classes and spam.any() and not spam.all():
        for label in (False, True):
            weights[spam == label] /= weights[spam == label].sum()
    result: F64 = weights * (len(spam) / weights.sum())
    return result
