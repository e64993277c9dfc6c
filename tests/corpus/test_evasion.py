"""Mail written around filters: what stays, what changes, and that any bytes will do."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import hostile_messages, messages, raw_messages, words
from winnow.corpus.evasion import EVASIONS, evade
from winnow.features import plain
from winnow.mail import parse

GOOD = ["thanks for the minutes of our meeting", "see you at lunch then", ""]
RAW = b"""Received: from mx.example.org
\tby mx.example.net
From: Prize Desk <desk@prize.example>
Subject: Claim your casino bonus
Reply-To: claims@prize.example
Content-Type: text/plain;
 charset=utf-8
Content-Transfer-Encoding: quoted-printable
Date: Mon, 4 Mar 2024 10:15:00 +0100

Dear winner, your account holds extra money and pills
http://prize.example/claim-now
Answer before tomorrow
"""
WORDS = ("Dear", "winner", "your", "account", "holds", "extra", "money", "and", "pills")
NAMES = tuple(EVASIONS)


def _evade(raw: bytes, name: str, seed: int = 0) -> bytes:
    return evade(raw, name, np.random.default_rng(seed), GOOD)


def _letters(text: str) -> str:
    """What is left for a person who reads over every trick: the letters of the normal form."""
    return "".join(c for c in plain(text) if c.isalpha())


@given(raw_messages(), st.sampled_from(NAMES), st.integers(0, 9))
def test_any_bytes_are_written_anew(raw: bytes, name: str, seed: int) -> None:
    """Training meets damaged mail; no message stops it, and the same seed writes the same."""
    written = _evade(raw, name, seed)
    assert written == _evade(raw, name, seed)
    for good in ([], [""]):
        assert parse(evade(raw, name, np.random.default_rng(seed), good)).subject == (
            parse(written).subject
        )
    assert parse(written).subject or not parse(raw).subject


@pytest.mark.parametrize("name", NAMES)
def test_chance_chooses(name: str) -> None:
    """A trick is not one fixed text that training would learn by heart."""
    written = {_evade(RAW, name, seed) for seed in range(9)}
    assert (len(written) > 1) == (name not in ("base64", "image-only"))


@given(messages(), st.sampled_from(NAMES))
def test_who_sent_it_stays(raw: bytes, name: str) -> None:
    """Headers that are not of the body's form come through as they were, in their order."""
    replaced = re.compile("subject|mime-version|content-")

    def kept(message: bytes) -> list[tuple[str, str]]:
        return [field for field in parse(message).headers if not replaced.match(field[0])]

    assert kept(_evade(raw, name)) == kept(raw)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("before", [b"", b"From desk@prize.example Thu Aug 22 12:36:23 2002\n"])
def test_fields_that_are_replaced_are_there_once(name: str, newline: bytes, before: bytes) -> None:
    """The old subject and the old content type are gone, with their folded lines."""
    message = parse(_evade(before + RAW.replace(b"\n", newline), name))
    fields = [field for field, _ in message.headers]
    assert len(fields) == len(set(fields))
    assert {"received", "from", "reply-to", "date", "subject", "content-type"} <= set(fields)
    assert message.header("received") == "from mx.example.org by mx.example.net"
    assert _letters(message.subject) == "claimyourcasinobonus"


@pytest.mark.parametrize("name", NAMES)
def test_text_without_a_blank_line_is_written_anew(name: str) -> None:
    """Enron's form: text below the fields is text, and does not stay there as it was."""
    raw = (
        b"From: a@b.example\nSubject: hello\nplease send some extra money\nto : bob\n\nmore below\n"
    )
    written = _evade(raw, name)
    assert b"please send some extra money\nto : bob\nSubject" not in written
    message = parse(written)
    assert message.subject.replace(" ", "").isascii() or name in ("homoglyphs", "zero-width")
    assert [field for field, _ in message.headers][:2] == ["from", "subject"]
    assert ("moneytobob" in _letters(message.text)) == (name != "image-only")


@pytest.mark.parametrize("raw", [b"Free money for all\n\nhere", b"", b"\n\nlook at this"])
@pytest.mark.parametrize("name", NAMES)
def test_text_without_headers_gets_some(raw: bytes, name: str) -> None:
    """A text message of a corpus without headers has only those that the body needs."""
    fields = [field for field, _ in parse(_evade(raw, name)).headers]
    assert fields[:2] == ["subject", "mime-version"]
    assert all(field.startswith("content-") for field in fields[2:])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "image-only"])
@pytest.mark.parametrize("seed", range(5))
def test_a_person_still_reads_it(name: str, seed: int) -> None:
    """What is asked for is legible, else it would be no spam any more."""
    message = parse(_evade(RAW, name, seed))
    assert _letters(message.text).startswith(_letters("".join(WORDS)))
    assert "answerbeforetomorrow" in _letters(message.text)
    assert message.text.count("http://prize.example/claim-now") == 1


@given(words(1), st.sampled_from(NAMES[:-1]), st.integers(0, 9))
def test_the_words_come_back_in_the_normal_form(text: str, name: str, seed: int) -> None:
    """The reader sees through what is undone before it reads, in every script."""
    raw = f"From: a@b.example\nContent-Type: text/plain; charset=utf-8\n\n{text}\n".encode()
    before, after = plain(text), plain(parse(_evade(raw, name, seed)).text)
    if name == "spacing":  # two spaced words side by side are one, and then no longer two
        before, after = (re.sub("[ ._-]", "", said) for said in (before, after))
    assert after.split()[: len(before.split())] == before.split()


