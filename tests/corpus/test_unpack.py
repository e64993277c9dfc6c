from __future__ import annotations

import io

import pytest

from tests.corpus.builders import FROM_LINE, HAM, SPAM
from winnow.corpus.example import Bounds
from winnow.corpus.unpack import Unpacker, has_eml_name, is_hidden, is_mail, is_mbox
from winnow.verdict import Label


def unpack(data: bytes, name: str | bytes, bounds: Bounds | None = None) -> list[tuple[str, bytes]]:
    unpacker = Unpacker("source", Label.SPAM, bounds or Bounds())
    stream = io.BufferedReader(io.BytesIO(data), 1 << 16)
    return [(e.id, e.raw) for e in unpacker.messages(stream, name)]


def test_one_message_keeps_the_name() -> None:
    """A file with one message is named by its file, and the mark above it is not part of it."""
    assert unpack(HAM, "a.eml") == [("a.eml", HAM)]
    assert unpack(FROM_LINE + HAM, "a.eml") == [("a.eml", HAM)]
    assert unpack(b"", "empty") == [("empty", b"")]


def test_mbox_messages_are_numbered() -> None:
    """Each message of an mbox can be found again by its id."""
    assert unpack(FROM_LINE + HAM + b"\n" + FROM_LINE + SPAM, "Junk") == [
        ("Junk#1", HAM),
        ("Junk#2", SPAM),
    ]


def test_examples_carry_label_source_order_and_size() -> None:
    """Order counts on from file to file; the size is that of the message, uncut."""
    unpacker = Unpacker("source", Label.HAM, Bounds(max_message_bytes=60))
    long = io.BufferedReader(io.BytesIO(FROM_LINE + b"Subject: a\n\n" + b"x" * 500))
    short = io.BufferedReader(io.BytesIO(HAM[:50]))
    first, second = *unpacker.messages(long, "a.eml"), *unpacker.messages(short, "b.eml")
    assert (first.label, first.source, first.order) == (Label.HAM, "source", (1,))
    assert (len(first.raw), first.size_bytes) == (60 - len(FROM_LINE), 512)
    assert (second.order, second.size_bytes) == ((2,), 50)


def test_hostile_names_become_printable() -> None:
    """No id moves the cursor, breaks a line or reverses the text around it."""
    [(id_, _)] = unpack(HAM, b"a\x1b[2J\n\xff\xe2\x80\xae.eml")
    assert id_ == r"a\x1b[2J\n\xff\u202e.eml"


@pytest.mark.parametrize(
    ("name", "eml", "hidden"),
    [
        ("a.eml", True, False),
        ("a.EML.gz", True, False),
        ("x/._a.eml", True, True),
        (".git/config", False, True),
        ("./cur/1.host:2,S", False, False),
        ("eml", False, False),
    ],
)
def test_what_names_say(name: str, eml: bool, hidden: bool) -> None:
    """The few things that are told from a name."""
    assert has_eml_name(name) is eml
    assert is_hidden(name) is hidden


def test_mail_is_told_from_other_files() -> None:
    """In a folder without .eml names, scripts and notes are left out."""
    assert is_mail(HAM)
    assert is_mail(FROM_LINE + HAM)
    assert not is_mail(b"mv 1 00001.7c53336b37003a9286aba55d2945844c\n")
    assert not is_mail(b"version: 3\nservices:\n  web: x\n")
    assert not is_mail(b"")


def test_mbox_is_told_from_a_message() -> None:
    """An .eml file is one message even when a mail program left its mark above it."""
    assert is_mbox(FROM_LINE + HAM, "Junk")
    assert not is_mbox(FROM_LINE + HAM, "a.eml")
    assert not is_mbox(HAM, "Junk")
