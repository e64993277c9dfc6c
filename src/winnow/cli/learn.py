"""`winnow learn`: a person's word on messages -> better weights at once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.cli.terminal import printable
from winnow.errors import InputError
from winnow.verdict import Label

if TYPE_CHECKING:
    from winnow.corpus import Example
    from winnow.pipeline import Filter

NAME = "learn"
HELP = "correct the model: these messages are spam, or ham"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `learn`."""
    for name in ("spam", "ham", "forget"):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            type=Path,
            default=[],
            metavar="PATH",
            help="take back what was learnt of them" if name == "forget" else f"they are {name}",
        )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="model (default: the one shipped)"
    )
    parser.add_argument("--store", type=Path, metavar="FILE", help="where corrections are kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Learn every message, each in a transaction of its own."""
    from winnow.corpus import open_corpus
    from winnow.pipeline import Filter, default_store_path

    jobs = [(open_corpus(path), Label.SPAM) for path in args.spam]
    jobs += [(open_corpus(path), Label.HAM) for path in args.ham]
    backs = [open_corpus(path) for path in args.forget]
    if not jobs and not backs:
        raise InputError("name messages with --spam, --ham or --forget.")
    model = Filter.open(args.model, store=args.store or default_store_path())
    try:
        for corpus, label in jobs:
            for example in corpus:
                print(_learn(model, example, label, as_json=args.json), flush=True)
        for corpus in backs:
            for example in corpus:
                print(_learn(model, example, None, as_json=args.json), flush=True)
    finally:
        model.close()
    return 0


def _learn(model: Filter, example: Example, label: Label | None, *, as_json: bool) -> str:
    before = model.check(example.raw, explain=False).probability
    if label is None:
        became = model.forget(example.raw, source="cli")
    else:
        became = model.learn(example.raw, label, source="cli")
    after = model.check(example.raw, explain=False).probability
    if as_json:
        answer = {"id": example.id, "result": str(became), "before": before, "after": after}
        return json.dumps(answer | {"label": label and str(label)})
    return f"{printable(example.id, 40):<40} {before:.3f} -> {after:.3f}  {became}"
