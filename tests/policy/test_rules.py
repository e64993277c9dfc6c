"""Rules as a whole: first match acts, thresholds, recipients, and nothing but RuleError."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.facts_of import facts
from winnow.errors import RuleError
from winnow.policy import Rules
from winnow.policy.syntax import MAX_TEXT
from winnow.verdict import Action, Envelope

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/rules.md").read_text("utf-8")
PAGES_EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLE = """\
[thresholds]
junk = 0.90
flag = 0.50
[recipients]
"boss@example.org" = { junk = 0.99, flag = 0.80 }
"@example.org" = { junk = 0.95 }
"*@*.test" = { junk = 0.60, flag = 0.55 }
[lists.friends]
senders = ["anna@example.org", "@partner.test"]
file = "friends.txt"
[[rule]]
name = "trap"
action = "junk"
recipient = "trap@example.org"
[[rule]]
name = "friends"
action = "deliver"
sender_in = "friends"
[[rule]]
name = "list"
action = "flag"
header = { name = "List-Id", contains = "dev" }
probability = { at_least = 0.3 }
"""


@pytest.fixture
def example(tmp_path: Path) -> Rules:
    """Return the rules of EXAMPLE with its list file."""
    (tmp_path / "friends.txt").write_text("zoe@far.test\n")
    path = tmp_path / "rules.toml"
    path.write_text(EXAMPLE)
    return Rules.load(path)


@pytest.mark.parametrize(
    ("probability", "action", "words"),
    [
        (1.0, "junk", "1, is at or above the junk threshold 0.9"),
        (0.90, "junk", "0.9 is at or above the junk threshold 0.9, so"),
        (0.8999, "flag", "at or above the flag threshold 0.5 and below the junk threshold 0.9"),
        (0.50, "flag", "so the message is flagged."),
        (0.4999, "deliver", "0.4999 is below the flag threshold 0.5, so the message is delivered."),
        (0.0, "deliver", "is delivered"),
        (math.nan, "deliver", "is delivered"),
    ],
)
def test_the_default_rule(probability: float, action: str, words: str):
    """At 0.90 or more junk, at 0.50 or more flag, else deliver."""
    rules = Rules.default()
    decision = rules.decide(facts(probability))
    assert (decision.action, decision.rule) == (Action(action), "default")
    assert words.replace("1, is", "1 is") in decision.why
    assert (rules.junk_threshold, rules.flag_threshold) == (0.90, 0.50)
    assert Rules.parse("", origin="t") == rules


def test_the_first_rule_that_applies_acts(example: Rules):
    """Order is the owner's: a trap before friends, friends before the probability."""
    friend = facts(0.99)
    assert example.decide(friend).rule == "friends"
    trapped = facts(0.0, recipients=("trap@example.org",))
    assert (example.decide(trapped).action, example.decide(trapped).rule) == (Action.JUNK, "trap")
    listed = facts(0.99, sender="a@b.test", headers=(("list-id", "<dev>"),))
    assert (example.decide(listed).action, example.decide(listed).rule) == (Action.FLAG, "list")


def test_a_list_file_counts_as_inline_senders(example: Rules):
    """Both sources fill one list."""
    asked = facts(0.99, sender="zoe@far.test", envelope_sender="zoe@far.test")
    assert example.decide(asked).action is Action.DELIVER


def test_a_forged_friend_is_not_trusted(example: Rules):
    """From alone does not open the door."""
    assert example.decide(facts(0.99, envelope_sender="x@evil.test")).action is Action.JUNK
    assert example.decide(facts(0.99, envelope_sender="")).action is Action.JUNK


@pytest.mark.parametrize(
    ("recipients", "probability", "action", "rule"),
    [
        (("boss@example.org",), 0.98, "flag", "recipient boss@example.org"),
        (("boss@example.org",), 0.79, "deliver", "recipient boss@example.org"),
        (("other@example.org",), 0.94, "flag", "recipient @example.org"),
        (("other@example.org",), 0.96, "junk", "recipient @example.org"),
        (("x@y.test",), 0.60, "junk", "recipient *.test"),
        (("x@else.where",), 0.90, "junk", "default"),
        (("x@y.test", "x@else.where"), 0.80, "flag", "recipient *.test"),
        (("x@y.test", "boss@example.org"), 0.98, "flag", "recipient boss@example.org"),
        (("boss@example.org", "x@y.test"), 0.98, "flag", "recipient boss@example.org"),
        (("x@y.test", "x@else.where"), 0.52, "deliver", "recipient *.test"),
    ],
)
def test_thresholds_by_recipient(
    example: Rules, recipients: tuple[str, ...], probability: float, action: str, rule: str
):
    """The most specific pattern counts; of several recipients the most cautious threshold."""
    asked = facts(probability, sender="a@b.c", recipients=recipients)
    decision = example.decide(asked)
    assert (decision.action, decision.rule) == (Action(action), rule)
    assert (f'"{rule.partition(" ")[2]}"' in decision.why) == (rule != "default")