TRICKS = {
    "spacing": r"\b(?:\w[ ._-]){3,}\w\b",
    "homoglyphs": "[\u0400-\u04ff]",
    "zero-width": "[\u200b\u200c\u200d\u2060\u00ad]",
    "html-tricks": r"<!-- x -->|<b></b>|font-size:0|&#8203;",
    "good-words": r"(?s)tomorrow\n\n\n\n.*(?:meeting|lunch|thanks)",
    "image-only": r"(?s)<img src=\"cid:1\">.*Content-ID: <1>",
}


@pytest.mark.parametrize("name", TRICKS)
def test_the_trick_is_there(name: str) -> None:
    """An evasion that changes nothing would say that nothing is missed."""
    found = re.compile(TRICKS[name])
    assert found.search(_evade(RAW, name).decode())
    assert not found.search(RAW.decode())


def test_base64_hides_the_text_from_who_reads_bytes() -> None:
    """Not a word of it is there as it was."""
    written = _evade(RAW, "base64")
    assert not any(word.encode() in written for word in WORDS if len(word) > 3)


def test_html_hides_innocent_words() -> None:
    """They are for the filter, not for the reader: the parser finds them hidden."""
    message = parse(_evade(RAW, "html-tricks"))
    assert any(word in message.hidden for word in ("meeting", "lunch", "thanks"))
    assert not any(word in message.text for word in ("meeting", "lunch"))
    assert [link.url for link in message.links] == ["http://prize.example/claim-now"]


@pytest.mark.parametrize("place", ["http://prize.example/claim-now", None])
def test_a_picture_keeps_the_link_and_nothing_to_read(place: str | None) -> None:
    """Of the message stay subject, sender and where it leads; without a link it gets one."""
    raw = RAW if place else RAW.replace(b"http://prize.example/claim-now", b"")
    message = parse(_evade(raw, "image-only"))
    assert not message.text.strip()
    assert [link.url for link in message.links] == [place or "http://203.0.113.9/go"]
    assert "images" in message.marks
    assert [part.content_type for part in message.attachments] == ["image/png"]


def test_links_are_never_broken() -> None:
    """A spammer's link works; one that is cut up would be another message."""
    raw = RAW.replace(b"/claim-now", b"/claim-now?account=extra&money=pills")
    for name in NAMES:
        for seed in range(5):
            urls = [link.url for link in parse(_evade(raw, name, seed)).links]
            assert "http://prize.example/claim-now?account=extra&money=pills" in urls


@pytest.mark.parametrize("name", NAMES)
def test_where_html_leads_is_kept(name: str) -> None:
    """The link of a button is written out where there are no buttons any more."""
    raw = b"From: a@b.example\nContent-Type: text/html\n\n<a href=http://prize.example/x>Claim</a>"
    assert [link.url for link in parse(_evade(raw, name)).links] == ["http://prize.example/x"]


@pytest.mark.parametrize("seed", range(3))
def test_signs_of_markup_stay_text(seed: int) -> None:
    """Plain text that becomes HTML shows what it showed."""
    raw = b"From: a@b.example\n\nif 1 < 2 & <b>this</b> then <!-- look &amp; see -->"
    assert "if1<2&<b>this</b>then<!--look&amp;see-->" in "".join(
        parse(_evade(raw, "html-tricks", seed)).text.replace("\u200b", "").split()
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_long_subject_stays_a_subject(name: str) -> None:
    """What is written fits into what is read of one header, so that it is decoded."""
    raw = RAW.replace(b"Claim your casino bonus", b"casino bonus " * 400)
    assert _letters(parse(_evade(raw, name)).subject).startswith("casinobonuscasinobonus")


HEAD = b"From: a@b.example\n\n"
LARGE = {
    "one word": HEAD + b"a" * 1_000_000,
    "short words": HEAD + b"word " * 200_000,
    "blank lines": HEAD + b"\n" * 1_000_000,
    "marks": HEAD + b"a" + "\u0301".encode() * 400_000,
    "subjects": b"subject:\n" * 100_000,
    "a field of blanks": b"subject" + b" " * 1_000_000,
    "a long name": b"content-" + b"a" * 1_000_000,
    "a folded field": b"subject: x\n" + b" y\n" * 300_000,
    "links": HEAD + b"http://a.example/x " * 50_000,
}


@pytest.mark.parametrize("shape", LARGE)
def test_large_mail_is_written_in_bounded_time(shape: str) -> None:
    """A megabyte of anything takes milliseconds, and what comes out is bounded, too."""
    start = time.process_time()
    for name in NAMES:
        assert len(_evade(LARGE[shape], name)) < 150_000
    assert time.process_time() - start < 3.0


@given(hostile_messages())
def test_padding_is_bounded_by_the_message(raw: bytes) -> None:
    """Innocent words are half as many again as the message has, from 80 to 600."""
    before = len(parse(raw).text.split())
    padding = _evade(raw, "good-words").decode("utf-8", "replace").rpartition("\n\n\n")[2]
    assert len(padding.split()) == max(80, min(600, before * 3 // 2))
