"""A rule: all its conditions must hold, and the first that does not says why."""

from __future__ import annotations

from policy.facts_of import facts, one_rule


def test_a_rule_applies_when_all_its_conditions_hold():
    """One that fails is enough, and it is the one that is named."""
    rule = one_rule("from = '@example.org'\nsize_bytes = { at_least = 500 }").rules[0]
    assert rule.applies(facts())
    assert rule.why_not(facts()) == ""
    small = facts(size_bytes=1)
    assert not rule.applies(small)
    assert rule.why_not(small) == "the size in bytes, 1, is not at least 500"


def test_why_names_every_condition_and_the_deed():
    """The sentence holds the whole story."""
    rule = one_rule("from = '@example.org'\nsize_bytes = { at_least = 500 }").rules[0]
    assert rule.why(facts()) == (
        'Rule "r" applies: From anna@example.org matches "@example.org"; '
        "the size in bytes, 1,000, is at least 500; so the message goes to the spam folder."
    )
