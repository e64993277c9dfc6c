"""Write docs/reference/cli.md from the program's own help: `make docs`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from winnow.cli import build_parser


def reference() -> str:
    """Return the page: the help of every verb, as a terminal of 80 columns shows it."""
    os.environ["COLUMNS"] = "80"
    parser = build_parser()
    pages = ["# Command line", "", "Made by `make docs` from the program itself.", ""]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                pages += [
                    f"## winnow {name}",
                    "",
                    "```text",
                    verb.format_help().rstrip(),
                    "```",
                    "",
                ]
    return "\n".join(pages)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())
