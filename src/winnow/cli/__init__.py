"""The command line: one verb per file, each of which parses, calls and prints.

A verb's module has NAME, HELP, `add_arguments(parser)` and `run(args) -> exit status`, and imports
what it works with only when it runs. What a user did wrong is a WinnowError: one sentence, exit
status 2.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

from winnow import __version__
from winnow.cli.terminal import printable
from winnow.errors import WinnowError

VERBS = (
    "train", "calibrate", "evaluate", "check", "learn", "serve", "inspect", "rule", "verdict",
    "prune", "fuse", "graph", "quantize",
    "import", "devices",
    "ladder", "compress",
)  # fmt: skip
UNUSABLE = 2
INTERRUPTED = 128 + 2  # as shells report SIGINT


_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, as every other of ours, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(UNUSABLE, f"winnow: {printable(message, 2000)}; see `{self.prog} --help`.\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = _Parser(
        prog="winnow", description="Calibrated spam probability for e-mail, learnt from mail."
    )
    parser.add_argument("--version", action="version", version=f"winnow {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        module = import_module(f"winnow.cli.{name}{'_' * iskeyword(name)}")
        verb = verbs.add_parser(module.NAME, help=module.HELP, description=module.HELP)
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 when it did its work, 2 on unusable input, 130 when interrupted.
    """
    _open_closed_streams()
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
        _complain(_reason(error))
        _drop_output()
        return UNUSABLE
    return status


def _open_closed_streams() -> None:
    """Give each stream that the caller closed (`>&-`) to nowhere.

    A caller that closes one wants nothing to be heard of it. Left closed, it would be None here,
    and its number would go to the next file that is opened.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  for good


def _reason(error: OSError) -> str:
    if error.filename:
        return f"{error.filename}: {error.strerror}."
    if error.errno in _DISK_FULL:
        return f"the output cannot be written: {error.strerror}; make room and ask again."
    return f"{error.strerror or error}."


def _complain(text: str) -> None:
    print(f"winnow: {printable(text, 2000)}", file=sys.stderr)


def _drop_output() -> None:
    """Keep the interpreter from complaining at its exit of output that it cannot write."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
