"""Messages and their parts, for the tests of the features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.strategies import raw_messages
from winnow.mail import parse
from winnow.message import Address, Message

PLAIN = Message(
    headers=(("from", "Ann <ann@example.org>"),),
    subject="A word",
    sender=Address("Ann", "ann@example.org"),
    reply_to=Address("", ""),
    message_id="1@example.org",
    recipients=("you@example.org",),
    text="some words of a body",
    hidden="",
    links=(),
    attachments=(),
    marks=frozenset({"plain text"}),
    size_bytes=100,
    truncated=False,
)


def message(**changes: Any) -> Message:
    """Return a plain message with some fields changed."""
    return replace(PLAIN, **changes)


def parsed_messages() -> st.SearchStrategy[Message]:
    """Return messages of any kind, hostile ones too, as the parser gives them."""
    return raw_messages().map(parse)


VOCABULARY = ("free", "money", "report", "Grüße", "10", "a", "b", "winner", "$", "!")


def texts() -> st.SearchStrategy[list[str]]:
    """Return short texts as lists of words."""
    return st.lists(st.sampled_from(VOCABULARY), max_size=12)
