"""The nouns of a message, and where an mbox left its line before one."""

from __future__ import annotations

import dataclasses
import time

import pytest
from hypothesis import given

from tests.strategies import addresses, messages
from winnow.message import Address, Attachment, Link, Message, strip_envelope_line

MESSAGE = Message(
    headers=(("received", "one"), ("received", "two"), ("subject", "")),
    subject="",
    sender=Address("Ann", "ann@b.example"),
    reply_to=Address("", ""),
    message_id="1@b.example",
    recipients=("c@d.example",),
    text="hello",
    hidden="",
    links=(Link("http://a.example/", "a.example", ""),),
    attachments=(Attachment("application/pdf", "a.pdf", 10),),
    marks=frozenset({"plain text"}),
    size_bytes=100,
    truncated=False,
)
ENVELOPE = b"From a@b.example Sun Nov 28 21:36:46 2004\n"


@given(addresses())
def test_the_domain_is_what_follows_the_last_at(address: str) -> None:
    """A quoted local part may hold an "@" of its own."""
    local, _, domain = address.rpartition("@")
    assert Address("", address).domain == domain
    assert Address("", f'"x@{local}"@{domain}').domain == domain


@pytest.mark.parametrize(("address", "domain"), [("", ""), ("ann", ""), ("ann@", ""), ("@b", "b")])
def test_malformed_addresses_have_a_domain_or_none(address: str, domain: str) -> None:
    """What is no address belongs to no domain, rather than to a made-up one."""
    assert Address("", address).domain == domain


def test_headers_are_found_by_name() -> None:
    """The first of several; an empty value is not a missing one."""
    assert MESSAGE.header("received") == "one"
    assert MESSAGE.header("subject") == ""
    assert MESSAGE.header("to") is None


def test_a_message_cannot_be_changed() -> None:
    """Features, rules and reasons read the same values."""
    for value in (MESSAGE, MESSAGE.sender, MESSAGE.links[0], MESSAGE.attachments[0]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, "other")


@given(messages())
def test_envelope_lines_go_and_the_message_stays(raw: bytes) -> None:
    """One or some of them, quoted or with blank lines before, are no part of the message."""
    assert strip_envelope_line(raw) == raw
    assert strip_envelope_line(b"\r\n\n" + raw) == raw
    assert strip_envelope_line(ENVELOPE + raw) == raw
    assert strip_envelope_line(b">" + ENVELOPE + ENVELOPE + raw) == raw


@pytest.mark.parametrize(
    "raw",
    [b"", b"From 5 to 2 only\n", b"From: a@b.example 21:36\n", b"From a at 10:00", b"x\nFrom"],
)
def test_text_that_begins_like_an_envelope_line_stays(raw: bytes) -> None:
    """A line of text may begin with "From " too."""
    assert strip_envelope_line(raw) == raw


def test_a_file_of_envelope_lines_costs_no_time() -> None:
    """Only so many lines are taken for what mailboxes added, and each is read once."""
    start = time.process_time()
    rest = strip_envelope_line(ENVELOPE * 100_000)
    assert time.process_time() - start < 0.1
    assert len(rest) > 99_000 * len(ENVELOPE)
