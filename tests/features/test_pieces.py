"""Text in the reader's normal form, and its pieces."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.features.vocabulary import PIECES
from winnow.errors import InputError
from winnow.features.pieces import (
    BYTES,
    REQUIRED,
    SPECIAL,
    WORD_CHARS,
    WORD_PIECES,
    Pieces,
    kept_pieces,
    plain,
    words_in,
)

VOCABULARY = Pieces(PIECES)
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)
# Letters, signs that hold words apart, digits, look-alikes and marks close together.
ODD_TEXT = st.text("abи\u043e1305 .-_*!\u0301\u0323\u200b\u00adéИßÅ発국", max_size=40)


def _shown(text: str, limit: int = 100) -> list[str]:
    """The pieces of a text as text."""
    return [VOCABULARY.pieces[index] for index in VOCABULARY.of(plain(text), limit)]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("FREE Money", "free money"),
        ("Café señor Überweisung", "cafe senor uberweisung"),
        ("\uff26\uff32\uff25\uff25 \u2460", "free 0"),
        ("vi\u200bag\u00adra\u2060", "viagra"),
        ("v i a g r a", "viagra"),
        ("v.1.a.g.r.a", "viagra"),
        ("v \u0456 a g r a", "viagra"),
        ("p\u0430yp\u0430l\u0301", "paypal"),
        ("x 1 3 4 5", "x 0 0 0 0"),
        ("v.i.a.g.r.a now", "viagra now"),
        ("v-i-a-g-r-a", "viagra"),
        ("V_I_A_G_R_A", "viagra"),
        ("v*i*a*g*r*a", "viagra"),
        ("buy v i a g r a  c h e a p", "buy viagra  cheap"),
        ("v1agra c4sin0 pr1ze", "viagra casin0 prize"),
        ("v\u0456\u0430gr\u0430", "viagra"),  # three Cyrillic letters
        ("\u03a1ay\u03a1al", "paypal"),  # a Greek one, twice
        ("бесплатно", "бесплатно"),
        ("Ελλάδα", "ελλαδα"),
        ("in 2019, 1,000,000 of 123456789", "in 0000, 0,000,000 of 0000"),
        ("!!!!!! $$ ----", "!! $$ --"),
    ],
)
def test_the_normal_form_undoes_what_is_written_around_filters(written: str, normal: str) -> None:
    """One word has one form, however it is dressed up; other scripts keep their letters."""
    assert plain(written) == normal


@pytest.mark.parametrize(
    "text",
    [
        *("a b c", "e.g. this", "u. s. a.", "i am a b c0", "to-do", "x-y-z", "a.b,c.d"),
        *("the a b team", "mp 0 player", "0a 0b", "снег and snow", "r n d a0"),
    ],
)
def test_what_is_no_trick_stays(text: str) -> None:
    """Short lists, abbreviations and numbers are read as they were written."""
    assert plain(text) == text


@given(ANY_TEXT | ODD_TEXT)
def test_the_normal_form_has_no_case_accent_or_other_digit(text: str) -> None:
    """What the vocabulary was counted in is all that the reader ever meets."""
    normal = plain(text)
    assert not re.search(r"[1-9]|0{5}|[\u0300-\u036f\u200b-\u200f\u00ad\ufeff]", normal)
    assert normal == normal.lower()
    assert not [sign for sign in normal if unicodedata.category(sign) == "Mn"]
    assert not re.search(r"([!-/:-@\[-`{-~])\1\1", normal)


@given(ANY_TEXT | ODD_TEXT)
def test_a_normal_form_stays_as_it_is(text: str) -> None:
    """Words found in normal text are looked up in normal text; not where two tricks are one."""
    bare = unicodedata.normalize("NFKD", text)
    bare = "".join(sign for sign in bare if unicodedata.category(sign) != "Mn")
    normal = plain(re.sub(r"[\d_*.\-\u0370-\u052f]", "!", bare))
    assert "".join(plain(normal).split()) == "".join(normal.split())


@given(st.text("abcdefghxyz", min_size=4, max_size=40), st.sampled_from(" .*_-"))
def test_spaced_out_words_are_joined(word: str, sign: str) -> None:
    """Any word of four letters or more, by any of the signs."""
    assert plain(f"now {sign.join(word)}, ok") == f"now {word}, ok"


@given(st.text("abcdefgh", min_size=2, max_size=12), st.data())
def test_invisible_signs_do_not_count(word: str, data: st.DataObject) -> None:
    """Wherever they stand, and however many."""
    at = data.draw(st.integers(0, len(word)))
    signs = data.draw(st.text("\u200b\u200c\u200d\u2060\u00ad\ufeff\ufe0f", max_size=5))
    assert plain(word[:at] + signs + word[at:]) == word


HOSTILE = {
    "letters": "a" * 100_000,
    "spaced letters": "a " * 50_000,
    "dotted letters": "a." * 50_000,
    "runs of spaced letters": "a b c " * 17_000,
    "letters and digits": "a1" * 50_000,
    "digits": "1" * 100_000,
    "one sign": "!" * 100_000,
    "blanks": " " * 100_000,
    "low lines": "_" * 100_000,
    "marks": "a" + "\u0301" * 100_000,
    "marks out of order": "a" + "\u0301\u0323" * 50_000,
    "marks that are two": "a" + "\u0344" * 100_000,
    "marks of the astral planes": "a" + "\U0001d165" * 100_000,
    "two alphabets": "a\u03b1" * 50_000,
    "letters with marks": "\u1f82" * 100_000,
    "syllables": "국" * 100_000,
    "long compatibility forms": "\ufdfa" * 20_000,
    "invisible signs": "\u200b" * 100_000,
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_text_takes_bounded_time(shape: str) -> None:
    """100,000 signs are a moment, though texts are cut long before that."""
    start = time.process_time()
    VOCABULARY.of(plain(HOSTILE[shape]), 128)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("shape", ["spaced letters", "letters", "marks", "letters with marks"])
def test_time_grows_with_the_text_and_not_with_its_square(shape: str) -> None:
    """Four times the text takes about four times as long, not sixteen times."""

    def seconds(text: str) -> float:
        start = time.process_time()
        plain(text)
        return time.process_time() - start

    text = HOSTILE[shape][:50_000]
    short = min(seconds(text) for _ in range(3))
    assert min(seconds(4 * text) for _ in range(2)) < 10 * short + 0.02


@given(ANY_TEXT | ODD_TEXT, st.integers(0, 20))
def test_any_text_has_pieces_of_the_vocabulary(text: str, limit: int) -> None:
    """Every id has its row in the reader's table, and there are at most as many as fit."""
    ids = VOCABULARY.of(text, limit)
    assert len(ids) <= limit
    assert all(0 <= index < len(PIECES) for index in ids)
    assert not {VOCABULARY.cls, VOCABULARY.sep, 0} & set(ids)
    assert VOCABULARY.of(text, 1_000)[:limit] == ids


