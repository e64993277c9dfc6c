"""What the verbs share in talking to a person: labelled paths, safe text, progress.

Everything that comes from mail goes through `printable` before it is shown, and the console reads
no markup: neither "[red]" in a subject nor an escape sequence in a file name does anything.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.errors import InputError
from winnow.verdict import Label

if TYPE_CHECKING:
    from rich.console import Console

    from winnow.corpus import Corpus

Progress = Callable[[str, int, int | None], None]

PIPE_WIDTH = 160  # columns where the output is no terminal
STYLES = {"junk": "red", "flag": "yellow", "deliver": "green"}
_PLAIN_SECONDS = 5.0
_DUMB = ("dumb", "unknown")  # terminals that cannot draw over a line; rich knows the same two
_BESIDE_BAR = 48  # columns that words and numbers of a progress bar take beside it


def a_path(text: str) -> Path:
    """Read an argument that names a path.

    An empty one is refused: it comes from a variable that is not set, and `Path("")` would be the
    current folder, all of which `--spam "$FILE"` would learn.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def read_stdin_once(paths: Iterable[Path]) -> None:
    """Refuse a second "-", which would find nothing left."""
    if sum(path == Path("-") for path in paths) > 1:
        raise InputError("standard input can be read only once; name - once.")


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Declare the ways to name labelled mail."""
    parser.add_argument(
        "corpora",
        nargs="*",
        type=a_path,
        metavar="CORPUS",
        help="archive or folder with an index.tsv that labels its mail",
    )
    for label in Label:
        parser.add_argument(
            f"--{label}",
            nargs="+",
            action="extend",
            type=a_path,
            default=[],
            metavar="PATH",
            help=f"{label}: messages, folders, Maildirs, mboxes, archives; may be repeated",
        )


def add_device(parser: argparse.ArgumentParser, default: str | None = "cpu") -> None:
    """Declare `--device`, which the verbs that answer share."""
    parser.add_argument(
        "--device",
        default=default,
        metavar="NAME",
        help="what the model's reader runs on: cpu, openvino, cuda and others that `winnow "
        "devices` lists, or auto (default: cpu)",
    )


def labelled(args: argparse.Namespace) -> list[Corpus]:
    """Open the mail that `add_labelled` named: corpora first, then spam, then ham.

    Raises:
        InputError: nothing was named, or something cannot be used.
    """
    from winnow import recipe
    from winnow.corpus import open_corpus

    read_stdin_once([*args.corpora, *args.spam, *args.ham])
    named = [open_corpus(path) for path in args.corpora]
    for path, corpus in zip(args.corpora, named, strict=True):
        if not corpus.labelled:
            raise InputError(
                f"{path}: nothing says which of this mail is spam; name it with --spam or --ham, "
                "or give the folder an index.tsv."
            )
    for label, paths in ((Label.SPAM, args.spam), (Label.HAM, args.ham)):
        named += [recipe.as_source(open_corpus(path, label=label), path) for path in paths]
    for path, corpus in zip([*args.corpora, *args.spam, *args.ham], named, strict=True):
        if corpus.len_hint == 0:
            raise InputError(f"{path}: the Maildir holds no messages in cur or new; leave it out.")
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
    if not sys.stderr.isatty() or os.environ.get("TERM") in _DUMB:
        yield _PlainProgress(time.monotonic)
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    out = console(errors=True)
    bar = BarColumn(bar_width=min(30, out.width - _BESIDE_BAR))
    columns = (
        TextColumn("{task.description}", markup=False),
        *([bar] if out.width >= _BESIDE_BAR + 8 else []),
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[rate]}", style="dim", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=out, transient=True) as bars:
        meter = _Meter(time.monotonic)
        task: TaskID | None = None

        def show(stage: str, done: int, total: int | None) -> None:
            nonlocal task
            if meter.update(done, total) and task is not None:
                bars.remove_task(task)
                task = None
            brief = total and out.width < _BESIDE_BAR
            fields: dict[str, Any] = {
                "count": f"{done / total:.0%}" if total and brief else _count(done, total),
                "rate": f"{meter.rate:,.0f}/s",
            }
            if task is None:
                task = bars.add_task(f"{stage:<11}", total=total, completed=done, **fields)
            else:
                bars.update(task, description=f"{stage:<11}", completed=done, **fields)

        yield show


def _count(done: int, total: int | None) -> str:
    return f"{done:,} of {total:,}" if total else f"{done:,}"


class _Meter:
    """Measures the rate of one stretch of work; the next begins when the count starts again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._total: int | None = None
        self._done = 0
        self._first = 0
        self._start = 0.0
        self._begun = False
        self.rate = 0.0

    def update(self, done: int, total: int | None) -> bool:
        """Take a count; return whether it begins another stretch of work."""
        now = self._clock()
        another = not self._begun or total != self._total or done < self._done
        if another:
            self._start, self._total, self._begun = now, total, True
            # A training that is resumed begins far in; that part was not done in this time.
            self._first = done if total and done > total / 50 else 0
        self._done = done
        passed = now - self._start
        self.rate = (done - self._first) / passed if passed > 0 else 0.0
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
