"""Write docs/reference/cli.md from the program's own parser: `make docs`.

The page is made from the declared options and not from the printed help, whose wording and line
breaks differ from one Python to the next.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from winnow.cli import build_parser

HEAD = """\
# Command line

Every verb and option, made by `make docs` from the program itself. `winnow VERB --help` says the
same. Exit status: 0 when the verb did its work, 2 on unusable input, with a sentence on standard
error, 130 when interrupted.
"""
BAR = r"\|"  # a bar that ends no cell, in code as well (GitHub's Markdown)


def reference() -> str:
    """Return the page."""
    sections = [section(*verb) for verb in verbs(build_parser(), "winnow", "")]
    return "\n".join([HEAD, *sections])


def verbs(
    parser: argparse.ArgumentParser, name: str, told: str
) -> Iterator[tuple[argparse.ArgumentParser, str, str]]:
    """Yield parser, full name and help of every verb that does something, "winnow rule test" too.

    Args:
        parser: where to begin.
        name: what was written to get there.
        told: its help.
    """
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not below:
        yield parser, name, told
    for action in below:
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for verb, its_parser in action.choices.items():
            yield from verbs(its_parser, f"{name} {verb}", helps[verb])


def section(parser: argparse.ArgumentParser, name: str, told: str) -> str:
    """Return the part of the page on one verb."""
    actions = [action for action in parser._actions if action.dest != "help"]
    operands = [written(action) for action in actions if not action.option_strings]
    lines = [f"## {name}", "", f"{told[:1].upper()}{told[1:]}.", ""]
    lines += [f"`{' '.join([name, '[OPTIONS]', *operands])}`", ""]
    lines += ["| argument | meaning |", "|---|---|"]
    lines += [row(action, parser) for action in actions]
    return "\n".join([*lines, ""])


def written(action: argparse.Action) -> str:
    """Return how a value is written, as "[PATH ...]", "a|b" or, of a switch, ""."""
    if action.nargs == 0:
        return ""
    choices = "|".join(map(str, action.choices or ()))
    name = str(action.metavar or choices or action.dest.upper())
    return {"*": f"[{name} ...]", "+": f"{name} ...", "?": f"[{name}]"}.get(str(action.nargs), name)


def row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """Return the line of the table on one argument."""
    value = written(action)
    names = [f"{option} {value}".rstrip() for option in action.option_strings] or [value]
    meaning = (action.help or "") % {**vars(action), "prog": parser.prog}
    if action.required and action.option_strings:
        meaning += " (required)"
    cells = (", ".join(f"`{name}`" for name in names), meaning)
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), "utf-8")
