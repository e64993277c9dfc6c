"""What the reader reads of one message."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]

SUBJECT, NAME, LINKS, TEXT, HIDDEN = range(5)
FIELDS = ("subject", "name", "links", "text", "hidden")


@dataclass(frozen=True, slots=True)
class Tokens:
    """One message as the reader's input.

    Attributes:
        ids: (t,) pieces of words.
        fields: (t,) the field that each piece is of, an index into FIELDS.
    """

    ids: I64
    fields: I64


def same(one: Tokens, other: Tokens) -> bool:
    """Whether two inputs are the same to the reader."""
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.fields, other.fields)
