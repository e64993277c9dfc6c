"""The command line: one verb per file, each of which parses, calls and prints.

A verb's module has NAME, HELP, `add_arguments(parser)` and `run(args) -> exit status`. What a user
did wrong is a WinnowError: one sentence, exit status 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from winnow import __version__
from winnow.errors import WinnowError

VERBS = ("train", "evaluate", "check", "learn", "serve", "inspect", "rule", "verdict")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="winnow", description="Calibrated spam probability for e-mail, learnt from mail."
    )
    parser.add_argument("--version", action="version", version=f"winnow {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        module = import_module(f"winnow.cli.{name}")
        verb = verbs.add_parser(module.NAME, help=module.HELP, description=module.HELP)
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 when it did its work, 2 on unusable input, 130 when interrupted.
    """
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except WinnowError as error:
        print(f"winnow: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; keep the interpreter from complaining at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
