"""What the reader reads of a message: its length, its fields, and what is left without a thing."""

from __future__ import annotations

import json
import time
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.features.messages import message, parsed_messages
from tests.features.vocabulary import PIECES
from winnow.errors import InputError
from winnow.features import Named, Tokenizer, read_content
from winnow.features.tokens import LONGEST, SHORTEST, texts_of
from winnow.message import Address, Link, Message
from winnow.tokens import FIELDS, HIDDEN, SUBJECT, TEXT, Tokens, same

TOKENIZER = Tokenizer(PIECES, 64, "form")
WORDS = ("free", "money", "winner", "winning", "win", "report", "$", "ж", "prize24")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
LIMITS = st.sampled_from([SHORTEST, 17, 31, 64, LONGEST])


def _read(parsed: Message, tokenizer: Tokenizer = TOKENIZER) -> Tokens:
    return tokenizer.read(parsed, read_content(parsed))


def _shown(tokens: Tokens) -> dict[str, str]:
    """The pieces of each field that is there, as text."""
    pairs = zip(tokens.fields.tolist(), tokens.ids.tolist(), strict=True)
    return {
        FIELDS[field]: " ".join(PIECES[index] for _, index in group)
        for field, group in groupby(pairs, key=lambda pair: pair[0])
    }


def test_each_part_of_a_message_is_in_its_field() -> None:
    """Subject, name, links, text and hidden text, in this order and each marked as what it is."""
    parsed = message(
        subject="[list] Free money",
        sender=Address("The Prize", "winner@prize.example"),
        links=(Link("http://www.meeting.test/x", "www.meeting.test", ""),) * 2,
        text="See the report.",
        hidden="winning",
    )
    assert _shown(_read(parsed)) == {
        "subject": "[CLS] free money [SEP]",
        "name": "the prize [SEP]",
        "links": "meeting . t ##e ##s ##t [SEP]",
        "text": "s ##e ##e the report . [SEP]",
        "hidden": "win ##ning [SEP]",
    }


def test_the_address_of_the_sender_is_not_read() -> None:
    """The reflex has it; with it the reader would learn corpora by heart."""
    parsed = message(sender=Address("", "winner@prize.example"))
    assert same(_read(parsed), _read(message(sender=Address("", "ann@shop.example"))))


@given(parsed_messages(), LIMITS)
def test_any_message_fits(parsed: Message, limit: int) -> None:
    """At most the tokens that the reader has places for, at least one, ids and fields alike."""
    tokens = _read(parsed, Tokenizer(PIECES, limit))
    assert 1 <= len(tokens.ids) <= limit
    assert tokens.ids.shape == tokens.fields.shape
    assert tokens.ids.dtype == tokens.fields.dtype == np.int64
    assert tokens.ids[0] == TOKENIZER.pieces.cls
    assert tokens.ids.max() < len(PIECES)
    fields = tokens.fields.tolist()
    assert fields == sorted(fields)


@given(st.lists(TEXTS, min_size=5, max_size=5), LIMITS)
def test_a_field_that_is_there_ends_with_a_separator(texts: list[str], limit: int) -> None:
    """However full the input is, the reader sees where each field ends."""
    tokens = Tokenizer(PIECES, limit).assemble(texts)
    ends = np.flatnonzero(np.diff(tokens.fields, append=len(FIELDS)))
    for end in ends.tolist():
        if end:
            assert tokens.ids[end] == TOKENIZER.pieces.sep
    assert (tokens.ids == TOKENIZER.pieces.sep).sum() == sum(end > 0 for end in ends.tolist())
    there = {field for field, text in enumerate(texts) if text} | {SUBJECT}
    assert set(tokens.fields.tolist()) == there


@pytest.mark.parametrize("limit", [SHORTEST, 64, 128, LONGEST])
def test_no_field_crowds_out_the_text(limit: int) -> None:
    """Hidden text and a long subject are a way to push what is said out of sight: half stays."""
    full = "free " * 2_000
    tokens = Tokenizer(PIECES, limit).assemble([full] * 5)
    counts = np.bincount(tokens.fields, minlength=5)
    assert len(tokens.ids) == limit
    assert counts[TEXT] >= limit // 2 - 5
    assert counts[HIDDEN] == limit // 8 + 1
    alone = Tokenizer(PIECES, limit).assemble(["", "", "", full, ""])
    assert len(alone.ids) == limit
    assert (alone.fields == TEXT).sum() == limit - 1


@pytest.mark.parametrize(
    "field", [{"subject": "v i a g r a  " * 50_000}, {"text": " \n" * 200_000 + "free"}]
)
def test_time_does_not_grow_with_the_message(field: dict[str, str]) -> None:
    """Everything is cut before it is read, so that a megabyte costs what a page does."""
    parsed = message(**field)
    start = time.process_time()
    for _ in range(10):
        texts_of(parsed, (), LONGEST)
    assert time.process_time() - start < 0.5
    assert all(len(text) <= 8 * 12 * LONGEST for text in texts_of(parsed, (), LONGEST))


@pytest.mark.parametrize("field", ["text", "hidden"])
def test_blanks_are_looked_through_so_far(field: str) -> None:
    """Words behind pages of blanks are read, behind a book of them not: the work has an end."""
    pages, book = " " * 64 * 80 + "free", " " * 64 * 100 + "free"
    index = FIELDS.index(field)
    assert texts_of(message(**{field: pages}), (), 64)[index] == "  free"
    assert texts_of(message(**{field: book}), (), 64)[index] == "  "


