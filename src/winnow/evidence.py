"""What the features say of one message, as the reflex reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Buckets = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Buckets that are present in one message, each array sorted and without repeats.

    Attributes:
        words: (w,) words and word pairs of subject, names, text, hidden text and links.
        grams: (g,) byte n-grams of the visible text; the same space, another salt.
        traits: (t,) traits of form; the same space as `words`, other salts.
        stream: (s,) byte n-grams of the raw message, a space of its own.
    """

    words: Buckets
    grams: Buckets
    traits: Buckets
    stream: Buckets
