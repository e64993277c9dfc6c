"""Bytes are read under their label, or as a reader's program would guess when it lies."""

from __future__ import annotations

import base64
import quopri
from encodings import _cache  # type: ignore[attr-defined]  # what must not grow

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import CHARSETS, LYING_CHARSETS, words
from winnow.mail.charset import decode_text, encoding_name, undo_transfer_encoding


@given(words(1), st.sampled_from(CHARSETS))
def test_text_comes_back_under_its_label(text: str, charset: str) -> None:
    """What was written in a charset is read in it, without a mark."""
    data = text.encode(charset, "ignore")
    assert decode_text(data, charset) == (data.decode(charset), None)
    assert decode_text(data, f' "{charset.upper()}"\t') == (data.decode(charset), None)


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("gb2312", "gbk", "電子郵件"),  # traditional signs are in the larger set only
        ("ks_c_5601-1987", "cp949", "똠방"),
        ("Shift_JIS", "cp932", "①髙"),
        ("iso-8859-1", "cp1252", "“quoted” — 5 €"),
        ("koi8-u", "koi8-u", "Київ"),
        ("windows-31j", "cp932", "髙"),
        ("utf8mb4", "utf-8", "é"),
        ("iso-8859-8-i", "iso8859-8", "שלום"),
    ],
)
def test_labels_mean_what_readers_take_them_for(label: str, codec: str, text: str) -> None:
    """Mailers write the name of the smaller set for the larger one."""
    assert decode_text(text.encode(codec), label) == (text, None)


@pytest.mark.parametrize("label", ["", "us-ascii", "8bit", "unknown-8bit", "default"])
def test_text_without_a_label_is_guessed(label: str) -> None:
    """UTF-8 where it fits, Windows-1252 elsewhere, and no mark: nobody lied."""
    assert decode_text("grün".encode(), label) == ("grün", None)
    assert decode_text("grün".encode("cp1252"), label) == ("grün", None)
    assert decode_text(b"plain", label) == ("plain", None)


def test_a_lying_label_is_marked_and_the_text_is_read() -> None:
    """German text that claims to be UTF-8 keeps its umlauts, and ASCII as UTF-16 its letters."""
    assert decode_text("grün und größer".encode("cp1252"), "utf-8") == (
        "grün und größer",
        "wrong charset",
    )
    assert decode_text("grün".encode(), "ascii\0") == ("grün", "unknown charset")
    assert decode_text(b"buy now", "utf-16") == ("buy now", "wrong charset")


def test_one_broken_sign_does_not_spoil_the_rest() -> None:
    """Text that is cut within a sign, or damaged in one place, stays in its charset."""
    assert decode_text("бесплатно сегодня".encode()[:-1], "utf-8")[0] == "бесплатно сегодн\ufffd"
    damaged = "電子郵件電子郵件".encode("gb18030")
    assert decode_text(damaged + b"\xff", "gb2312")[0].startswith("電子郵件電子郵件")


@pytest.mark.parametrize(
    "label", ["idna", "punycode", "unicode_escape", "rot13", "zlib", "hex", "no-such", "a" * 300]
)
def test_what_is_no_charset_of_mail_is_unknown(label: str) -> None:
    """Python's other codecs cost more than linear time, or expand, or are for no text."""
    assert decode_text(b"\\x41 caf\xc3\xa9", label) == ("\\x41 café", "unknown charset")


def test_unknown_labels_leave_nothing_behind() -> None:
    """Python remembers each name that it is asked for; a sender must not fill the memory so."""
    before = len(_cache)
    for number in range(300):
        decode_text(b"x", f"x-made-up-{number}")
    assert len(_cache) == before


@given(st.binary(max_size=300), st.sampled_from((*CHARSETS, *LYING_CHARSETS, "big5", "hz")))
def test_any_bytes_under_any_label_are_text(data: bytes, label: str) -> None:
    """No exception, and no lone surrogate, which no database and no socket takes."""
    decode_text(data, label)[0].encode("utf-8")


def test_utf_7_makes_no_lone_surrogates() -> None:
    """UTF-7 is the one codec that can smuggle them in."""
    assert decode_text(b"a+2AA-b", "utf-7") == ("a\ufffdb", None)


@given(st.binary(max_size=300))
def test_transfer_encodings_are_undone(data: bytes) -> None:
    """What was encoded comes back as it was; what is not encoded is left alone."""
    assert undo_transfer_encoding(base64.encodebytes(data), "BASE64 ") == (data, None)
    assert undo_transfer_encoding(data, "8bit") == (data, None)
    text = data.replace(b"\r", b"").replace(b"\0", b"")
    assert undo_transfer_encoding(quopri.encodestring(text), "quoted-printable")[0] == text


@pytest.mark.parametrize(
    "data", [b"aGk=aGk", b"aGk!!!!", b"a", b"aG k k k k k=", b"aGk=\n--footer"]
)
def test_broken_base64_is_read_as_far_as_it_goes(data: bytes) -> None:
    """A footer after the end, or junk within, is marked; the rest is read."""
    decoded, mark = undo_transfer_encoding(data, "base64")
    assert mark == "broken base64"
    assert decoded[:1] in (b"h", b"")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("base64", "base64"),
        ("BASE64 (as usual)", "base64"),
        ("base64;", "base64"),
        (' "7bit" ', "7bit"),
        ("", ""),
        (";", ""),
    ],
)
def test_names_of_encodings_as_they_are_met(written: str, name: str) -> None:
    """Comments and semicolons after the name do not leave the text encoded."""
    assert encoding_name(written) == name
