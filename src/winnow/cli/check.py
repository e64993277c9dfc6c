"""`winnow check`: messages -> probability, action, reasons."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.cli.terminal import printable

if TYPE_CHECKING:
    from winnow.verdict import Verdict

NAME = "check"
HELP = "answer for messages: probability, action, reasons"
REASONS_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `check`."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="messages, folders, Maildirs, mboxes, archives, or - for standard input",
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="model (default: the one shipped)"
    )
    parser.add_argument("--rules", type=Path, metavar="FILE", help="rule file (default: 0.9, 0.5)")
    parser.add_argument("--store", type=Path, metavar="FILE", help="store whose corrections count")
    parser.add_argument("--no-store", action="store_true", help="answer without any corrections")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Answer for every message."""
    from winnow.corpus import open_corpus
    from winnow.pipeline import Filter, default_store_path

    store = args.store or default_store_path()
    if args.no_store or (args.store is None and not store.exists()):
        store = None
    corpora = [open_corpus(path) for path in args.paths]
    model = Filter.open(args.model, rules=args.rules, store=store)
    show = _json_line if args.json else _table_line
    if not args.json:
        print(f"{'message':<32} {'spam':>6}  {'action':<8} reasons")
    try:
        for corpus in corpora:
            for example in corpus:
                verdict = model.check(example.raw, size_bytes=example.size_bytes)
                print(show(replace(verdict, id=example.id)), flush=not sys.stdout.isatty())
    finally:
        model.close()
    return 0


def _json_line(verdict: Verdict) -> str:
    return json.dumps(verdict.to_json(), ensure_ascii=True)


def _table_line(verdict: Verdict) -> str:
    reasons = ", ".join(
        f"{printable(reason.text, 40)} {reason.share:+.0%}"
        for reason in verdict.reasons[:REASONS_SHOWN]
    )
    name = printable(verdict.id, 32)
    return f"{name:<32} {verdict.probability:6.3f}  {verdict.action:<8} {reasons}"
