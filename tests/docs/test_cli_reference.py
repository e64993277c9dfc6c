"""The page on the command line says what the program says."""

from __future__ import annotations

import argparse
import re

import pytest

from scripts.cli_reference import reference, row, verbs, written
from tests.docs.pages import ROOT
from winnow.cli import build_parser

PAGE = ROOT / "docs" / "reference" / "cli.md"
VERBS = {name: parser for parser, name, _ in verbs(build_parser(), "winnow", "")}


def test_the_page_is_the_programs_own() -> None:
    """The committed page is what the parser gives, so an option cannot go undocumented."""
    assert PAGE.read_text("utf-8") == reference(), "run `make docs`"


@pytest.mark.parametrize("name", VERBS)
def test_every_option_of_the_help_is_on_the_page(name: str) -> None:
    """What --help prints, by argparse's own hand, is in the section of its verb."""
    section = PAGE.read_text("utf-8").partition(f"## {name}\n")[2].partition("\n## ")[0]
    printed = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", VERBS[name].format_help())) - {"--help"}
    assert printed
    assert not {option for option in printed if f"`{option}" not in section}


def test_the_verbs_are_all_there() -> None:
    """The verbs that users were promised exist, the one below `rule` too."""
    promised = ("train", "evaluate", "check", "learn", "serve", "inspect", "rule test", "verdict")
    assert {f"winnow {verb}" for verb in promised} <= VERBS.keys()


def test_every_argument_has_its_meaning() -> None:
    """No option is only named."""
    bare = [
        (name, action.dest)
        for name, parser in VERBS.items()
        for action in parser._actions
        if not action.help
    ]
    assert not bare


def test_an_argument_is_written_as_it_is_typed() -> None:
    """Values, lists, choices and switches are told apart; a bar does not end a cell."""
    parser = argparse.ArgumentParser(prog="p")
    view = parser.add_argument("--view", choices=("a", "b"), required=True, help="%(prog)s or 7%%")
    paths = parser.add_argument("paths", nargs="+", metavar="PATH")
    switch = parser.add_argument("--json", action="store_true")
    assert [written(one) for one in (view, paths, switch)] == ["a|b", "PATH ...", ""]
    assert row(view, parser) == r"| `--view a\|b` | p or 7% (required) |"
