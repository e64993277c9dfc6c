"""Text -> words: one normal form for what people write and for what spammers write around it.

Words are runs of letters and digits; a few signs that carry meaning in mail ("$", "!", "%") are
words of their own; digits count by shape ("2,199" is "0", ",", "000" -> "0 000"), because a number
seen once tells nothing; scripts written without spaces are read sign by sign.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.features.hashing import I64, MAX_BYTES, U8, U64, hash_spans

# Zero-width and bidirectional marks, soft hyphen, variation selectors: invisible inside words.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af])")


_ALONE = 2  # class of signs that are words of their own


def _sign_classes() -> U8:
    table = np.zeros(256, dtype=np.uint8)
    for byte in range(256):
        if (chr(byte).isascii() and chr(byte).isalnum()) or byte >= 0x80:
            table[byte] = 1
        elif chr(byte) in "$!%?":
            table[byte] = _ALONE
    return table


def _digit_shape() -> U8:
    table = np.arange(256, dtype=np.uint8)
    table[ord("0") : ord("9") + 1] = ord("0")
    return table


_CLASS = _sign_classes()
_SHAPE = _digit_shape()


# Signs beyond the Latin letters, and the soft hyphen: only texts with some need a closer look.
FAR = re.compile("[\u00ad\u0250-\U0010ffff]")
# Normalising sorts combining marks, in time that grows with the square of a run of them; no script
# needs more than 30 (the Stream-Safe Text Format of UAX #15). None of them is a word character.
_FAR_RUN = re.compile("[\u0300-\U0010ffff]{31}")
_LONG_RUN = re.compile(r"([^\w\s\x00-\x7f]{30})[^\w\s\x00-\x7f]+")


def normalise(text: str) -> str:
    """Lower-case, compatibility forms folded, invisible signs dropped, unspaced scripts spaced."""
    if text.isascii():
        return text.lower()
    if not FAR.search(text):
        return unicodedata.normalize("NFKC", text).lower()
    text = INVISIBLE.sub("", text)
    if _FAR_RUN.search(text):
        text = _LONG_RUN.sub(r"\1", text)
    folded = unicodedata.normalize("NFKC", text).lower()
    return _UNSPACED.sub(r" \1 ", folded)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one text, in order.

    Attributes:
        data: normalised text as UTF-8.
        starts: (w,) first byte of each word.
        ends: (w,) first byte after each word.
        hashes: (w,) 64-bit hash of each word, digits by shape.
    """

    data: bytes
    starts: I64
    ends: I64
    hashes: U64

    def __getitem__(self, index: int) -> str:
        """The word as text."""
        return self.data[self.starts[index] : self.ends[index]].decode("utf-8", "replace")

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, first: int) -> Words:
        """The words from an index on."""
        return Words(self.data, self.starts[first:], self.ends[first:], self.hashes[first:])

    def only(self, kept: NDArray[np.bool_]) -> Words:
        """The marked words, (w,)."""
        return Words(self.data, self.starts[kept], self.ends[kept], self.hashes[kept])

    def grams(self, chosen: I64 | slice, length: int) -> U64:
        """n-grams of some of the words, joined by single spaces, as packed bytes.

        Args:
            chosen: indices of the words, or a slice.
            length: bytes of one gram, at most 8.

        Returns:
            (m,) one integer per position; empty when the text is shorter than one gram.
        """
        starts, ends = self.starts[chosen], self.ends[chosen]
        lengths = ends - starts + 1
        total = int(lengths.sum())
        if total < length:
            return np.zeros(0, dtype=np.uint64)
        offsets = np.cumsum(lengths) - lengths
        source = np.arange(total) + np.repeat(starts - offsets, lengths)
        joined = np.frombuffer(self.data + b" ", dtype=np.uint8)[source]
        joined = _SHAPE[joined].astype(np.uint64)
        joined[offsets + lengths - 1] = 32
        grams: U64 = joined[: total - length + 1].copy()
        for offset in range(1, length):
            grams |= joined[offset : total - length + 1 + offset] << np.uint64(8 * offset)
        return grams


def words_of(text: str) -> Words:
    """Split text into words and hash them; what is beyond MAX_BYTES of UTF-8 is left out."""
    data = normalise(text).encode("utf-8", "replace")[:MAX_BYTES]
    signs = np.frombuffer(data, dtype=np.uint8)
    kind = np.zeros(len(signs) + 2, dtype=np.uint8)
    np.take(_CLASS, signs, out=kind[1:-1])
    change = kind[1:] != kind[:-1]
    alone = kind == _ALONE
    inside = kind[1:-1] != 0
    starts = np.flatnonzero((change[:-1] | alone[1:-1]) & inside)
    ends = np.flatnonzero((change[1:] | alone[1:-1]) & inside) + 1
    return Words(data, starts, ends, hash_spans(_SHAPE[signs], starts, ends))
