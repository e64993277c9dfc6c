"""`winnow check`: messages -> probability, action, reasons."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.cli.terminal import (
    STYLES,
    a_path,
    add_device,
    console,
    printable,
    read_stdin_once,
)
from winnow.errors import InputError, StoreError

if TYPE_CHECKING:
    from winnow.corpus import Corpus
    from winnow.pipeline import Filter
    from winnow.verdict import Reason, Verdict

NAME = "check"
HELP = "answer for messages: probability, action, reasons"
MOST_CHARS = 40  # of one reason
NARROW = 60  # columns of a terminal on which a message takes two lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `check`."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=a_path,
        metavar="PATH",
        help="messages, folders, Maildirs, mboxes, archives, or - for standard input",
    )
    parser.add_argument(
        "--model", type=a_path, metavar="DIR", help="model (default: the one shipped)"
    )
    add_device(parser)
    parser.add_argument(
        "--rules", type=a_path, metavar="FILE", help="rule file (default: 0.90 junk, 0.50 flag)"
    )
    parser.add_argument(
        "--store",
        type=a_path,
        metavar="FILE",
        help="store whose corrections count (default: the user's, if there is one)",
    )
    parser.add_argument("--no-store", action="store_true", help="answer without any corrections")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="also say which stage of the model answered, why that one, and all reasons",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Answer for every message, one line each, as it is read."""
    from winnow.corpus import open_corpus

    read_stdin_once(args.paths)
    corpora = [open_corpus(path) for path in args.paths]
    model = _open(args)
    try:
        show = _print_json if args.json else _table(args.explain)
        for verdict in _verdicts(model, corpora):
            show(verdict)
    finally:
        model.close()
    return 0


def _open(args: argparse.Namespace) -> Filter:
    """Open what answers; when a store that nobody named is in the way, say how to do without."""
    from winnow.pipeline import Filter

    try:
        return Filter.open(args.model, rules=args.rules, store=_store(args), device=args.device)
    except (StoreError, PermissionError) as error:
        if args.store:
            raise
        text = str(error)
        if isinstance(error, PermissionError):
            text = f"{error.filename}: {error.strerror}"
        text = text.removesuffix(".")
        raise StoreError(f"{text}; --no-store answers without corrections.") from error


def _store(args: argparse.Namespace) -> Path | None:
    """Return the store to read; asking makes none."""
    from winnow.pipeline import default_store_path

    if args.no_store and args.store:
        raise InputError("--store and --no-store: give one of them.")
    if args.no_store:
        return None
    path: Path = args.store or default_store_path()
    if args.store and not path.exists():
        raise StoreError(f"there is no store at {path}; `winnow learn --store {path} …` makes one.")
    return path if path.exists() else None


def _verdicts(model: Filter, corpora: list[Corpus]) -> Iterator[Verdict]:
    """Answer under the names by which the user finds the messages again."""
    for corpus in corpora:
        for example in corpus:
            verdict = model.check(example.raw, size_bytes=example.size_bytes)
            yield replace(verdict, id=example.id)


def _print_json(verdict: Verdict) -> None:
    # ASCII: an id or a word of mail may hold what no UTF-8 stream takes.
    print(json.dumps(verdict.to_json()), flush=True)


def _table(explained: bool) -> Callable[[Verdict], None]:
    """Print a head; return what prints a line of the table at once.

    On a narrow terminal the reasons have a line of their own, and the milliseconds none.
    Explained, each message is followed by the stage that answered and by every reason.
    """
    from rich.table import Table
    from rich.text import Text

    out = console()
    narrow = out.width < NARROW
    name_width = max(8, out.width - 5 - 7 - 2 * 2) if narrow else min(44, out.width * 3 // 10)
    reasons_width = out.width - 2 if narrow else out.width - name_width - 5 - 7 - 5 - 4 * 2
    head = ("message", "spam", "action", "ms", "reasons, + speaks for spam")

    def line(name: str, spam: str, action: str, ms: str, reasons: str, style: str = "") -> None:
        row = Table.grid(padding=(0, 2, 0, 0))
        for width in (name_width, 5, 7) if narrow else (name_width, 5, 7, 5):
            row.add_column(width=width, no_wrap=True, justify="right" if width == 5 else "left")
        cells: list[str | Text] = [name, spam, Text(action, STYLES.get(action, ""))]
        if not narrow:
            row.add_column(no_wrap=True, max_width=reasons_width)
            cells += [ms, reasons]
        row.add_row(*cells, style=style)
        out.print(row)
        if narrow:
            out.print(f"  {reasons}", style=style, no_wrap=True, overflow="ellipsis")
        sys.stdout.flush()

    def show(verdict: Verdict) -> None:
        line(
            printable(verdict.id, name_width),
            f"{verdict.probability:.3f}",
            str(verdict.action),
            f"{verdict.milliseconds:.1f}",
            reasons_text(verdict.reasons, reasons_width),
        )
        if explained:
            out.print(f"  answered by the {verdict.stage}: {verdict.why}", style="dim")
            for reason in verdict.reasons:
                out.print(f"    {_reason(reason, MOST_CHARS)}", style="dim", soft_wrap=True)

    line(*head, style="dim")
    return show


def reasons_text(reasons: tuple[Reason, ...], width: int) -> str:
    """Return the strongest reasons, as many as fit whole; one at least, cut if it must be."""
    from rich.cells import cell_len

    shown = ""
    for reason in reasons:
        room = MOST_CHARS if shown else min(MOST_CHARS, width - len("“” +100%"))
        more = f"{shown}, {_reason(reason, room)}" if shown else _reason(reason, room)
        if shown and cell_len(more) > width:
            break
        shown = more
    return shown


def _reason(reason: Reason, room: int) -> str:
    """Return one reason: words of the mail in quotes, ours without."""
    text = printable(reason.text, room, keep_end=False)
    if reason.kind != "trait":
        text = f"“{text}”" if reason.kind == "word" else f"{reason.kind} “{text}”"
    return f"{text} {reason.share:+.0%}"
