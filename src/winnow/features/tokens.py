"""Message -> tokens: what the reader reads, at its exact length.

    [CLS] subject [SEP] sender's name [SEP] linked domains [SEP] visible text [SEP] hidden text

Every token carries the field it is of, so that hidden text is marked as such. The sender's address
is left out, and so are traits of form: the reflex has them, and with them the reader learnt that
modern headers mean ham and missed twice the phishing (docs/decisions/0008).
Everything is cut before it is tokenized: the time for a message is bounded, however long it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import InputError
from winnow.features.content import Named, Reading, without_list_footer, without_list_tag
from winnow.features.pieces import Pieces, plain
from winnow.message import Message
from winnow.tokens import FIELDS, HIDDEN, LINKS, NAME, SUBJECT, TEXT, Tokens

# Share of the tokens that a field may take; what is left is the visible text's.
SHARES = {SUBJECT: 3 / 16, NAME: 1 / 16, LINKS: 1 / 8, HIDDEN: 1 / 8}
CHARS_PER_TOKEN = 12
_SPACE = re.compile(r"\s+")
# Bounds of the most tokens of a message; BERT's own models end at 512.
SHORTEST, LONGEST = 16, 512


class Tokenizer:
    """Pieces, and the most tokens of a message.

    Attributes:
        pieces: of words.
        limit: most tokens of a message, the separators among them.
        form: fingerprint of the texts that the reader was trained on (`reading.text_form`).
    """

    def __init__(self, pieces: Sequence[str], limit: int, form: str = "") -> None:
        self.pieces = Pieces(pieces)
        self.limit = limit
        self.form = form

    @property
    def size(self) -> int:
        """How many pieces the graph must know."""
        return len(self.pieces.pieces)

    def to_json(self) -> bytes:
        """As the artifact's tokenizer.json."""
        value = {"form": self.form, "limit": self.limit, "pieces": self.pieces.pieces}
        return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Tokenizer:
        """Inverse of `to_json`.

        Raises:
            InputError: it is no tokenizer of Winnow's.
        """
        try:
            value = json.loads(data)
            pieces, limit, form = value["pieces"], value["limit"], value["form"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError("tokenizer.json is not one of Winnow's.") from error
        if not (_are_texts(pieces) and isinstance(limit, int) and isinstance(form, str)):
            raise InputError("tokenizer.json is not one of Winnow's.")
        if not SHORTEST <= limit <= LONGEST:
            raise InputError(f"tokenizer.json asks for {limit} tokens a message, out of range.")
        return cls(pieces, limit, form)

    @staticmethod
    def normal(word: str) -> str:
        """A word of a message in the form in which `leading_words` names it."""
        return plain(word)

    def read(self, message: Message, reading: Reading) -> Tokens:
        """Tokens of a parsed message and its content view."""
        return self.assemble(texts_of(message, reading.hosts, self.limit))

    def without(self, thing: Named, whole: Tokens) -> Tokens:
        """Tokens that are left when every occurrence of one thing is removed.

        What was cut off at the end of a long message does not move up: what is asked is what the
        thing did in the answer that was given.
        """
        if thing.kind == "trait":
            return whole
        wanted = self.pieces.of(plain(thing.text), self.limit)
        gone = self._places_of(wanted, whole.ids.tolist())
        return whole.only(~gone)

    def leading_words(
        self, tokens: Tokens, shares: Sequence[float], side: float, limit: int
    ) -> list[str]:
        """Words to whose pieces the reader gave most, the first one most.

        Args:
            tokens: of a message.
            shares: (t,) what each of them added to the log-odds.
            side: 1 or -1; the largest side * share come first, those above 0 only.
            limit: how many words at most.

        Returns:
            Words in the reader's normal form, as far as their pieces tell them.
        """
        totals: dict[str, float] = {}
        word, total = "", 0.0
        special = (self.pieces.cls, self.pieces.sep)
        for piece, share in [*zip(tokens.ids.tolist(), shares, strict=True), (special[0], 0.0)]:
            text = self.pieces.pieces[piece]
            if word and not text.startswith("##"):
                totals[word] = totals.get(word, 0.0) + side * total
                word, total = "", 0.0
            if piece not in special:
                word, total = word + text.removeprefix("##"), total + share
        order = sorted(totals, key=lambda name: -totals[name])
        return [name for name in order[:limit] if totals[name] > 0]

    def assemble(self, texts: Sequence[str]) -> Tokens:
        """Tokens of texts in normal form, in the order of FIELDS."""
        ids, fields = [self.pieces.cls], [SUBJECT]
        found = {
            field: self.pieces.of(texts[field], int(share * self.limit))
            for field, share in SHARES.items()
        }
        kept = sum(len(pieces) + 1 for pieces in found.values() if pieces)
        found[TEXT] = self.pieces.of(texts[TEXT], max(0, self.limit - kept - 2))
        for field in range(len(FIELDS)):
            if found[field]:
                ids += [*found[field], self.pieces.sep]
                fields += [field] * (len(found[field]) + 1)
        return Tokens(
            np.array(ids[: self.limit], dtype=np.int64),
            np.array(fields[: self.limit], dtype=np.int64),
        )

    def _places_of(self, wanted: list[int], ids: list[int]) -> NDArray[np.bool_]:
        """Which of the pieces belong to an occurrence of whole words, given as pieces, (t,)."""
        gone = np.zeros(len(ids), dtype=bool)
        size = len(wanted)
        for start in range(len(ids) - size + 1) if size else ():
            end = start + size
            if ids[start:end] != wanted:
                continue
            if end == len(ids) or not self.pieces.pieces[ids[end]].startswith("##"):
                gone[start:end] = True
        return gone


def texts_of(message: Message, hosts: Sequence[str], limit: int) -> tuple[str, ...]:
    """The fields' texts in normal form, in the order of FIELDS, cut to what `limit` can hold."""
    return tuple(plain(text) for text in cut_texts(message, hosts, limit))


def cut_texts(message: Message, hosts: Sequence[str], limit: int) -> tuple[str, ...]:
    """The fields' texts as they are written, in the order of FIELDS, cut likewise."""
    chars = limit * CHARS_PER_TOKEN
    return (
        without_list_tag(message.subject[:chars]),
        message.sender.name[:chars],
        " ".join(hosts)[:chars],
        _close(without_list_footer(message.text[: 8 * chars]))[:chars],
        _close(message.hidden[: 8 * chars])[:chars],
    )


def _close(text: str) -> str:
    """Runs of white space become one space; but two stay two, which keep spaced-out words apart."""
    return _SPACE.sub(_shorter, text)


def _shorter(found: re.Match[str]) -> str:
    return " " if len(found[0]) == 1 else "  "


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
