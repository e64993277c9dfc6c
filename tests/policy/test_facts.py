"""Facts: addresses come out in one form, and text of a message is harmless in a sentence."""

from __future__ import annotations

from policy.facts_of import facts
from winnow.policy.facts import clean_address, shown


def test_addresses_are_lower_case_without_brackets():
    """Doors that hand over "<Anna@Example.ORG>" meet the same rules as those that do not."""
    asked = facts(
        sender="Anna@Example.ORG", envelope_sender=" <B@C.D> ", recipients=("<X@Y.Z>", "", "<>")
    )
    assert asked.from_address == "anna@example.org"
    assert asked.envelope_sender == "b@c.d"
    assert asked.recipients == ("x@y.z",)


def test_an_endless_address_is_none():
    """A hostile address costs no time and matches nothing."""
    assert clean_address("a" * 900 + "@b.c") != ""
    assert clean_address("a" * 1000 + "@b.c") == ""


def test_shown_text_cannot_move_a_terminal_or_flood_it():
    """An escape sequence in an address does not reach the screen."""
    assert shown("a\x1b[2Jb\n\ud800") == "a?[2Jb??"
    assert shown("x" * 500) == "x" * 100 + "..."
    assert shown("") == "unknown"
