"""`winnow rule test`: the rule that fires, the reasons of those before it, and clean faults."""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.policy.facts_of import facts
from winnow.cli import rule
from winnow.errors import InputError
from winnow.policy import Rules
from winnow.verdict import Action, Envelope, Verdict

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/rules.md").read_text("utf-8")
RULES = """\
[[rule]]
name = "friend"
action = "deliver"
from = "@example.org"
[[rule]]
name = "big"
action = "flag"
size_bytes = { at_least = 20 }
"""
RAW = b"From: anna@example.org\nMessage-ID: <1@x.y>\n\nhello\n"


class FakeFilter:
    """Answers 0.95 for every message."""

    def __init__(self, rules: Path) -> None:
        self.rules = Rules.load(rules)
        self.asked: list[tuple[bytes, Envelope]] = []
        self.closed = False

    def check(self, raw: bytes, envelope: Envelope, *, explain: bool) -> Verdict:
        """Return the answer that the test expects."""
        self.asked.append((raw, envelope))
        assert not explain
        return Verdict(
            "1@x.y\x1b", "00", 0.95, Action.JUNK, "default", "reflex", (), 0.1, "m@1", len(raw)
        )

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[FakeFilter]:
    """Put the fake in the pipeline's place; return the filters that were opened."""
    made: list[FakeFilter] = []

    def open_filter(model: Path | None, *, rules: Path) -> FakeFilter:
        made.append(FakeFilter(rules))
        return made[-1]

    pipeline, mail = ModuleType("winnow.pipeline"), ModuleType("winnow.mail")
    pipeline.Filter = SimpleNamespace(open=open_filter)  # type: ignore[attr-defined]
    mail.parse = lambda raw: facts(size_bytes=len(raw)).message  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "winnow.pipeline", pipeline)
    monkeypatch.setitem(sys.modules, "winnow.mail", mail)
    return made


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return the paths of a rule file and a message."""
    (tmp_path / "r.toml").write_text(RULES)
    (tmp_path / "m.eml").write_bytes(RAW)
    return [str(tmp_path / "r.toml"), str(tmp_path / "m.eml")]


def run(*words: str) -> int:
    """Run the verb as `winnow rule` would."""
    parser = argparse.ArgumentParser()
    rule.add_arguments(parser)
    return rule.run(parser.parse_args(["test", *words]))


def test_the_rule_that_fires_and_those_before(
    opened: list[FakeFilter], files: list[str], capsys: pytest.CaptureFixture[str]
):
    """A person sees the decision first and then the way to it."""
    assert run(*files, "--sender", "x@evil.test") == 0
    assert capsys.readouterr().out == (
        "message      1@x.y?\n"
        "probability  0.95\n"
        "action       flag\n"
        "rule         big\n"
        "\n"
        'Rule "big" applies: the size in bytes, 50, is at least 20; so the message is flagged.\n'
        "\n"
        "Earlier rules that did not fire:\n"
        "  friend: From anna@example.org and the envelope sender x@evil.test do not agree\n"
    )
    assert opened[0].closed


def test_json_and_the_envelope(
    opened: list[FakeFilter], files: list[str], capsys: pytest.CaptureFixture[str]
):
    """A program gets one object, and the options reach the filter."""
    words = ("--sender", "a@example.org", "--recipient", "b@x.y", "--recipient", "c@x.y", "--json")
    assert run(*files, *words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ["id", "probability", "action", "rule", "why", "earlier"]
    assert (answer["rule"], answer["action"], answer["earlier"]) == ("friend", "deliver", [])
    assert opened[0].asked == [(RAW, Envelope("a@example.org", ("b@x.y", "c@x.y")))]


def test_standard_input(
    opened: list[FakeFilter], files: list[str], monkeypatch: pytest.MonkeyPatch
):
    """`-` reads the message from a pipe."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"piped")))
    assert run(files[0], "-") == 0
    assert opened[0].asked[0][0] == b"piped"


def test_a_message_that_is_not_there(opened: list[FakeFilter], files: list[str]):
    """The sentence names the file."""
    with pytest.raises(InputError, match=r"none\.eml: the message cannot be read: No such"):
        run(files[0], "none.eml")


def test_thresholds_decide_when_no_rule_does():
    """Every rule is told with its reason."""
    rules = Rules.parse(RULES, origin="t")
    asked = facts(0.6, sender="a@b.c", size_bytes=1)
    answer = rule.explain(rules, asked, SimpleNamespace(id="x"))  # type: ignore[arg-type]
    assert answer["rule"] == "default"
    assert [e["rule"] for e in answer["earlier"]] == ["friend", "big"]  # type: ignore[attr-defined]


def test_every_option_is_documented():
    """An option that the page does not name does not exist for the user."""
    parser = argparse.ArgumentParser()
    rule.add_arguments(parser)
    help_text = parser._subparsers._group_actions[0].choices["test"].format_help()  # type: ignore[union-attr,index,call-overload]
    options = set(re.findall(r"--[a-z]+", help_text)) - {"--help"}
    assert options
    assert [option for option in options if f"`{option}" not in PAGE] == []
