"""Any bytes give a message, and an answer, in bounded time and memory."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.docs.pages import ROOT
from tests.mail.hostile import HOSTILE
from tests.strategies import raw_messages
from winnow.mail import parse
from winnow.mail.parse import split_parts
from winnow.message import Attachment, Message
from winnow.pipeline import Filter

SECONDS = 1.0
BYTES = 100_000_000


@pytest.fixture(scope="module")
def shipped() -> Filter:
    """The filter as it is shipped, warm."""
    answering = Filter.open()
    answering.check(b"Subject: x\n\nhello")
    return answering


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_has_an_answer_in_time(name: str, shipped: Filter) -> None:
    """No message, however made, costs a second, reasons included."""
    raw = HOSTILE[name]()
    start = time.process_time()
    verdict = shipped.check(raw)
    assert time.process_time() - start < SECONDS
    assert 0.0 <= verdict.probability <= 1.0
    assert verdict.size_bytes == len(raw)
    json.dumps(verdict.to_json(), ensure_ascii=False).encode("utf-8")


@pytest.mark.slow
def test_hostile_mail_has_an_answer_in_little_memory() -> None:
    """No message fills the memory: a small multiple of the head that is looked at is enough."""
    command = [sys.executable, "-m", "tests.mail.hostile"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120).stdout
    peaks = json.loads(output)
    assert set(peaks) == set(HOSTILE)
    assert {name: peak for name, peak in peaks.items() if peak > BYTES} == {}
    assert peaks["50 MB"] > 1_000_000  # it was measured at all


@given(raw_messages())
def test_what_is_parsed_can_be_stored_and_sent(raw: bytes) -> None:
    """No text of a message holds a lone surrogate, no line of its head a line end."""
    message = parse(raw)
    texts = [message.subject, message.sender.name, message.text, message.hidden]
    texts += [attachment.filename for attachment in message.attachments]
    texts += [part for link in message.links for part in (link.url, link.host, link.text)]
    "".join(texts).encode("utf-8")
    assert len(message.subject.splitlines()) <= 1


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


def multipart(kind: str, *parts: bytes, boundary: bytes = b"b") -> bytes:
    """An entity of parts, each with its own headers."""
    head = b"Content-Type: multipart/%s; boundary=%s\n\npreamble" % (kind.encode(), boundary)
    return (
        head
        + b"".join(b"\n--" + boundary + b"\n" + part for part in parts)
        + (b"\n--" + boundary + b"--\nepilogue\n")
    )


def words_of(message: Message) -> str:
    return " ".join(message.text.split())


PLAIN = b"Content-Type: text/plain\n\nplain"
RICH = b"Content-Type: text/html\n\n<p>rich"
FILE = b'Content-Type: application/pdf\nContent-Disposition: attachment; filename="a.pdf"\n\nxyz'


def test_preamble_and_epilogue_are_not_shown() -> None:
    """Readers' programs pass over what is outside of the parts (RFC 2046 5.1.1)."""
    assert words_of(parse(multipart("mixed", PLAIN, RICH))) == "plain rich"


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((PLAIN, RICH), "rich"),
        ((RICH, PLAIN), "rich"),
        ((PLAIN, RICH, b"Content-Type: text/html\n\nricher"), "richer"),
        ((PLAIN, multipart("related", RICH, boundary=b"in")), "rich"),
        ((PLAIN, b"\nunlabelled"), "plain unlabelled"),
    ],
)
def test_of_alternatives_the_richest_is_shown(parts: tuple[bytes, ...], shown: str) -> None:
    """Text in an alternative that nobody is shown must not speak for the message."""
    message = parse(multipart("alternative", *parts))
    assert words_of(message) == shown
    assert "has plain alternative" in message.marks


def test_an_inner_boundary_may_begin_with_the_outer_one() -> None:
    """Spammers and some mailers name them "x" and "xAA"; readers compare whole lines."""
    inner = multipart("alternative", PLAIN, RICH, boundary=b"bAA")
    message = parse(multipart("mixed", inner, FILE))
    assert words_of(message) == "rich"
    assert message.attachments == (Attachment("application/pdf", "a.pdf", 3),)


def test_a_boundary_with_more_on_its_line_counts_where_no_other_does() -> None:
    """RFC 2046 5.1.1 has it so, and the text of the parts is better than none."""
    assert split_parts(b"--b x\n\none\n--b y\n\ntwo\n--b--z", "b", 9) == []
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b x\n\none\n--b y\n\ntwo\n--b--z"
    assert parse(raw).text == "one\ntwo"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"--b\n1\n--b\n2\n--b--\n--b\n3", [b"1", b"2"]),
        (b"--b\r\n1\r\n--b \t\r\n2\r\n--b--\r\n", [b"1\r", b"2\r"]),
        (b"--b\n1\n--b2\n--bb\n--b", [b"1\n--b2\n--bb"]),
        (b"--b\n1\n", [b"1\n"]),
        (b"x--b\n1\n--c", []),
        (b"", []),
    ],
)
def test_parts_are_cut_at_boundary_lines(body: bytes, parts: list[bytes]) -> None:
    """At whole lines, whatever ends them, until the closing one or the end."""
    assert split_parts(body, "b", 9) == parts
    assert split_parts(body, "b", 1) == parts[:1]
    assert split_parts(body, "", 9) == []


