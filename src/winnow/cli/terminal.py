"""What the verbs share in talking to a person: labelled paths, progress, printable text."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.errors import InputError
from winnow.verdict import Label

if TYPE_CHECKING:
    from winnow.corpus import Corpus

Progress = Callable[[str, int, int | None], None]
_PLAIN_SECONDS = 5.0


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Declare the ways to name labelled mail."""
    parser.add_argument(
        "corpora",
        nargs="*",
        type=Path,
        metavar="CORPUS",
        help="archive or folder with an index.tsv",
    )
    for label in ("spam", "ham"):
        parser.add_argument(
            f"--{label}",
            nargs="+",
            type=Path,
            default=[],
            metavar="PATH",
            help=f"{label}: folders of .eml, Maildirs, mboxes, archives, messages",
        )


def labelled(args: argparse.Namespace) -> list[Corpus]:
    """Open the mail that `add_labelled` named.

    Raises:
        InputError: nothing was named, or something cannot be used.
    """
    from winnow.corpus import open_corpus

    named = [open_corpus(path) for path in args.corpora]
    named += [open_corpus(path, label=Label.SPAM) for path in args.spam]
    named += [open_corpus(path, label=Label.HAM) for path in args.ham]
    if not named:
        raise InputError("name a corpus, or --spam and --ham mail.")
    return named


def printable(text: str, width: int = 200) -> str:
    """Make text from mail safe to print: no control signs, bounded."""
    shown = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress function: bars on a terminal, a plain line every few seconds elsewhere."""
    if not sys.stderr.isatty():
        yield _PlainProgress()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, tuple[int, float]] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = (bars.add_task(stage, total=total, rate=""), time.monotonic())
            task, start = tasks[stage]
            seconds = time.monotonic() - start
            rate = f"{done / seconds:,.0f}/s" if seconds > 0.2 else ""
            bars.update(bars.tasks[task].id, completed=done, total=total, rate=rate)

        yield show


class _PlainProgress:
    """A line now and then, for logs."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        start = self._started.setdefault(stage, now)
        if now - self._last < _PLAIN_SECONDS:
            return
        self._last = now
        rate = done / (now - start) if now > start else 0.0
        left = f", {(total - done) / rate:.0f} s left" if total and rate else ""
        of = f" of {total:,}" if total else ""
        print(f"{stage}: {done:,}{of}, {rate:,.0f}/s{left}", file=sys.stderr, flush=True)
