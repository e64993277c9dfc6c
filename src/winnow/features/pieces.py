"""Text -> pieces of words: the reader's tokenizer.

WordPiece, the greedy longest match of BERT's vocabularies, with two changes. Text comes in a
normal form that undoes what is written around filters, and a sign that the vocabulary does not
have is spelt as its UTF-8 bytes, so that every script has pieces and there is no unknown word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from winnow.errors import InputError
from winnow.features.text import normalise

CLS, SEP, PAD = "[CLS]", "[SEP]", "[PAD]"
SPECIAL = (PAD, CLS, SEP)
BYTES = tuple(f"<0x{byte:02x}>" for byte in range(256))
REQUIRED = (*SPECIAL, *BYTES)

# A word's first pieces tell it; random strings and addresses shall not fill the whole input.
WORD_CHARS = 24
WORD_PIECES = 6

WORD = re.compile(r"[^\W_]+|[^\w\s]|_")
_REPEATED_SIGN = re.compile(r"([^\w\s]|_)\1\1+")
_LONG_NUMBER = re.compile("0{5,}")
# "v1agra": a digit between letters stands for the letter it looks like.
_LEET = re.compile(r"(?<=[^\W\d_])[01345](?=[^\W\d_])")
_LETTER = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s"}
_DIGITS = str.maketrans("123456789", "000000000")
# "v i a g r a", "v.1.a.g.r.a": four or more single letters, or digits that stand for letters, held
# apart by one sign each.
_SPACED = re.compile(
    r"(?<![^\W_])[^\W\d_](?:([ .*_-])(?:[^\W\d_]|[01345]))"
    r"(?:\1(?:[^\W\d_]|[01345])){1,40}\1[^\W\d_](?![^\W_])"
)
_NOT_LETTER = re.compile(r"[\W_]+")
# Letters of other alphabets that look like Latin ones, folded in words that have both.
_LOOK_ALIKE = str.maketrans(
    "авекмнорстухіјѕԁԛԝһɡьαβεηικμνορτυχγωѵ",
    "abekmhopctyxijsdqwhgbabenikmvoptuxywv",
)
_LATIN = re.compile("[a-z]")
_FOLDABLE = re.compile("[\u0261\u0370-\u052f]")


def plain(text: str) -> str:
    """Text in the reader's normal form: as BERT's uncased one, with tricks undone.

    Lower case, no accents, no invisible signs; spaced-out words joined; look-alike letters folded
    in words of two alphabets, and digits among letters; other digits by shape ("2019" is "0000"),
    since numbers tell the year of a corpus and little else; a sign repeated three times or more
    is there twice.
    """
    text = normalise(text)
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFD", text) if not _is_accent(c))
    text = _SPACED.sub(lambda found: _NOT_LETTER.sub("", found[0]), text)
    if _FOLDABLE.search(text):
        text = WORD.sub(_folded, text)
    text = _LEET.sub(lambda found: _LETTER[found[0]], text)
    text = _REPEATED_SIGN.sub(r"\1\1", text)
    return _LONG_NUMBER.sub("0000", text.translate(_DIGITS))


def _is_accent(sign: str) -> bool:
    return sign >= "\u0300" and unicodedata.category(sign) == "Mn"


def _folded(found: re.Match[str]) -> str:
    word = found[0]
    return word.translate(_LOOK_ALIKE) if _LATIN.search(word) and not word.isascii() else word


class Pieces:
    """A vocabulary of pieces, "##" before those that continue a word, and the way to them.

    Attributes:
        pieces: their texts; a piece's place is its id.
        ids: the other way.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = tuple(pieces)
        self.ids = {piece: index for index, piece in enumerate(self.pieces)}
        missing = [piece for piece in REQUIRED if piece not in self.ids]
        if missing or len(self.ids) != len(self.pieces):
            what = f"no piece {missing[0]!r}" if missing else "a piece twice"
            raise InputError(f"the reader's vocabulary has {what}; it is not one of Winnow's.")
        self.cls, self.sep = self.ids[CLS], self.ids[SEP]
        self._bytes = [self.ids[piece] for piece in BYTES]
        self._word = lru_cache(maxsize=32_768)(self._pieces_of)

    def of(self, text: str, limit: int) -> list[int]:
        """Ids of the first pieces of a text in normal form, at most `limit`."""
        found: list[int] = []
        for word in WORD.finditer(text):
            found += self._word(word[0][:WORD_CHARS])
            if len(found) >= limit:
                break
        return found[:limit]

    def _pieces_of(self, word: str) -> tuple[int, ...]:
        found: list[int] = []
        start = 0
        while start < len(word) and len(found) < WORD_PIECES:
            for end in range(len(word), start, -1):
                known = self.ids.get(("##" if start else "") + word[start:end])
                if known is not None:
                    found.append(known)
                    start = end
                    break
            else:
                encoded = word[start].encode("utf-8", "replace")
                found += [self._bytes[byte] for byte in encoded]
                start += 1
        return tuple(found)


def words_in(text: str) -> Iterator[str]:
    """The words that pieces are made of, of a text in normal form."""
    for word in WORD.finditer(text):
        yield word[0][:WORD_CHARS]


def kept_pieces(
    vocabulary: Sequence[str], texts: Iterable[str], size: int, fewest: int = 2
) -> list[str]:
    """Choose the pieces of a larger vocabulary that some texts use most.

    Args:
        vocabulary: of a WordPiece model, uncased.
        texts: in normal form.
        size: how many pieces to return, with the special ones.
        fewest: how often a piece must occur.

    Returns:
        Pieces: the special ones, bytes, single ASCII signs, then the most used ones.
    """
    special = [*REQUIRED]
    known = dict.fromkeys([*vocabulary, *special])
    whole = Pieces(list(known))
    counts = [0] * len(known)
    for text in texts:
        for piece in whole.of(text, len(text)):
            counts[piece] += 1
    signs = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    letters = [s for c in signs for s in ((c, f"##{c}") if c.isalnum() else (c,)) if s in known]
    order = sorted(range(len(known)), key=lambda index: (-counts[index], index))
    used = [whole.pieces[index] for index in order if counts[index] >= fewest]
    return list(dict.fromkeys([*special, *letters, *used]))[:size]