@given(st.lists(st.binary(max_size=20).filter(lambda part: b"\n--b" not in part), max_size=5))
def test_parts_come_back_as_they_were(parts: list[bytes]) -> None:
    """Cutting undoes joining, byte by byte."""
    body = b"".join(b"\n--b\n" + part for part in parts) + b"\n--b--\n"
    assert split_parts(body, "b", 9) == parts


def test_a_broken_multipart_is_shown_whole() -> None:
    """Without a boundary, or without a line of it, the reader sees the source, and it is marked."""
    for parameter in (b"; boundary=b", b"", b'; boundary=""'):
        message = parse(b"Content-Type: multipart/mixed" + parameter + b"\n\n--c\n\ntext")
        assert (words_of(message), message.marks) == ("--c text", {"broken multipart"})


@pytest.mark.parametrize(
    "kind",
    [
        b"text/plain charset=utf-8",
        b"text/plain (text)",
        b"nonsense",
        b"text/x-unknown",
        b"",
        b"text",
    ],
)
def test_what_no_reader_takes_for_a_file_is_text(kind: bytes) -> None:
    """A careless content type must not hide the text from us that readers are shown."""
    message = parse(b"Subject: x\nContent-Type: " + kind + b"\n\ntext")
    assert (message.text, message.attachments) == ("text", ())


@pytest.mark.parametrize(
    ("head", "filename"),
    [
        (b"Content-Type: application/zip; name=a.zip", "a.zip"),
        (b"Content-Type: text/calendar", ""),
        (b"Content-Type: text/x-sh; name=a.sh", "a.sh"),
        (b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt", "a.txt"),
        (
            b"Content-Type: a/b; name=x\nContent-Disposition: inline; filename*=utf-8''%C3%A4.exe",
            "ä.exe",
        ),
        (b"Content-Type: a/b; name*0=in; name*1=voice.; name*2=exe", "invoice.exe"),
        (b"Content-Type: a/b; name==?utf-8?q?=C3=A4.exe?=", "ä.exe"),
        (b"Content-Type: a/b; name=" + b"x" * 500 + b".exe", "x" * 100 + "x" * 96 + ".exe"),
    ],
)
def test_files_keep_the_end_of_their_names(head: bytes, filename: str) -> None:
    """What opens a file is the end of its name, however the name is written."""
    message = parse(b"Subject: x\n" + head + b"\n\ncontent")
    (found,) = message.attachments
    assert (found.filename, found.size_bytes, message.text) == (filename, 7, "")


def test_attached_messages_are_read() -> None:
    """Also encoded, against the standard, and as the parts of a digest, which need no type."""
    inner = b"Subject: inner\nContent-Type: text/html\n\n<p>text"
    encoded = base64.encodebytes(inner)
    for raw in (
        b"Content-Type: message/rfc822\n\n" + inner,
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + encoded,
        multipart("digest", b"\n" + inner),
    ):
        message = parse(raw)
        assert words_of(message) == "inner text"
        assert {"attached message", "html"} <= message.marks


def test_the_first_of_two_fields_counts() -> None:
    """As in readers' programs; a second one below must not change what we see."""
    raw = b"From: a@b.example\nFrom: c@d.example\nSubject: one\nSubject: two\n\nx"
    message = parse(raw)
    assert (message.sender.address, message.subject) == ("a@b.example", "one")
    twice = b"Content-Type: text/html\nContent-Type: text/plain\n\n<p>rich"
    assert words_of(parse(multipart("alternative", PLAIN, twice))) == "rich"


def test_links_of_text_are_found_in_any_case() -> None:
    """With or without a scheme, once each, without the sign after them."""
    text = (
        b"see http://a.example/x. HTTP://B.example, (www.c.example) Http://d.example WWW.E.example"
    )
    found = [(link.url, link.host) for link in parse(b"Subject: x\n\n" + text).links]
    assert sorted(found) == [
        ("HTTP://B.example", "b.example"),
        ("Http://d.example", "d.example"),
        ("WWW.E.example", "www.e.example"),
        ("http://a.example/x", "a.example"),
        ("www.c.example", "www.c.example"),
    ]
    assert len(parse(b"Subject: x\n\nhttp://www.a.example/").links) == 1
    turkish = parse("Subject: x\n\n\u0130\u0130 http://a.example \u0130".encode())
    assert [link.url for link in turkish.links] == ["http://a.example"]


def test_old_html_without_a_type_is_html() -> None:
    """Mailers of old left the type out; readers' programs look at the text."""
    for start in (b"<HTML>", b"\n <html>", b"<!DOCTYPE html>"):
        assert words_of(parse(b"Subject: x\n\n" + start + b"<p>seen")) == "seen"
    assert words_of(parse(b"Subject: x\n\n<p>seen")) == "<p>seen"
