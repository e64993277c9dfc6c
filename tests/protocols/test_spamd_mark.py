from __future__ import annotations

import re
import time
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import raw_messages
from winnow.protocols.spamd_mark import ascii_words, fold, mark, printable

FIELDS = [("X-Spam-Flag", "YES"), ("X-Winnow-Action", "junk")]
NEW = b"X-Spam-Flag: YES\nX-Winnow-Action: junk\n"
any_text = st.text(max_size=200)


def marked(message: bytes, *, headers_only: bool = False) -> bytes:
    """Return a message with FIELDS."""
    return b"".join(mark(bytearray(message), FIELDS, headers_only=headers_only))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", NEW),
        (b"hello", NEW + b"hello"),
        (b"\n", NEW + b"\n"),
        (b"\nX-Spam-Flag: NO\n", NEW + b"\nX-Spam-Flag: NO\n"),
        (b"A: b\n\nc", NEW + b"A: b\n\nc"),
        (b"X-Spam-Flag: NO\nA: b\n\nc", NEW + b"A: b\n\nc"),
        (b"A: b\nX-Spam-Flag: NO\n\nc", NEW + b"A: b\n\nc"),
        (b"A: b\nX-Spam-Flag: NO", NEW + b"A: b"),
        (b"X-Spam-Flag: NO", NEW),
        (b"A: b\nx-WINNOW-action :\n deliver\n\tnow\nC: d\n\n", NEW + b"A: b\nC: d\n\n"),
        (b"X-Spam-A: 1\nX-Spam-B: 2\nX-Winnow-C: 3\n 4\nD: e\n\n", NEW + b"D: e\n\n"),
        (b"A: X-Spam-Flag: NO\nX-Spamming: a\nX-Spam: b\n\n", None),
        (b"A: b\n\nX-Spam-Flag: NO\n", NEW + b"A: b\n\nX-Spam-Flag: NO\n"),
        (b"From a@b Mon\nX-Spam-Flag: NO\nA: b\n\nc", b"From a@b Mon\n" + NEW + b"A: b\n\nc"),
        (b"From a@b Mon", NEW + b"From a@b Mon"),
    ],
)
def test_mark(before: bytes, after: bytes | None) -> None:
    """New fields on top or below an mbox line, forged ones out of the headers, the rest as is."""
    assert marked(before) == (NEW + before if after is None else after)


def test_crlf() -> None:
    """The line ends of the message are used, and a bare LF elsewhere in it stays."""
    message = b"A: b\r\nX-Spam-Flag: NO\r\n folded\r\nC: d\r\n\r\nX-Spam-Flag: NO\nbody"
    assert marked(message) == (
        NEW.replace(b"\n", b"\r\n") + b"A: b\r\nC: d\r\n\r\nX-Spam-Flag: NO\nbody"
    )


@pytest.mark.parametrize(
    ("message", "cut"),
    [
        (b"A: b\n\nbody", b"A: b\n\n"),
        (b"A: b\r\n\r\nbody\r\n\r\nmore", b"A: b\r\n\r\n"),
        (b"A: b\n\r\nbody\n\nmore", b"A: b\n\r\nbody\n\n"),
        (b"A: b\n", b"A: b\n"),
        (b"\n\nbody", b"\n\n"),
        (b"X-Spam-A: b\n\nbody", b"\n"),
    ],
)
def test_headers_only(message: bytes, cut: bytes) -> None:
    """HEADERS stops exactly where libspamc goes on with the body it kept, or mail would be lost."""
    new = NEW.replace(b"\n", b"\r\n") if message.startswith(b"A: b\r\n") else NEW
    assert marked(message, headers_only=True) == new + cut


@given(
    message=raw_messages(), forged=st.sampled_from([b"X-Spam-Flag: NO\n", b"x-winnow-a: b\n c\n"])
)
def test_any_message(message: bytes, forged: bytes) -> None:
    """Every byte of any message stays; a forged field on top of it does not."""
    eol = b"\r\n" if re.match(rb"[^\n]*\r\n", message) else b"\n"
    if message.startswith(b"From ") or message[:1] in (b" ", b"\t") or b"\nX-" in message:
        return
    assert marked(message) == NEW.replace(b"\n", eol) + message
    forged = forged.replace(b"\n", eol)
    assert marked(forged + message) == NEW.replace(b"\n", eol) + message


@pytest.mark.parametrize(
    "piece", [b"X-Spam-A:\n", b"X-Spam-A:\nA:\n", b"A: b\n", b" folded\n", b"\r", b"x"]
)
def test_hostile_header_blocks(piece: bytes) -> None:
    """10 MB of headers of any kind are marked within a second, also forged ones by the million."""
    message = bytearray(piece * (10_000_000 // len(piece)))
    start = time.process_time()
    mark(message, FIELDS, headers_only=True)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) - 7, (1 << 20) + 7])
def test_end_of_search(size: int) -> None:
    """A block longer than what is searched loses no byte where the search ends."""
    block = (b"A: " + b"b" * 60 + b"\n") * (size // 64)
    message = block + b"C" * (size - len(block) + 5) + b": d\n\nbody"
    assert marked(message) == NEW + message


@given(text=any_text)
def test_printable(text: str) -> None:
    """One line without control, format or surrogate characters, of bounded length."""
    line = printable(text)
    assert line.isprintable()
    assert len(line) <= 60


@given(text=st.one_of(any_text, st.sampled_from(["=?utf-8?q?=0d=0aA=3A?=", "Grüße 🎁" * 9])))
def test_ascii_words(text: str) -> None:
    """Any text becomes ASCII words of at most 75 characters that decode to what was meant."""
    encoded = ascii_words(text)
    assert encoded.isascii()
    assert encoded.isprintable()
    line = printable(text)
    if encoded == line:
        assert "=?" not in encoded
        return
    assert all(re.fullmatch(r"=\?utf-8\?b\?[\w+/=]+\?=", word) for word in encoded.split(" "))
    assert max(map(len, encoded.split(" "))) <= 75
    assert str(make_header(decode_header(encoded))) == line


@given(words=st.lists(st.from_regex(r"[!-~]{1,75}", fullmatch=True), min_size=1, max_size=30))
def test_fold(words: list[str]) -> None:
    """A folded field has lines of at most 78 characters and unfolds to its value."""
    field = fold("X-Winnow-Reasons", " ".join(words), "\r\n")
    assert field.endswith("\r\n")
    lines = field[:-2].split("\r\n")
    assert all(len(line) <= 78 for line in lines)
    assert all(line.startswith(" ") for line in lines[1:])
    assert "".join(lines) == "X-Winnow-Reasons: " + " ".join(words)
