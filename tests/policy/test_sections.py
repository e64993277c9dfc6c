"""The sections of a rule file: thresholds, recipients, lists, and the faults of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy.facts_of import fault_of
from winnow.errors import RuleError
from winnow.policy import Rules, Thresholds
from winnow.policy.sections import MAX_RULES


def test_thresholds_have_defaults():
    """What is not written is 0.90 and 0.50."""
    assert Rules.parse("", origin="t").thresholds == Thresholds(0.90, 0.50)
    assert Rules.parse("[thresholds]\njunk = 1", origin="t").thresholds == Thresholds(1, 0.50)


def test_a_recipient_inherits_what_it_does_not_set():
    """One line is enough for one recipient's wish."""
    text = '[thresholds]\nflag = 0.4\n[recipients]\n"@x.y" = { junk = 0.99 }\n"a@x.y" = {}'
    found = Rules.parse(text, origin="t").recipients
    assert found.find("b@x.y") == ("@x.y", Thresholds(0.99, 0.4))
    assert found.find("a@x.y") == ("a@x.y", Thresholds(0.90, 0.4))


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("¦junk = 0.9", "unknown key 'junk'; known are thresholds"),
        ("[thresholds]\n¦jnk = 0.9", 'did you mean "junk"'),
        ("thresholds.¦jnk = 0.9", 'did you mean "junk"'),
        ("thresholds = { flag = 0.1, ¦spam = 0.9 }", "unknown key 'spam'"),
        ("[¦treshold]\n", 'did you mean "thresholds"'),
        ("thresholds = ¦0.9", "must be a table, not a number"),
        ("¦[[thresholds]]\njunk = 0.9", "must be a table, not an array"),
        ("[thresholds]\njunk = ¦'0.9'", "must be a number, not a text"),
        ("[thresholds]\njunk = ¦true", "must be a number, not true or false"),
        ("[thresholds]\njunk = ¦nan", "from 0 to 1"),
        ("[thresholds]\njunk = ¦inf", "from 0 to 1"),
        ("[thresholds]\njunk = ¦-0.1", "from 0 to 1"),
        ("[thresholds]\njunk = ¦90", "from 0 to 1"),
        ("[thresholds]\nflag = ¦1.0001", "from 0 to 1"),
        ("[thresholds]\njunk = ¦0x" + "F" * 900, "from 0 to 1"),
        ("[thresholds]\nflag = ¦0.95", "flag, 0.95, must not be above junk, 0.9"),
        ("[thresholds]\njunk = ¦0.3", "flag, 0.5, must not be above junk, 0.3"),
        ("[thresholds]\nflag = ¦0.6\njunk = 0.5", "must not be above"),
        ("recipients = ¦[]", "must be a table, not an array"),
        ('[recipients]\n"a@x.y" = ¦0.9', "must be a table, not a number"),
        ('[recipients]\n¦"x.y" = {}', 'write "@x.y"'),
        ('[recipients.¦"x.y"]\njunk = 0.9', 'write "@x.y"'),
        ('[recipients]\n"@x.y" = {}\n¦"*@x.y" = {}', "there twice"),
        ('[recipients."a@x.y"]\njunk = ¦2', "from 0 to 1"),
        ('[recipients]\n"a@x.y".junk = ¦0.1', "must not be above junk"),
        ('[recipients]\n"a@x.y" = { junk = 0.9, ¦when = 1 }', "unknown key 'when'"),
        ('[lists]\nf = ¦["a@x.y"]', "must be a table, not an array"),
        ("[lists]\n¦'a\tb' = {}", "printable"),
        ("[lists]\nf = ¦{}", '"senders", "file" or both'),
        ("¦[lists.f]\n", '"senders", "file" or both'),
        ("[lists.f]\nsenders = ¦[]", "must not be empty"),
        ("[lists.f]\nsenders = ['a@x.y',\n  ¦'b']", "no address pattern"),
        ("[lists.f]\nsenders = ['a@x.y', ¦1]", "must be a text"),
        ("[lists.f]\nfile = ¦1", "must be a text"),
        ("[lists.f]\nfile = ¦'f.txt'", "beside"),
        ("[lists.f]\nsenders = 'a@x.y'\n¦adresses = 'x'", "unknown key"),
        ("rule = ¦1", "array of tables"),
        ("¦[rule]\n", "array of tables"),
        ("rule = [{name = 'x', action = 'junk', aligned = true}, ¦1]", "must be a table"),
    ],
)
def test_faults_are_placed_exactly(marked: str, words: str):
    """Wherever TOML lets a key stand, its fault is found there."""
    assert words in fault_of(marked).reason
    assert words in fault_of("# first\n\n" + marked).reason


def test_a_missing_list_file_is_placed_where_it_is_named(tmp_path: Path):
    """The start stops at the line that names what is not there."""
    path = tmp_path / "rules.toml"
    path.write_text('[lists.f]\nfile = "no.txt"\n')
    with pytest.raises(RuleError, match=r"no\.txt.*No such file") as caught:
        Rules.load(path)
    assert (caught.value.line, caught.value.column) == (2, 8)


def test_too_many_patterns_that_cost():
    """Odd patterns are tried one by one, so their number is bounded."""
    many = "\n".join(f'"a*@d{i}.y" = {{}}' for i in range(1001))
    assert "1,000 patterns" in fault_of("¦[recipients]\n" + many).reason
    senders = ",".join(f'"a*@d{i}.y"' for i in range(1001))
    assert "1,000 patterns" in fault_of(f"¦[lists.f]\nsenders = [{senders}]").reason


def test_rules_have_a_limit_and_their_own_names():
    """A thousand and first rule, or a second of the same name, stops the start."""
    rule = "[[rule]]\naction = 'junk'\naligned = true\n"
    assert len(Rules.parse(rule * MAX_RULES, origin="t").rules) == MAX_RULES
    assert "put addresses into a list" in fault_of(rule * MAX_RULES + "¦" + rule).reason
    assert "another rule" in fault_of(f"{rule}name = 'a'\n{rule}name = ¦'a'\n").reason
    assert "another rule" in fault_of(f"{rule}name = 'rule 2'\n¦{rule}").reason
