"""What the reader reads of one message."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        text: that the pieces were made of, where their ids alone do not tell their words.
        spans: (t, 2) first sign of each piece in that text, and first after it; equal where a
            piece is of no text. (0, 2) without a text.
    """

    ids: I64
    fields: I64
    text: str = ""
    spans: I64 = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    def only(self, kept: NDArray[np.bool_]) -> Tokens:
        """The marked pieces, (t,)."""
        spans = self.spans[kept] if len(self.spans) else self.spans
        return Tokens(self.ids[kept], self.fields[kept], self.text, spans)


def same(one: Tokens, other: Tokens) -> bool:
    """Whether two inputs are the same to the reader."""
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.fields, other.fields)
