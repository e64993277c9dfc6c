"""What the features say of one message, as the reflex reads it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is present in one message, as 32-bit hashes, each array sorted and without repeats.

    How many weights there are is for a model to say: one with 2**b weights for a kind of evidence
    looks a hash up by its highest b bits.

    Attributes:
        words: (w,) words and word pairs of subject, names, text, hidden text and links.
        grams: (g,) byte n-grams of the visible text.
        traits: (t,) traits of form.
        stream: (s,) byte n-grams of the raw message.
    """

    words: Hashes
    grams: Hashes
    traits: Hashes
    stream: Hashes

    @property
    def kinds(self) -> tuple[Hashes, Hashes, Hashes, Hashes]:
        """The four arrays, in this order."""
        return self.words, self.grams, self.traits, self.stream

    def to_bytes(self) -> bytes:
        """Pack for the correction log: lengths, then gaps between hashes, deflated."""
        lengths = np.array([len(a) for a in self.kinds], dtype="<u4")
        gaps = [np.diff(a, prepend=np.uint32(0)).astype("<u4") for a in self.kinds]
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


def _from_gaps(gaps: Hashes) -> Hashes:
    hashes = np.cumsum(gaps, dtype=np.int64)
    if np.any(gaps[1:] == 0) or np.any(hashes[-1:] >= 1 << 32):
        raise ValueError("packed evidence is not in order")
    return hashes.astype(np.uint32)
