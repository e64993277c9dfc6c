"""The command line: one verb per file, each of which parses, calls and prints.

A verb's module has NAME, HELP, `add_arguments(parser)` and `run(args) -> exit status`, and imports
what it works with only when it runs. What a user did wrong is a WinnowError: one sentence, exit
status 2.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from winnow import __version__
from winnow.cli.terminal import printable
from winnow.errors import WinnowError

VERBS = ("train", "evaluate", "check", "learn", "serve", "inspect", "rule", "verdict")
UNUSABLE = 2
INTERRUPTED = 128 + 2  # as shells report SIGINT


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
    for stream in (sys.stdout, sys.stderr):
        # A locale without the sign that mail holds must not stop the answer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        args = build_parser().parse_args(argv)
        status = int(args.run(args))
        sys.stdout.flush()
    except WinnowError as error:
        _complain(str(error))
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        _drop_output()
        return 0
    except OSError as error:  # a path that no system takes, a full disk below our output
        _complain(f"{error.filename}: {error.strerror}." if error.filename else f"{error}.")
        _drop_output()
        return UNUSABLE
    return status


def _complain(text: str) -> None:
    print(f"winnow: {printable(text, 2000)}", file=sys.stderr)


def _drop_output() -> None:
    """Keep the interpreter from complaining at its exit of output that it cannot write."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