def test_spaced_out_words_of_a_text_stay_apart() -> None:
    """Two blanks between them are two still; line ends and runs of blanks are not text."""
    parsed = message(text="v i a g r a  m o n e y\n\n\n  free \t  now")
    assert texts_of(parsed, (), 64)[TEXT] == "viagra  money  free  now"


def test_what_a_list_adds_is_not_read() -> None:
    """Its tag and its footer say nothing of who wrote the mail."""
    footer = "\n" + "_" * 40 + "\nfree money\n"
    parsed = message(subject="[win] the report", text="meeting" + footer)
    assert texts_of(parsed, (), 64)[:1] == ("the report",)
    assert texts_of(parsed, (), 64)[TEXT] == "meeting"


@given(TEXTS, TEXTS, st.sampled_from(["free", "win", "winner", "ж", "prize24", "$"]))
def test_without_a_word_is_the_message_without_it(subject: str, text: str, word: str) -> None:
    """A reason is true of the word that it names: "win" is not cut out of "winner"."""
    tokenizer = Tokenizer(PIECES, LONGEST)
    texts = [f"the {subject}", "", "", f"the {text}", ""]
    rest = [" ".join(w for w in said.split() if w != word) for said in texts]
    whole = tokenizer.assemble([said.replace("24", "00") for said in texts])
    left = tokenizer.without(Named("word", word, 0), whole)
    assert same(left, tokenizer.assemble([said.replace("24", "00") for said in rest]))


def test_without_what_is_not_there_is_the_whole() -> None:
    """Traits, unknown words and no word at all take nothing away."""
    whole = TOKENIZER.assemble(["free money", "", "", "the report", ""])
    for thing in (Named("trait", "free", 0), Named("word", "zz", 0), Named("word", "", 0)):
        assert same(TOKENIZER.without(thing, whole), whole)


def test_without_a_link_its_host_is_gone() -> None:
    """A host is several pieces, which go together, wherever it is named."""
    tokenizer = Tokenizer(PIECES, 128)
    whole = tokenizer.assemble(["", "", "win.test free.test", "see free.test now", ""])
    left = tokenizer.without(Named("link", "free.test", 0), whole)
    assert same(left, tokenizer.assemble(["", "", "win.test", "see now", ""]))


def _leading(text: str, shares: dict[str, float], side: float, limit: int = 9) -> list[str]:
    tokens = TOKENIZER.assemble(["", "", "", text, ""])
    given = [shares.get(PIECES[index], 0.0) for index in tokens.ids.tolist()]
    return TOKENIZER.leading_words(tokens, given, side, limit)


def test_the_words_that_moved_the_reader_most_come_first() -> None:
    """All pieces and all occurrences of a word count; those for the other side are not named."""
    shares = {"win": 1.0, "##ner": 0.5, "free": 0.8, "report": -2.0, "the": 0.0, "[SEP]": 9.0}
    text = "winner the free report free"
    assert _leading(text, shares, 1.0) == ["free", "winner"]
    assert _leading(text, shares, 1.0, limit=1) == ["free"]
    assert _leading(text, shares, -1.0) == ["report"]


def test_the_last_word_counts_too() -> None:
    """A message that is cut off ends without a separator."""
    tokens = TOKENIZER.assemble(["", "", "", "free winner", ""])
    cut = Tokens(tokens.ids[:-1], tokens.fields[:-1])
    assert TOKENIZER.leading_words(cut, [0.0, 1.0, 2.0, 2.0], 1.0, 9) == ["winner", "free"]
    empty = TOKENIZER.assemble([""] * 5)
    assert TOKENIZER.leading_words(empty, [1.0], 1.0, 9) == []


def test_a_tokenizer_comes_back_from_its_file() -> None:
    """Pieces keep their ids, and the reader's form and length come with them."""
    back = Tokenizer.from_json(TOKENIZER.to_json())
    assert back.pieces.pieces == PIECES
    assert (back.limit, back.form) == (64, "form")
    assert back.to_json() == TOKENIZER.to_json()


WHOLE: dict[str, Any] = {"form": "f", "limit": 64, "pieces": list(PIECES)}


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"null", b"[]", b"7", b'"pieces"', b"{}", b"\xff\xfe", b"[" * 100_000),
        *(json.dumps({k: v for k, v in WHOLE.items() if k != key}).encode() for key in WHOLE),
        *(json.dumps(WHOLE | {key: None}).encode() for key in WHOLE),
        *(json.dumps(WHOLE | {"limit": bad}).encode() for bad in ("64", 64.0, [64])),
        *(json.dumps(WHOLE | {"pieces": bad}).encode() for bad in ("ab", {}, [1], [*PIECES, 1])),
        b'{"form": "f", "pieces": [], "limit": ' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_tokenizer_is_refused(data: bytes) -> None:
    """A damaged file is told as what it is; the reflex answers alone."""
    with pytest.raises(InputError, match="is not one of Winnow's"):
        Tokenizer.from_json(data)


@pytest.mark.parametrize("limit", [-1, 0, SHORTEST - 1, LONGEST + 1, 10**9])
def test_a_length_out_of_range_is_refused(limit: int) -> None:
    """A file does not make a message cost more than the reader was built for."""
    with pytest.raises(InputError, match="out of range"):
        Tokenizer.from_json(json.dumps(WHOLE | {"limit": limit}).encode())


@pytest.mark.parametrize("pieces", [[], list(PIECES[1:]), [*PIECES, PIECES[-1]]])
def test_a_foreign_vocabulary_is_refused(pieces: list[str]) -> None:
    """Each text must have pieces, and each piece one id."""
    with pytest.raises(InputError, match="the reader's vocabulary has"):
        Tokenizer.from_json(json.dumps(WHOLE | {"pieces": pieces}).encode())
