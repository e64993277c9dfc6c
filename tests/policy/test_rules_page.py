"""The reference page of the rule file: its examples work and no key is missing."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from winnow.cli import rule
from winnow.policy import Rules
from winnow.policy.rule_reader import _RULE_KEYS

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/rules.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_rule_file(example: str):
    """What a user copies from the page starts the server."""
    assert Rules.parse(example, origin="page").rules


def test_every_key_and_option_is_documented():
    """A key that the page does not name does not exist for the user."""
    parser = argparse.ArgumentParser()
    rule.add_arguments(parser)
    help_text = parser._subparsers._group_actions[0].choices["test"].format_help()  # type: ignore[union-attr,index,call-overload]
    options = set(re.findall(r"--[a-z]+", help_text)) - {"--help"}
    words = {*_RULE_KEYS, *options, "equals", "contains", "matches", "senders", "file"}
    assert [word for word in words if f"`{word}" not in PAGE] == []
    assert "{ at_least = P, below = P }" in PAGE
    assert len(EXAMPLES) == 2
