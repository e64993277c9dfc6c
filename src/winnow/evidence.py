"""What the features say of one message, as the reflex reads it."""

from __future__ import annotations

import zlib
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

    def to_bytes(self) -> bytes:
        """Pack for the correction log: lengths, then gaps between buckets, deflated."""
        arrays = (self.words, self.grams, self.traits, self.stream)
        lengths = np.array([len(a) for a in arrays], dtype="<u4")
        gaps = [np.diff(a, prepend=np.uint32(0)).astype("<u4") for a in arrays]
        return zlib.compress(lengths.tobytes() + np.concatenate(gaps).tobytes(), 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> Evidence:
        """Inverse of `to_bytes`.

        Raises:
            ValueError: the data is no packed evidence.
        """
        try:
            flat = np.frombuffer(zlib.decompress(data), dtype="<u4")
        except (zlib.error, ValueError) as error:
            raise ValueError("no packed evidence") from error
        ends = np.cumsum(flat[:4].astype(np.int64)) + 4
        if len(flat) < 4 or ends[-1] != len(flat):
            raise ValueError("packed evidence of the wrong length")
        starts = [4, *ends[:-1].tolist()]
        words, grams, traits, stream = (
            _from_gaps(flat[start:end]) for start, end in zip(starts, ends.tolist(), strict=True)
        )
        return cls(words, grams, traits, stream)


def _from_gaps(gaps: Buckets) -> Buckets:
    buckets = np.cumsum(gaps, dtype=np.int64)
    if np.any(gaps[1:] == 0) or np.any(buckets[-1:] >= 1 << 32):
        raise ValueError("packed evidence is not in order")
    return buckets.astype(np.uint32)
