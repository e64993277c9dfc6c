"""Message -> tokens, by the tokenizer that an imported classifier was trained with.

    subject, sender's name and visible text, a line each, and around them its special tokens

The file is that of Hugging Face's `tokenizers` library and is read by it: WordPiece, byte-level
BPE, Unigram, whatever it says. Text is given as it is written, since such a classifier knows
capitals and digits; and it is cut before it is tokenized, so that the time for a message is
bounded. What a special token is called is a word like any other in mail: nobody ends a text by
writing "[SEP]".
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from winnow.errors import InputError, ReaderError
from winnow.features.content import Named, Reading
from winnow.features.pieces import WORD
from winnow.features.text import normalise
from winnow.features.tokens import CHARS_PER_TOKEN, LONGEST, SHARES, SHORTEST, cut_texts
from winnow.message import Message
from winnow.tokens import FIELDS, TEXT, Tokens

LARGEST_BYTES = 64 << 20  # of a tokenizer.json; one of 250,000 pieces has 17 MB
DEFAULT_FIELDS = ("subject", "name", "text")
_FROM = "hugging-face"
_BETWEEN = "\n"


@dataclass(frozen=True, slots=True)
class Given:
    """How a message is given to an imported classifier, as reader.json keeps it.

    Attributes:
        limit: most tokens of a message, the special ones among them.
        fields: which of FIELDS it reads, in its order.
    """

    limit: int
    fields: tuple[str, ...] = DEFAULT_FIELDS

    def __post_init__(self) -> None:
        """Refuse what no message could be given by.

        Raises:
            InputError: a limit out of range, or fields that are none or twice.
        """
        if not SHORTEST <= self.limit <= LONGEST:
            raise InputError(f"{self.limit} tokens a message: {SHORTEST} to {LONGEST} can be read.")
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise InputError("name each field of a message that is read, once.")
        unknown = [name for name in self.fields if name not in FIELDS]
        if unknown:
            raise InputError(f"no field {unknown[0]!r}; a message has {', '.join(FIELDS)}.")

    def to_json(self) -> bytes:
        """As the artifact's reader.json."""
        value = {"tokenizer": _FROM, "limit": self.limit, "fields": list(self.fields)}
        return (json.dumps(value) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Given:
        """Inverse of `to_json`.

        Raises:
            InputError: it says something else.
        """
        try:
            value = json.loads(data)
            kind, limit, fields = value["tokenizer"], value["limit"], value["fields"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError("reader.json is not one of Winnow's.") from error
        told = kind == _FROM and type(limit) is int and isinstance(fields, list)
        if not told or not all(isinstance(name, str) for name in fields):
            raise InputError("reader.json is not one of Winnow's.")
        return cls(limit, tuple(fields))


class ForeignTokenizer:
    """A tokenizer of others with the ways of ours (`tokens.Tokenizer`); may be asked in threads.

    Attributes:
        limit: most tokens of a message.
        size: how many pieces the graph must know, its largest id plus one.
        given: how a message is given to it.
    """

    def __init__(self, data: bytes, given: Given, name: str = "tokenizer.json") -> None:
        """Read a tokenizer.json.

        Args:
            data: the file.
            given: how a message is given to it.
            name: of the file, for errors.

        Raises:
            InputError: it is none, or `tokenizers` is not installed.
        """
        self.given = given
        self.limit = given.limit
        try:
            self._made = _held(_loaded, data)
            self._made.no_padding()
            self._made.enable_truncation(max_length=given.limit)
            self._made.encode_special_tokens = True
            self.size = 1 + max(self._made.get_vocab(with_added_tokens=True).values(), default=-1)
            self._encoded("")
        except InputError:
            raise
        except Exception as error:  # the library's errors are bare exceptions
            raise InputError(
                f"{name} is no tokenizer of Hugging Face's `tokenizers` ({_first_line(error)}); "
                "write it with `save_pretrained` of a fast tokenizer."
            ) from error

    @staticmethod
    def normal(word: str) -> str:
        """A word of a message in the form in which `leading_words` names it."""
        return normalise(word)

    def read(self, message: Message, reading: Reading) -> Tokens:
        """Tokens of a parsed message and its content view.

        Raises:
            ReaderError: the library failed on this text.
        """
        return self.assemble(cut_texts(message, reading.hosts, self.limit))

    def assemble(self, texts: Sequence[str]) -> Tokens:
        """Tokens of texts as they are written, in the order of FIELDS.

        Raises:
            ReaderError: the library failed on them.
        """
        chosen, starts, parts = [], [], []
        length = 0
        for field in map(FIELDS.index, self.given.fields):
            chars = int(SHARES.get(field, 1.0) * self.limit * CHARS_PER_TOKEN)
            text = " ".join(texts[field].split())[:chars]
            if text:
                chosen.append(field)
                starts.append(length)
                parts.append(text)
                length += len(text) + len(_BETWEEN)
        # Half of a pair of surrogates, which mail may hold, is no text to the library.
        whole = _BETWEEN.join(parts).encode("utf-8", "replace").decode()
        try:
            encoding = self._encoded(whole)
        except Exception as error:
            raise ReaderError(f"the tokenizer failed: {_first_line(error)}") from error
        spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        places = np.searchsorted(np.array(starts), spans[:, 0], side="right") - 1
        names = np.array(chosen or [TEXT], dtype=np.int64)
        return Tokens(
            np.array(encoding.ids, dtype=np.int64), names[np.maximum(places, 0)], whole, spans
        )

    def without(self, thing: Named, whole: Tokens) -> Tokens:
        """Tokens that are left when every occurrence of one thing is removed.

        As with our own, what was cut off at the end does not move up.
        """
        if thing.kind == "trait":
            return whole
        wanted = WORD.findall(normalise(thing.text))
        gone = np.zeros(len(whole.ids), dtype=bool)
        runs = _runs(whole)
        for start in range(len(runs) - len(wanted) + 1) if wanted else ():
            found = runs[start : start + len(wanted)]
            if [form for form, _ in found] == wanted:
                gone[[place for _, places in found for place in places]] = True
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
        """
        totals: dict[str, float] = {}
        for form, share in zip(_forms(tokens), shares, strict=True):
            if form:
                totals[form] = totals.get(form, 0.0) + side * share
        order = sorted(totals, key=lambda name: -totals[name])
        return [name for name in order[:limit] if totals[name] > 0]

    def _encoded(self, text: str) -> Any:
        found = _held(self._made.encode, text)
        # Without special tokens an empty message has no token, and no graph answers for none.
        return found if found.ids else _held(self._made.encode, ".")


def _runs(tokens: Tokens) -> list[tuple[str, list[int]]]:
    """Words and the places of their pieces, in order; what is of no word is left out."""
    placed = [(form, place) for place, form in enumerate(_forms(tokens)) if form]
    runs = groupby(placed, key=lambda pair: pair[0])
    return [(form, [place for _, place in run]) for form, run in runs]


def _forms(tokens: Tokens) -> list[str]:
    """Normal form of the word that each piece is of, "" where it is of none, (t,).

    A script that is written without spaces has no words, so that each piece is its own.
    """
    words = list(WORD.finditer(tokens.text))
    starts = [word.start() for word in words]
    forms = []
    for first, after in tokens.spans.tolist():
        index = bisect_right(starts, after - 1) - 1  # a piece may begin with the space before it
        if first == after or index < 0 or words[index].end() < after:
            forms.append("")
            continue
        form = normalise(words[index][0]).strip()
        forms.append(normalise(tokens.text[first:after]).strip() if " " in form else form)
    return forms


def _loaded(data: bytes) -> Any:
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES:,} bytes")
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise InputError(
            "an imported reader needs tokenizers, which is not installed; install the extra with "
            "`pip install 'winnow-mail[import]'`."
        ) from error
    return Tokenizer.from_str(data.decode())


def _held(call: Callable[..., Any], *args: Any) -> Any:
    """Call into the library, whose worst failures are no `Exception` (PyO3's panics)."""
    try:
        return call(*args)
    except Exception:
        raise
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
