"""`winnow learn`: a person's word on messages -> better weights at once."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from winnow.cli.terminal import a_path, console, listed, printable, read_stdin_once
from winnow.errors import InputError
from winnow.verdict import Label, Learnt

if TYPE_CHECKING:
    from winnow.corpus import Corpus, Example
    from winnow.pipeline import Filter

NAME = "learn"
HELP = "correct the model: these messages are spam, or ham"
SOURCE = "cli"
_MEANT = {
    "spam": "they are spam",
    "ham": "they are ham",
    "forget": "take back what was learnt of them",
}
_WORDS = {
    Learnt.LEARNT: "learnt",
    Learnt.ALREADY: "already learnt",
    Learnt.RELABELLED: "relabelled",
    Learnt.FORGOTTEN: "forgotten",
    Learnt.UNKNOWN: "never learnt",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `learn`."""
    for name, meant in _MEANT.items():
        parser.add_argument(
            f"--{name}",
            nargs="+",
            action="extend",
            type=a_path,
            default=[],
            metavar="PATH",
            help=f"{meant}: messages, folders, Maildirs, mboxes, archives, or -",
        )
    parser.add_argument(
        "--model", type=a_path, metavar="DIR", help="model (default: the one shipped)"
    )
    parser.add_argument(
        "--store",
        type=a_path,
        metavar="FILE",
        help="where corrections are kept (default: winnow/winnow.db in the user's state folder)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message.

    Attributes:
        id: of the message, as the user named it.
        label: what the user said; None when it was to be forgotten.
        result: what was done.
        before: probability of spam before.
        after: probability of spam after.
    """

    id: str
    label: Label | None
    result: Learnt
    before: float
    after: float


def run(args: argparse.Namespace) -> int:
    """Learn every message, each in a transaction of its own, and say so as it is done."""
    from winnow.corpus import open_corpus
    from winnow.pipeline import Filter, default_store_path

    read_stdin_once([*args.spam, *args.ham, *args.forget])
    jobs: list[tuple[Corpus, Label | None]] = []
    for paths, label in ((args.spam, Label.SPAM), (args.ham, Label.HAM), (args.forget, None)):
        jobs += [(open_corpus(path, label=label), label) for path in paths]
    if not jobs:
        raise InputError("name messages with --spam, --ham or --forget.")
    model = Filter.open(args.model, store=args.store or default_store_path())
    counts: Counter[Learnt] = Counter()
    heard = True
    try:
        out = console()
        width = max(8, min(60, out.width - 35))
        for outcome in _outcomes(model, jobs):
            counts[outcome.result] += 1
            text = as_json(outcome) if args.json else as_line(outcome, width)
            heard = heard and _tell(text)
    finally:
        model.close()
    if heard and not args.json and counts.total() != 1:
        done = [f"{count:,} {_WORDS[result]}" for result, count in counts.items()]
        print(f"{listed(done or ['no messages there'])}.")
    return 0


def _tell(text: str) -> bool:
    """Print a line; return whether somebody still reads. If not (`| head -1`), learning goes on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        return False
    return True


def _outcomes(model: Filter, jobs: list[tuple[Corpus, Label | None]]) -> Iterator[Outcome]:
    for corpus, label in jobs:
        for example in corpus:
            yield _learn(model, example, label)


def _learn(model: Filter, example: Example, label: Label | None) -> Outcome:
    def probability() -> float:
        return model.check(example.raw, size_bytes=example.size_bytes, explain=False).probability

    before = probability()
    if label is None:
        result = model.forget(example.raw, source=SOURCE)
    else:
        result = model.learn(example.raw, label, source=SOURCE)
    return Outcome(example.id, label, result, before, probability())


def as_json(outcome: Outcome) -> str:
    """Return the documented JSON object."""
    answer = {
        "id": outcome.id,
        "label": None if outcome.label is None else str(outcome.label),
        "result": outcome.result.name.lower(),
        "before": round(outcome.before, 6),
        "after": round(outcome.after, 6),
    }
    return json.dumps(answer)


def as_line(outcome: Outcome, width: int) -> str:
    """Return a line for a person, with `width` columns for the name."""
    from rich.cells import set_cell_size

    done = _WORDS[outcome.result]
    if outcome.label is not None:
        done += f" as {outcome.label}"
    name = set_cell_size(printable(outcome.id, width), width)
    return f"{name}  {outcome.before:.3f} → {outcome.after:.3f}  {done}"
