from __future__ import annotations

import pytest

from tests.corpus.builders import FROM_LINE, HAM
from winnow.corpus.framing import is_bare_mark, is_from_line, strip_from_line

REAL_LINES = [
    b"From exmh@list.example  Thu Aug 22 12:36:23 2002",
    b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011",
    b"From - Tue Apr 27 19:42:22 2010",
    b"From 1567890@xxx Mon Aug 06 13:00:00 +0000 2018",
    b"From anna at shop.example  Mon Sep 17 12:00:00 2001",
    b"From <> Wed, 25 Nov 2015 10:58:32",
]
TEXT_LINES = [
    b"From tomorrow onwards evening 6 to 3 work.",
    b"From 5 to 2 only my work timing.",
    b"From: anna@shop.example",
    b">From anna Thu Aug 22 12:36:23 2002",
    b" From anna Thu Aug 22 12:36:23 2002",
    b"",
]


@pytest.mark.parametrize("line", REAL_LINES)
def test_marks_of_many_programs_are_known(line: bytes) -> None:
    """An mbox of another program does not become one long message."""
    assert is_from_line(line)
    assert strip_from_line(line + b"\n" + HAM) == HAM


@pytest.mark.parametrize("line", TEXT_LINES)
def test_text_is_no_mark(line: bytes) -> None:
    """A body line beginning with the word From does not cut a message in two."""
    assert not is_from_line(line)


@pytest.mark.parametrize("line", [b"From ", b"From \r\n", b"From \n", b"From - \r\n", b"From -\n"])
def test_a_mark_without_sender_and_date(line: bytes) -> None:
    """Thunderbird's own form is a mark above a header, and text above text."""
    assert is_bare_mark(line)
    assert is_from_line(line, HAM)
    assert not is_from_line(line, b"the beginning on\n")
    assert not is_from_line(line)
    assert not is_bare_mark(b"From me\n")


def test_text_message_beginning_with_from_is_whole() -> None:
    """A text message loses no first line."""
    text = b"From tomorrow onwards evening 6 to 3 work.\nSee you\n"
    assert strip_from_line(text) == text
    assert strip_from_line(text.partition(b"\n")[0]) == text.partition(b"\n")[0]


def test_odd_mark_above_a_header_is_stripped() -> None:
    """A mark without asctime date is known by the header field below it."""
    assert strip_from_line(b"From () 2019-10-02 05:04:34 +0000\r\n" + HAM) == HAM


def test_message_without_mark_is_untouched() -> None:
    """Nothing is taken from ordinary mail, and one mark is taken once."""
    assert strip_from_line(HAM) == HAM
    assert strip_from_line(FROM_LINE + FROM_LINE + HAM) == FROM_LINE + HAM
