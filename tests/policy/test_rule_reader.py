"""One [[rule]]: what it becomes, and the faults of each key."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy.facts_of import fault_of, one_rule
from winnow.policy import Rules
from winnow.policy.conditions import Aligned
from winnow.policy.rule_reader import _RULE_KEYS

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/rules.md").read_text("utf-8")
RULE = "[[rule]]\naction = 'junk'\n"


def rule_of(action: str, text: str) -> Rules:
    """Return rules of one rule with a list at hand."""
    lists = "[lists.f]\nsenders = 'a@x.y'\n"
    return Rules.parse(f"{lists}[[rule]]\naction = '{action}'\n{text}\n", origin="t")


@pytest.mark.parametrize(
    ("action", "text", "expected"),
    [
        ("deliver", "sender = 'a@x.y'", True),
        ("deliver", "from = 'a@x.y'", True),
        ("deliver", "sender_in = 'f'", True),
        ("deliver", "sender_in = 'f'\naligned = false", False),
        ("deliver", "recipient = 'a@x.y'", False),
        ("junk", "sender_in = 'f'", False),
        ("junk", "sender_in = 'f'\naligned = true", True),
        ("flag", "sender = 'a@x.y'", False),
    ],
)
def test_trust_in_a_sender_asks_for_alignment(action: str, text: str, expected: bool):
    """Who delivers for a sender's sake needs proof unless the owner waives it; who blocks, none."""
    rule = rule_of(action, text).rules[0]
    assert any(isinstance(c, Aligned) for c in rule.conditions) is expected


def test_a_rule_without_a_name_is_called_by_its_position():
    """Every decision can name its rule."""
    rules = Rules.parse(f"{RULE}aligned = true\n{RULE}aligned = true", origin="t").rules
    assert [r.name for r in rules] == ["rule 1", "rule 2"]


def test_a_header_may_be_one_table_or_several():
    """All three ways that TOML has for it mean the same."""
    one = one_rule('header = { name = "X", equals = "1" }')
    array = one_rule('header = [{ name = "X", equals = "1" }]')
    tables = one_rule('[[rule.header]]\nname = "X"\nequals = "1"')
    assert one.rules == array.rules == tables.rules


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("¦[[rule]]\nname = 'a'\naligned = true", "needs action"),
        ("¦[[rule]]\naction = 'junk'", "needs a condition"),
        ("¦[[rule]]\naction = 'junk'\naligned = false", "needs a condition"),
        ("rule = [ ¦{ action = 'junk' } ]", "needs a condition"),
        ("[[rule]]\naction = ¦'bin'\naligned = true", "'bin' is no action"),
        ("[[rule]]\naction = ¦1\naligned = true", "must be a text"),
        (RULE + "¦sendr = 'a@x.y'", 'did you mean "sender"'),
        (RULE + "aligned = true\n¦junk = 0.9", "unknown key 'junk'"),
        (RULE + "name = ¦''\naligned = true", "a name has"),
        (RULE + "name = ¦'a\tb'\naligned = true", "a name has"),
        (RULE + "name = ¦'a\"b'\naligned = true", "a name has"),
        (RULE + "name = ¦'" + "x" * 65 + "'\naligned = true", "a name has"),
        (RULE + "name = ¦'default'\naligned = true", "belong to thresholds"),
        (RULE + "name = ¦'recipient x'\naligned = true", "belong to thresholds"),
        (RULE + "sender = ¦'x.y'", "no address pattern"),
        (RULE + "sender = ¦1", "must be a text"),
        (RULE + "from = ['a@x.y', ¦'**@x.y']", '"**" is no pattern'),
        (RULE + "envelope_sender = ¦''", "must not be empty"),
        (RULE + "recipient = ¦{ is = 'a@x.y' }", "must be a text"),
        (RULE + "sender_in = ¦'friends'", "there is no list 'friends'"),
        (RULE + "aligned = ¦'yes'", "must be true or false"),
        (RULE + "probability = ¦0.5", "must be a table"),
        (RULE + "probability = ¦{}", '"at_least", "below" or both'),
        (RULE + "probability = { ¦above = 0.5 }", "unknown key 'above'"),
        (RULE + "probability = { at_least = ¦1.5 }", "from 0 to 1"),
        (RULE + "probability.below = ¦nan", "from 0 to 1"),
        (RULE + "probability = { at_least = 0.5, below = ¦0.5 }", "nothing is"),
        (RULE + "size_bytes = { at_least = ¦1.5 }", "must be a whole number"),
        (RULE + "size_bytes = { at_least = ¦-1 }", "from 0 to"),
        (RULE + "header = ¦'X'", "array of tables"),
        (RULE + "header = ¦{ equals = 'x' }", 'needs "name"'),
        (RULE + "header = ¦{ name = 'X' }", "needs one of"),
        (RULE + "header = [{ name = 'X', equals = '1' },\n ¦{ name = 'X' }]", "needs one of"),
        (RULE + "header = ¦{ name = 'X', equals = 'a', contains = 'b' }", "needs one of"),
        (RULE + "header = { name = ¦'X:', equals = 'a' }", "no name of a header"),
        (RULE + "header = { name = 'X', ¦equal = 'a' }", 'did you mean "equals"'),
        (RULE + "header = { name = 'X', equals = ¦'' }", "a text has"),
        (RULE + "header = { name = 'X', contains = ['a', ¦' '] }", "a text has"),
        (RULE + "header = { name = 'X', matches = ¦'a**' }", "no pattern"),
        (RULE + "[rule.header]\nname = 'X'\nmatches = ¦''", "must not be empty"),
        (
            RULE + "[[rule.header]]\nname = 'X'\nequals = '1'\n¦[[rule.header]]\nname = 'Y'",
            "one of",
        ),
    ],
)
def test_faults_are_placed_exactly(marked: str, words: str):
    """Every slip in a rule stops the start at its own line and column."""
    before = "[[rule]]\nname = 'earlier'\naction = 'flag'\naligned = true\n"
    assert words in fault_of(marked).reason
    if marked.startswith(("[[", "¦[[")):
        assert words in fault_of(before + marked).reason


def test_too_many_texts_for_a_header():
    """The texts of a condition are tried one by one, so their number is bounded."""
    texts = ",".join(f"'{i}'" for i in range(1001))
    fault = fault_of(f"{RULE}header = {{ name = 'X', equals = ¦[{texts}] }}")
    assert "at most 1,000 texts" in fault.reason
    addresses = ",".join(f"'a*@d{i}.y'" for i in range(1001))
    assert "1,000 patterns" in fault_of(f"{RULE}sender = ¦[{addresses}]").reason


def test_every_key_is_documented():
    """A key that the page does not name does not exist for the user."""
    words = {*_RULE_KEYS, "equals", "contains", "matches", "senders", "file"}
    assert [word for word in words if f"`{word}" not in PAGE] == []
    assert "{ at_least = P, below = P }" in PAGE
