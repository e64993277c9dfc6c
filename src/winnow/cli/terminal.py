"""What the verbs share in talking to a person: labelled paths, safe text, tables, progress.

Everything that comes from mail goes through `printable` before it is shown, and the console reads
no markup: neither "[red]" in a subject nor an escape sequence in a file name does anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.errors import InputError
from winnow.verdict import Label

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from winnow.corpus import Corpus

Progress = Callable[[str, int, int | None], None]

PIPE_WIDTH = 160  # columns where the output is no terminal
STYLES = {"junk": "red", "flag": "yellow", "deliver": "green"}
_PLAIN_SECONDS = 5.0


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Declare the ways to name labelled mail."""
    parser.add_argument(
        "corpora",
        nargs="*",
        type=Path,
        metavar="CORPUS",
        help="archive or folder with an index.tsv that labels its mail",
    )
    for label in Label:
        parser.add_argument(
            f"--{label}",
            nargs="+",
            action="extend",
            type=Path,
            default=[],
            metavar="PATH",
            help=f"{label}: messages, folders, Maildirs, mboxes, archives; may be repeated",
        )


def labelled(args: argparse.Namespace) -> list[Corpus]:
    """Open the mail that `add_labelled` named: corpora first, then spam, then ham.

    Raises:
        InputError: nothing was named, or something cannot be used.
    """
    from winnow import recipe
    from winnow.corpus import open_corpus

    named = [open_corpus(path) for path in args.corpora]
    for path, corpus in zip(args.corpora, named, strict=True):
        if not corpus.labelled:
            raise InputError(
                f"{path}: nothing says which of this mail is spam; name it with --spam or --ham, "
                "or give the folder an index.tsv."
            )
    for label, paths in ((Label.SPAM, args.spam), (Label.HAM, args.ham)):
        named += [recipe.as_source(open_corpus(path, label=label), path) for path in paths]
    if not named:
        raise InputError("name labelled mail: a corpus, or --spam and --ham with paths.")
    return named


def printable(text: str, width: int = 400, *, keep_end: bool = True) -> str:
    """Make text from outside safe to print on one line, and cut it to a width.

    Control signs, line breaks and signs that turn the direction of writing become escapes.

    Args:
        text: from mail, a file or an argument.
        width: most signs.
        keep_end: cut in the middle, since names of files begin alike; else cut the end.
    """
    shown = text if text.isprintable() else "".join(map(_escaped, text))
    if len(shown) <= width:
        return shown
    if not keep_end:
        return f"{shown[: width - 1]}…"
    head = (width - 1) // 2
    return f"{shown[:head]}…{shown[head + 1 - width :]}"


def _escaped(sign: str) -> str:
    return sign if sign.isprintable() else ascii(sign)[1:-1]


def console(*, errors: bool = False) -> Console:
    """Return a console that takes text as it is; where it is no terminal, a wide plain one."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the program with status 1

    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Plain(file=stream, width=width, markup=False, emoji=False, highlight=False)


def table(*heads: str) -> Table:
    """Return an empty table without lines; a head that ends in a blank is of a text column.

    Columns of numbers are right-aligned and never cut.
    """
    from rich.table import Table

    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for head in heads:
        words = head.endswith(" ")
        made.add_column(
            head.rstrip(),
            justify="left" if words else "right",
            no_wrap=True,
            overflow="ellipsis" if words else "fold",
            min_width=None if words else max(map(len, head.split("\n"))),
        )
    return made


def seconds(value: float) -> str:
    """Return a time as a person reads it."""
    return f"{value:.1f} s" if value < 100 else f"{int(value) // 60} min {int(value) % 60} s"


def size(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def listed(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress function: a bar on a terminal, a plain line every few seconds elsewhere."""
    if not sys.stderr.isatty():
        yield _PlainProgress(time.monotonic)
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[rate]}", style="dim", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console(errors=True), transient=True) as bars:
        meter = _Meter(time.monotonic)
        task: TaskID | None = None

        def show(stage: str, done: int, total: int | None) -> None:
            nonlocal task
            if meter.update(done, total) and task is not None:
                bars.remove_task(task)
                task = None
            if task is None:
                task = bars.add_task(f"{stage:<11}", total=total, count="", rate="")
            bars.update(
                task,
                description=f"{stage:<11}",
                completed=done,
                count=_count(done, total),
                rate=f"{meter.rate:,.0f}/s",
            )

        yield show


def _count(done: int, total: int | None) -> str:
    return f"{done:,} of {total:,}" if total else f"{done:,}"


class _Meter:
    """Measures the rate of one stretch of work; the next begins when the count starts again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._total: int | None = None
        self._done = 0
        self._start = 0.0
        self._begun = False
        self.rate = 0.0

    def update(self, done: int, total: int | None) -> bool:
        """Take a count; return whether it begins another stretch of work."""
        now = self._clock()
        another = not self._begun or total != self._total or done < self._done
        if another:
            self._start, self._total, self._begun = now, total, True
        self._done = done
        passed = now - self._start
        self.rate = done / passed if passed > 0 else 0.0
        return another


class _PlainProgress:
    """A line now and then, for logs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._meter = _Meter(clock)
        self._last = clock()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self._meter.update(done, total)
        now = self._clock()
        if now - self._last < _PLAIN_SECONDS:
            return
        self._last = now
        rate = self._meter.rate
        left = f", {seconds((total - done) / rate)} left" if total and rate else ""
        print(f"{stage}: {_count(done, total)}, {rate:,.0f}/s{left}", file=sys.stderr, flush=True)
