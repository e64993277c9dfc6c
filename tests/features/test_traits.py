"""Message to traits: small facts of form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.messages import message, parsed_messages
from winnow.features.text import words_of
from winnow.features.traits import traits_of
from winnow.message import Address, Attachment, Link, Message

HEADERS = (("from", "Ann <ann@example.org>"),)


def _traits(**changes: Any) -> set[str]:
    parsed = message(**changes)
    return set(traits_of(parsed, words_of(parsed.text)))


@settings(max_examples=30)
@given(parsed_messages())
def test_every_message_has_traits(parsed: Message) -> None:
    """No message raises; traits are few, distinct, in a fixed order and plain phrases."""
    words = words_of(parsed.text)
    found = traits_of(parsed, words)
    assert found == traits_of(parsed, words)
    assert len(found) == len(set(found)) <= 60
    assert all(trait.isascii() and trait.isprintable() and len(trait) < 80 for trait in found)


TEXT = st.text(max_size=40)
ADDRESSES = st.builds(Address, TEXT, st.one_of(TEXT, TEXT.map(lambda t: f"{t}@{t}")))
NAMES = st.sampled_from(["message-id", "return-path", "dkim-signature", "list-unsubscribe", "cc"])
HOSTILE = st.builds(
    message,
    headers=st.lists(st.tuples(NAMES, TEXT), max_size=4).map(tuple),
    subject=TEXT,
    sender=ADDRESSES,
    reply_to=ADDRESSES,
    recipients=st.lists(TEXT, max_size=30).map(tuple),
    text=TEXT,
    hidden=TEXT,
    links=st.lists(st.builds(Link, TEXT, TEXT, TEXT), max_size=4).map(tuple),
    attachments=st.lists(st.builds(Attachment, TEXT, TEXT, st.integers()), max_size=3).map(tuple),
    marks=st.frozensets(st.one_of(TEXT, st.sampled_from(["html", "images", "iframe"])), max_size=4),
)


@settings(max_examples=30)
@given(HOSTILE)
def test_no_field_is_trusted(parsed: Message) -> None:
    """Any text in any field: no exception, and nothing of it is copied into a trait."""
    found = traits_of(parsed, words_of(parsed.text))
    assert len(found) <= 60
    assert all(trait.isascii() and trait.isprintable() and len(trait) < 80 for trait in found)


@pytest.mark.parametrize(
    ("trait", "changes"),
    [
        ("sender: missing", {"sender": Address("", "")}),
        ("sender: no address", {"sender": Address("Ann", "ann")}),
        ("sender domain: free mail", {"sender": Address("Ann", "ann@gmail.com")}),
        ("sender address: robot", {"sender": Address("", "no-reply@example.org")}),
        ("sender address: role", {"sender": Address("", "info@example.org")}),
        ("sender address: many digits", {"sender": Address("", "a123@example.org")}),
        ("sender name: fits its address", {}),
        ("sender name: fits its domain", {"sender": Address("Example", "a@example.org")}),
        ("sender name: another address", {"sender": Address("x@bank.test", "a@example.org")}),
        ("sender name: another domain", {"sender": Address("bank.com", "a@example.org")}),
        ("message id: missing", {}),
        ("message id: same", {"headers": (*HEADERS, ("message-id", "<1@example.org>"))}),
        ("message id: elsewhere", {"headers": (*HEADERS, ("message-id", "<1@other.test>"))}),
        (
            "return path: same organisation",
            {"headers": (*HEADERS, ("return-path", "<b@bounce.example.org>"))},
        ),
        ("replies go: to free mail", {"reply_to": Address("", "x@gmail.com")}),
        (
            "thread: claims to answer, refers to nothing",
            {"subject": "Re: our talk"},
        ),
        ("recipients: 0", {"recipients": ()}),
        ("recipients: 20+", {"recipients": tuple(f"{n}@x.test" for n in range(20))}),
        ("subject: empty", {"subject": " "}),
        ("subject: capitals", {"subject": "WINNER NOW"}),
        ("subject: exclamation", {"subject": "now!"}),
        ("subject: money", {"subject": "$100"}),
        ("subject: ends in a code", {"subject": "offer abc123xyz"}),
        ("words: spaced out", {"text": "V I A G R A"}),
        ("words: mixed alphabets", {"text": "p\u0430ypal"}),
        ("words: invisible signs", {"text": "vi\u200bagra"}),
        ("script: cyrillic", {"text": "\u043f\u0440\u0438\u0432\u0435\u0442"}),
        ("hidden words: 1-4", {"hidden": "good words"}),
        ("body: quotes", {"text": "> said"}),
        ("links: 0", {}),
        ("link: shows another domain", {"links": (Link("http://a.test", "a.test", "bank.com"),)}),
        ("link: shortener", {"links": (Link("http://bit.ly/x", "bit.ly", "x"),)}),
        ("link: very long", {"links": (Link("http://a.test/" + "x" * 300, "a.test", "x"),)}),
        (
            "links to the sender's domain: all",
            {"links": (Link("http://www.example.org", "www.example.org", "x"),)},
        ),
        ("form: html only", {"marks": frozenset({"html"})}),
        ("form: html and plain", {"marks": frozenset({"html", "plain text"})}),
        ("form: image instead of text", {"marks": frozenset({"html", "images"})}),
        ("form: iframe", {"marks": frozenset({"iframe"})}),
        ("attachment: program", {"attachments": (Attachment("x/y", "a.pdf.EXE", 1),)}),
        ("attachment: web page", {"attachments": (Attachment("x/y", "a.html", 1),)}),
        ("attachment: archive", {"attachments": (Attachment("x/y", "a.zip", 1),)}),
        ("attachment: document with macros", {"attachments": (Attachment("x/y", "a.docm", 1),)}),
    ],
)
def test_each_trait_has_its_message(trait: str, changes: dict[str, Any]) -> None:
    """A message that has the trait says so."""
    assert trait in _traits(**changes)


def test_a_plain_message_has_no_alarming_trait() -> None:
    """A person's note carries none of the traits that speak of tricks."""
    alarming = ("link:", "attachment:", "words:", "subject:", "hidden", "form:", "script:")
    assert not [trait for trait in _traits() if trait.startswith(alarming)]


def test_signed_bulk_mail_is_recognised() -> None:
    """Only with a signature of the sender's own domain is an unsubscribe header worth a trait."""
    unsubscribe = (*HEADERS, ("list-unsubscribe", "<https://example.org/u>"))
    bulk = "bulk mail: signed by its sender, can be unsubscribed"
    assert bulk not in _traits(headers=unsubscribe)
    assert bulk in _traits(headers=(*unsubscribe, ("dkim-signature", "v=1; d=example.org; b=x")))
    assert bulk not in _traits(headers=(*unsubscribe, ("dkim-signature", "v=1; d=esp.test; b=x")))
