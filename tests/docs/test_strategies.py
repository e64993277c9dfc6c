"""The shared strategies make what their names say."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import Phase, given, settings

from tests.strategies import hostile_messages, messages


@given(messages())
def test_messages_are_in_good_form(raw: bytes) -> None:
    """A "careful" message has its headers, a body and no defect by an independent parser."""
    # The ban on the standard library's parser is for the product; here it is the oracle.
    parsed = email.message_from_bytes(raw, policy=email.policy.compat32)  # noqa: TID251
    assert {"From", "To", "Subject", "Message-ID"} <= set(parsed.keys())
    assert all(not part.defects for part in parsed.walk())
    assert len(raw) < 50_000


@pytest.mark.slow
def test_hostile_messages_reach_the_known_traps() -> None:
    """The hostile strategy really makes NULs, lies about charset and bare nesting."""
    traps = {b"\x00", b"charset=x-unknown", b"message/rfc822\n\nContent-Type"}
    seen: set[bytes] = set()

    @settings(max_examples=2000, database=None, phases=[Phase.generate])
    @given(hostile_messages())
    def collect(raw: bytes) -> None:
        seen.update(trap for trap in traps if trap in raw)

    collect()
    assert seen == traps