@given(ANY_TEXT)
def test_every_script_has_pieces(text: str) -> None:
    """A sign that is not in the vocabulary is its bytes; no word is unknown, none is dropped."""
    for word in words_in(text):
        if len(word) == 1 and word not in VOCABULARY.ids:
            expected = [f"<0x{byte:02x}>" for byte in word.encode("utf-8", "replace")]
            assert [VOCABULARY.pieces[index] for index in VOCABULARY.of(word, 9)] == expected
        assert VOCABULARY.of(word, 1)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("winner", ["win", "##ner"]),
        ("winning money", ["win", "##ning", "money"]),
        ("freex", ["free", "##x"]),
        ("$!", ["$", "!"]),
        ("the-prize", ["the", "-", "prize"]),
        ("snake_report", [*"s", *("##n", "##a", "##k", "##e"), "_", "report"]),
        ("ж", ["<0xd0>", "<0xb6>"]),
        ("発 free", ["<0xe7>", "<0x99>", "<0xba>", "free"]),
        ("\ud800", ["<0x3f>"]),  # half a sign, as broken charsets leave it
        ("aжb", ["a", "<0xd0>", "<0xb6>", "##b"]),
    ],
)
def test_the_longest_piece_is_taken_first(text: str, pieces: list[str]) -> None:
    """As the backbone was trained: WordPiece, by hand."""
    assert _shown(text) == pieces


def test_one_word_does_not_fill_the_input() -> None:
    """Of an address or a key only the first pieces are read; the next word still is."""
    found = _shown("x" * 1_000 + " money")
    assert found == ["x", *["##x"] * (WORD_PIECES - 1), "money"]
    assert _shown("free" * 5 + "m" * (WORD_CHARS - 20)) == _shown("free" * 5 + "m" * 100)


def test_the_first_pieces_are_those_of_the_whole() -> None:
    """The cut does not depend on what stands behind it."""
    assert list(words_in("the snake_report " + "z" * 50)) == [
        *("the", "snake", "_", "report"),
        "z" * WORD_CHARS,
    ]


@pytest.mark.parametrize("piece", [*SPECIAL, BYTES[0], BYTES[255]])
def test_a_vocabulary_lacks_nothing_that_every_text_needs(piece: str) -> None:
    """A foreign vocabulary is told when it is opened, not by a mail in Chinese."""
    with pytest.raises(InputError, match=re.escape(repr(piece))):
        Pieces([other for other in PIECES if other != piece])


def test_a_piece_twice_is_refused() -> None:
    """Two ids of one piece: the file is damaged."""
    with pytest.raises(InputError, match="twice"):
        Pieces([*PIECES, "free"])


LARGE = ("[UNK]", *PIECES, "zebra", "é")


def _kept(size: int, texts: list[str], fewest: int = 2) -> list[str]:
    return kept_pieces(LARGE, texts, size, fewest)


def test_the_pieces_that_mail_uses_most_are_kept() -> None:
    """Room in the model is for what is met, the most frequent first; the rest is spelt."""
    texts = ["money money money free free", "winner winner zebra"]
    kept = _kept(10_000, texts)
    assert kept[: len(REQUIRED)] == list(REQUIRED)
    assert [piece for piece in kept if len(piece.removeprefix("##")) > 1][len(REQUIRED) :] == [
        *("money", "free", "win", "##ner"),
    ]
    assert {"a", "##a", "z", "##z", "0", "$"} <= set(kept)
    assert "zebra" in _kept(10_000, texts, fewest=1)
    assert "[UNK]" not in kept


def test_what_is_kept_is_a_vocabulary_of_the_wanted_size() -> None:
    """Every text has pieces in it, too, and the one after the last is the one that is left out."""
    texts = ["money money money free free", "winner winner zebra"]
    whole = _kept(10_000, texts)
    for size in (len(REQUIRED) + 30, len(whole) - 1, len(whole)):
        small = _kept(size, texts)
        assert small == whole[:size]
        assert Pieces(small).of("ж zebra", 9)
    assert Pieces(whole).of("money", 9) == [whole.index("money")]
