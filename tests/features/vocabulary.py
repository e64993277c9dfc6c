"""A small vocabulary of pieces, for the tests of what the reader reads."""

from __future__ import annotations

import string

from winnow.features.pieces import REQUIRED

LETTERS = tuple(piece for sign in string.ascii_lowercase + "0" for piece in (sign, f"##{sign}"))
WORDS = ("free", "money", "report", "win", "##ner", "##ning", "meeting", "viagra", "prize", "the")
SIGNS = tuple("$!%.,-/:[]#<>_")
PIECES = (*REQUIRED, *LETTERS, *SIGNS, *WORDS)
