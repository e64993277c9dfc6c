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

BAR = r"\|"  # a bar that ends no cell, in code as well (GitHub's Markdown)
HEAD = """\
# Command line

Every verb and option, made by `make docs` from the program itself. `winnow VERB --help` says the
same. Exit status: 0 when the verb did its work, 2 on unusable input, with a sentence on standard
error, 130 when interrupted.
"""


def reference() -> str:
    """Return the page."""
    sections = [section(name, parser) for name, parser in verbs(build_parser())]
    return "\n".join([HEAD, *sections])


def verbs(
    parser: argparse.ArgumentParser, above: str = "winnow"
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield (full name, parser) of every verb that does something, "winnow rule test" too."""
    found = False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                found = True
                yield from verbs(verb, f"{above} {name}")
    if not found:
        yield above, parser


def section(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the part of the page on one verb."""
    actions = [action for action in parser._actions if action.dest != "help"]
    operands = [operand(action) for action in actions if not action.option_strings]
    lines = [f"## {name}", "", f"{sentence(parser.description)}", ""]
    lines += [f"`{' '.join([name, '[OPTIONS]', *operands])}`", ""]
    lines += ["| argument | default | meaning |", "|---|---|---|"]
    lines += [row(action, parser) for action in actions]
    return "\n".join([*lines, ""])


def sentence(text: str | None) -> str:
    """Return a help text as a sentence."""
    text = text or ""
    return f"{text[:1].upper()}{text[1:]}."


def operand(action: argparse.Action) -> str:
    """Return how an argument without a name is written, as "[PATH ...]"."""
    name = str(action.metavar or action.dest)
    return {"*": f"[{name} ...]", "+": f"{name} ...", "?": f"[{name}]"}.get(str(action.nargs), name)


def value(action: argparse.Action) -> str:
    """Return what follows an option, as "FILE" or "a|b"; "" for a switch."""
    if action.nargs == 0:
        return ""
    name = "|".join(map(str, action.choices)) if action.choices else ""
    name = str(action.metavar or name or action.dest.upper())
    return {"+": f"{name} ...", "*": f"[{name} ...]"}.get(str(action.nargs), name)


def row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """Return the line of the table on one argument."""
    names = [f"{option} {value(action)}".rstrip() for option in action.option_strings]
    shown = ", ".join(f"`{name}`" for name in names or [operand(action)])
    default = "required" if action.required and action.option_strings else ""
    if isinstance(action.default, (int, float, str, Path)) and action.nargs != 0 and not default:
        default = f"`{action.default}`" if str(action.default) else ""
    helped = (action.help or "") % {**vars(action), "prog": parser.prog}
    cells = (shown, default, helped)
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), "utf-8")