def test_trials_tell_the_whole_way(example: Rules):
    """Each rule before the one that decided says what did not hold."""
    trials = example.trials(facts(0.99, envelope_sender="x@evil.test"))
    assert [(t.rule, t.applied) for t in trials] == [
        ("trap", False),
        ("friends", False),
        ("list", False),
        ("default", True),
    ]
    assert trials[0].why == "the recipients are unknown"
    assert "do not agree" in trials[1].why
    assert trials[2].why == "there is no header List-Id"
    assert [t.rule for t in example.trials(facts())] == ["trap", "friends"]


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [(b"a = 1\nb = \xff", 2, 5), (b"\xef\xbb\xbfa = ]", 1, 5), (None, 0, 0)],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, data: bytes | None, line: int, column: int):
    """Wrong bytes have a place; a missing file has none."""
    path = tmp_path / "rules.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(RuleError) as caught:
        Rules.load(path)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(path) in str(caught.value)


def test_a_folder_or_a_giant_is_no_rule_file(tmp_path: Path):
    """Mistakes at the command line are told plainly."""
    with pytest.raises(RuleError, match="not a regular file"):
        Rules.load(tmp_path)
    path = tmp_path / "big"
    path.write_bytes(b"#" * (MAX_TEXT + 1))
    with pytest.raises(RuleError, match="1,048,576 bytes"):
        Rules.load(path)


KEYS = st.sampled_from(
    [
        *("thresholds", "junk", "flag", "recipients", "lists", "senders", "file", "rule", "name"),
        *("action", "sender", "from", "sender_in", "aligned", "recipient", "header", "equals"),
        *("contains", "matches", "size_bytes", "probability", "at_least", "below"),
    ]
)
SCRAPS = st.one_of(
    KEYS,
    st.sampled_from(list("[]{}=,.\n\"'#\\ ")),
    st.sampled_from(["[[rule]]\n", "[lists.f]\n", "[thresholds]\n", " = ", "0.5", '"@x.y"', "nan"]),
    st.sampled_from(
        ['"junk"', "true", "1e999", "0xFF", '"""', "'''", "1979-05-27", "\r\n", "\ud800"]
    ),
    st.text(max_size=5),
)
TEXTS = st.text(st.characters(), max_size=80) | st.lists(SCRAPS, max_size=40).map("".join)

MAILS = st.builds(
    lambda p, sender, envelope, to, headers, subject, size: facts(
        p,
        sender=sender,
        envelope_sender=envelope.sender,
        recipients=to,
        headers=headers,
        subject=subject,
        size_bytes=size,
    ),
    st.floats(),
    st.text(st.characters(), max_size=20) | st.sampled_from(["a@x.y", "*.x.y", "@"]),
    st.builds(Envelope, st.text(st.characters(), max_size=20)),
    st.lists(st.text(st.characters(), max_size=9), max_size=3).map(tuple),
    st.lists(st.tuples(st.sampled_from(["x", "from"]), st.text(st.characters()))).map(tuple),
    st.text(st.characters(), max_size=20),
    st.integers(),
)


@given(TEXTS)
def test_any_text_is_rules_or_a_rule_error(text: str):
    """No text, however odd, makes another exception; a fault always has a place inside the text."""
    error = None
    try:
        Rules.parse(text, origin="fuzz").decide(facts())
    except RuleError as caught:
        error = caught
    if error is not None:
        lines = text.replace("\r\n", "\n").split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert str(error).encode()


@given(MAILS)
def test_no_mail_makes_decide_raise(asked: object):
    """Whatever the mail says, there is an answer, and it can be printed."""
    text = EXAMPLE.replace('file = "friends.txt"\n', "") + (
        "[[rule]]\naction='junk'\nsender='*.x.y'\nheader={name='X', matches='*a*'}\n"
        "[[rule]]\naction='flag'\nsize_bytes={below=0xFFFF}\n"
        "header={name='Subject', contains='b'}"
    )
    rules = Rules.parse(text, origin="t")
    decision = rules.decide(asked)  # type: ignore[arg-type]
    assert decision.action in set(Action)
    assert decision.why.isprintable()
    assert rules.trials(asked)[-1].rule == decision.rule  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["a.", "[", "a=1\n", "[[rule]]\n", "a=[],\n"])
def test_any_long_text_is_read_in_bounded_time(piece: str):
    """The server's start does not hang on a file: tomllib alone takes minutes for some of these."""
    text = piece * (200_000 // len(piece))
    start = time.process_time()
    with pytest.raises(RuleError):
        Rules.parse(text, origin="t")
    assert time.process_time() - start < 10


def test_a_decision_costs_microseconds(example: Rules):
    """The rule is no part of the price of a mail."""
    asked = facts(0.2, sender="a@b.c", recipients=("x@else.where",))
    start = time.process_time()
    for _ in range(1000):
        example.decide(asked)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("example", PAGES_EXAMPLES)
def test_every_example_is_a_rule_file(example: str):
    """What a user copies from the page starts the server."""
    assert Rules.parse(example, origin="page").rules


def test_the_page_has_its_examples():
    """Protects the test above from a page whose examples it no longer finds."""
    assert len(PAGES_EXAMPLES) == 2
