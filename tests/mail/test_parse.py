"""Any bytes give a message, in bounded time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.mail import parse

HOSTILE = {
    "empty": b"",
    "one byte": b"x",
    "NULs": b"\0" * 100_000,
    "50 MB": b"Subject: x\n\n" + b"word " * 10_000_000,
    "10,000 parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 10_000,
    "1,000 levels": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1000)
    ),
    "a megabyte header": b"Subject: " + b"x" * 1_000_000 + b"\n\nbody",
    "100,000 header lines": b"X-A: b\n" * 100_000 + b"\nbody",
    "no colon": b"From: a@b.example\nno colon here\nSubject: x\n\nbody",
    "unknown charset": b"Content-Type: text/plain; charset=no-such\n\n\xff\xfe",
    "broken base64": b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n=a=b==c!",
    "a million tags": b"Content-Type: text/html\n\n" + b"<b>" * 1_000_000,
    "a million <": b"Content-Type: text/html\n\n" + b"<" * 1_000_000,
    "comments": b"Content-Type: text/html\n\n" + b"<!--" * 200_000,
    "hiding divs": b"Content-Type: text/html\n\n" + b"<div style='display:none'>" * 40_000,
    "angles": b"From: " + b"<" * 60_000 + b"\n\nx",
    "open quotes": b'Content-Type: text/plain; name="' + b"a" * 60_000 + b"\n\nx",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_has_an_answer_in_time(name: str) -> None:
    """No message, however made, costs a second."""
    start = time.process_time()
    message = parse(HOSTILE[name])
    assert time.process_time() - start < 1.0
    assert message.size_bytes == len(HOSTILE[name])
    assert len(message.text) <= 60_000


@given(st.binary(max_size=2000))
def test_any_bytes_parse(raw: bytes) -> None:
    """A parser that raises is a filter that loses mail."""
    parse(raw).text.encode("utf-8", "replace")


def test_hidden_text_is_told_from_visible_text() -> None:
    """What no reader sees is kept apart."""
    html = b"<p>seen</p><div style='display:none'>unseen<b>too</b></div><p>again</p>"
    message = parse(b"Content-Type: text/html\nSubject: x\n\n" + html)
    assert message.text.split() == ["seen", "again"]
    assert "unseen" in message.hidden


def test_headers_without_a_blank_line_and_text_without_headers() -> None:
    """Old corpora have both; neither loses its text."""
    enron = parse(b"Subject: hello there\nthe body , begins at once\n")
    assert (enron.subject, enron.text.strip()) == ("hello there", "the body , begins at once")
    forwarded = parse(b"Subject: fw\nsee below\nto : them\nsubject : it\n")
    assert "see below" in forwarded.text
    assert parse(b"From 5 to 2 only\n").text.strip() == "From 5 to 2 only"
    assert parse(b"From a@b.example Sun Nov 28 21:36:46 2004\nSubject: x\n\ny").subject == "x"
    sms = parse(b"URGENT: you won a prize")
    assert sms.text == "URGENT: you won a prize"


def test_encoded_words_names_and_charsets() -> None:
    """Subject and sender are read as their reader reads them."""
    raw = (
        b"From: =?utf-8?B?SsO8cmdlbg==?= <J@Example.org>\nSubject: =?iso-8859-1?Q?caf=E9?=\n"
        b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"gr=C3=BC=\n=C3=9Fe\n"
    )
    message = parse(raw)
    assert (message.sender.name, message.sender.address) == ("Jürgen", "j@example.org")
    assert message.subject == "café"
    assert message.text.strip() == "grüße"
