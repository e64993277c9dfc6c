"""Facts for the tests of the rule, and a way to mark the place where a fault must be reported."""

from __future__ import annotations

import pytest

from winnow.errors import RuleError
from winnow.message import Address, Message
from winnow.policy import Facts, Rules
from winnow.verdict import Envelope

MARK = "¦"


def facts(
    probability: float = 0.2,
    *,
    sender: str = "anna@example.org",
    envelope_sender: str = "anna@example.org",
    recipients: tuple[str, ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
    subject: str = "",
    size_bytes: int = 1000,
) -> Facts:
    """Return the facts of an ordinary message, but for what is named."""
    subject_header = (("subject", "raw"),) if subject else ()
    message = Message(
        headers=(("from", sender), *subject_header, *headers),
        subject=subject,
        sender=Address("", sender),
        reply_to=Address("", ""),
        message_id="",
        recipients=(),
        text="",
        hidden="",
        links=(),
        attachments=(),
        marks=frozenset(),
        size_bytes=size_bytes,
        truncated=False,
    )
    return Facts(probability, Envelope(envelope_sender, recipients), message, size_bytes)


def one_rule(text: str) -> Rules:
    """Return rules of one rule that junks where `text`, its conditions, holds."""
    return Rules.parse(f'[[rule]]\nname = "r"\naction = "junk"\n{text}\n', origin="t")


def holds(text: str, asked: Facts) -> bool:
    """Say whether the conditions of a rule hold."""
    return one_rule(text).decide(asked).rule == "r"


def fault_of(marked: str) -> RuleError:
    """Parse a text without its mark; assert that the fault is reported where the mark was."""
    before, mark, after = marked.partition(MARK)
    assert mark, "the text names the place of its fault"
    with pytest.raises(RuleError) as caught:
        Rules.parse(before + after, origin="t.toml")
    expected = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert (caught.value.line, caught.value.column) == expected, caught.value
    assert caught.value.origin == "t.toml"
    return caught.value
