"""One message has one identity, wherever it lies; two messages have two."""

from __future__ import annotations

from hypothesis import given

from tests.strategies import messages, raw_messages
from winnow.mail import identity, parse
from winnow.mail.limits import Limits

RAW = b"From: a@b.example\nSubject: one two\nMessage-ID: <1@b.example>\n\nsome words\nhere\n"


@given(messages())
def test_servers_on_the_way_do_not_change_it(raw: bytes) -> None:
    """Line ends, an envelope line and headers added on top are not the author's."""
    name = identity(raw)
    unix = raw.replace(b"\r\n", b"\n")
    assert identity(unix) == identity(unix.replace(b"\n", b"\r\n")) == name
    assert identity(b"From a@b.example Sun Nov 28 21:36:46 2004\n" + raw) == name
    assert identity(b"Received: by x; 1 Jan\nX-Spam: yes\n" + raw) == name
    assert identity(raw + b"\n\n") == name


@given(raw_messages())
def test_a_parsed_message_has_the_same_one(raw: bytes) -> None:
    """What the parser found already need not be looked for again."""
    assert identity(raw, message=parse(raw)) == identity(raw)


def test_folding_does_not_change_it() -> None:
    """Servers fold long headers anew."""
    assert identity(RAW.replace(b"one two", b"one\n\t two")) == identity(RAW)


def test_every_author_field_and_the_body_tell_messages_apart() -> None:
    """A word moved from one field to the next is another message too."""
    changed = [
        RAW.replace(b"a@b", b"c@b"),
        RAW.replace(b"one two", b"one"),
        RAW.replace(b"<1@", b"<2@"),
        RAW.replace(b"From", b"To"),
        RAW.replace(b"Subject", b"Date"),
        RAW.replace(b"some words", b"somewords"),
        RAW.replace(b"here", b"there"),
        b"",
    ]
    assert len({identity(raw) for raw in [RAW, *changed]}) == len(changed) + 1


@given(raw_messages())
def test_any_bytes_have_one(raw: bytes) -> None:
    """Always 32 hex digits, and the same ones again."""
    name = identity(raw)
    assert len(name) == 32
    assert int(name, 16) >= 0
    assert identity(raw) == name


def test_long_messages_keep_it_whatever_headers_they_were_given() -> None:
    """The head that is looked at holds less of the body where servers added more to it."""
    limits = Limits(scan_bytes=10_000)
    long = RAW + b"a line of text\n" * 2_000
    received = b"Received: from x.example by y.example; 1 Jan 2024\n" * 40
    name = identity(long, limits)
    assert identity(received + long, limits) == name
    assert identity(long.replace(b"\n", b"\r\n"), limits) == name
    assert identity(long[:10_000], limits) == name
    assert identity(long.replace(b"a line", b"another line", 1), limits) != name
