"""`winnow ladder`: what each step of compiling a model saves and costs, measured side by side."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.cli.tables import print_table, table
from winnow.cli.terminal import a_path, console, labelled, printable, progress_bar
from winnow.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from winnow.corpus import Corpus
    from winnow.ladder.quality import Figure
    from winnow.ladder.rung import Rung
    from winnow.recipe_ladder import Ladder

NAME = "ladder"
HELP = "measure a reader's graph step by step as it is compiled, beside other programs"

_SHARE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*(%?)\s*")
_MOST_SECONDS, _MOST_MESSAGES = 86_400.0, 1_000_000
_NONE = "-"
_BUSY = 0.8  # programs for each core
_WORTH = (
    ("right\n%", "accuracy_percent", 2),
    ("points\nlost", "accuracy_loss_points", 2),
    ("95%\ninterval", "accuracy_loss_points", 2),
    ("1-ROCA\n%", "one_minus_roca_percent", 3),
    ("ECE\n%", "ece_percent", 2),
    ("reader alone:\nright %", "reader_accuracy_percent", 2),
    ("1-ROCA\n%", "reader_one_minus_roca_percent", 3),
    ("ECE\n%", "reader_ece_percent", 2),
)
_TOLD = {
    "ms_256": "256 tokens",
    "accuracy_percent": "accuracy, 1-ROCA and calibration",
    "one_minus_roca_percent": "1-ROCA",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ladder`."""
    add_model(parser)
    add_measuring(parser)
    parser.add_argument(
        "--peers",
        default="all",
        metavar="NAMES",
        help="other programs to time beside it: all, none, or names with commas between them "
        "(onnxruntime-disabled, onnxruntime-basic, onnxruntime-all, onnxruntime-transformers, "
        "openvino, openvino-int8, torch, torch-sdpa; default: all)",
    )
    for part, what in (("heads", "heads"), ("ffn", "neurons of the feed-forward layers")):
        parser.add_argument(
            f"--{part}",
            type=a_share,
            default=0.5,
            metavar="SHARE",
            help=f"{what} that the pruned rung does without (default: 50%%)",
        )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--html", type=a_path, metavar="FILE.html", help="also write a report with pictures"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare the model."""
    parser.add_argument(
        "model", type=a_path, metavar="M", help="model: a folder, or a bare .onnx file"
    )


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Declare the mail that is measured on, and how much."""
    parser.add_argument(
        "--mail",
        dest="corpora",
        nargs="+",
        action="extend",
        type=a_path,
        default=[],
        metavar="CORPUS",
        help="labelled mail that the model has not seen, with an index.tsv; without mail nothing "
        "tells accuracy, and answers are compared on random inputs",
    )
    for label in ("spam", "ham"):
        parser.add_argument(
            f"--{label}",
            nargs="+",
            action="extend",
            type=a_path,
            default=[],
            metavar="PATH",
            help=f"{label}, as for `winnow evaluate`",
        )
    parser.add_argument(
        "--messages",
        type=int,
        default=1_000,
        metavar="N",
        help="most messages of it that answers are compared on, chosen by the seed (default: 1000)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        metavar="N",
        help="time for measuring latencies; what must be done once is done (default: 60)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")


def a_share(text: str) -> float:
    """Read a share as 50% or 0.5; all of it is too much."""
    found = _SHARE.fullmatch(text)
    share = float(found[1]) / (100 if found[2] else 1) if found else 1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share below all; write 50% or 0.5")
    return share


def mail_of(args: argparse.Namespace) -> list[Corpus]:
    """Open the mail that was named, none where none was.

    Raises:
        InputError: it cannot be used, or a number is out of range.
    """
    if not 1 <= args.messages <= _MOST_MESSAGES:
        raise InputError(f"--messages begins at 1 and ends at {_MOST_MESSAGES:,}.")
    if not 0 < args.seconds <= _MOST_SECONDS:  # also refuses what is no number
        raise InputError("--seconds is more than 0 and at most a day.")
    if args.seed < 0:
        raise InputError("--seed begins at 0.")
    return labelled(args) if args.corpora or args.spam or args.ham else []


def check_installed() -> None:
    """Refuse in one sentence where what reads graphs is not installed.

    Raises:
        InputError: it is not.
    """
    missing = [name for name in ("onnx", "onnx_ir", "onnxscript") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"graphs are read and changed with {missing[0]}, which is not installed: pip install "
            "'winnow-mail[compile]'."
        )


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write a report where a place is named.

    Raises:
        InputError: no usable graph, unusable mail, an unknown peer, or no place for the report.
        ArtifactError: no whole model, or one without a reader.
    """
    check_installed()
    from winnow import recipe_ladder
    from winnow.ladder.peers import names_of
    from winnow.ladder.report import write_report

    peers = names_of(args.peers)
    if args.html is not None:
        check_place(args.html)
    corpora = mail_of(args)
    options = recipe_ladder.Options(
        peers, args.heads, args.ffn, args.seconds, args.messages, args.seed
    )
    with progress_bar() as progress:
        found = recipe_ladder.ladder(args.model, corpora, options, progress)
    if args.html is not None:
        created = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        write_report(args.html, found.to_json(), created=created)
    if args.json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print(console(), found)
    return 0


def check_place(report: Path) -> None:
    """Refuse a place for a report before minutes of work.

    Raises:
        InputError: nothing can be written there.
    """
    folder = report.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{report}: there is no folder {report.parent}.")
    if report.is_dir():
        raise InputError(f"{report}: is a folder; name a file for the report.")
    if not os.access(report if report.exists() else folder, os.W_OK):
        raise InputError(f"{report}: the report cannot be written there; name another file.")


def _print(out: Console, found: Ladder) -> None:
    from winnow.ladder.machine import in_words

    rungs = found.climbed.rungs
    handed = found.held.handed_over_percent
    read = "" if handed is None else f", {handed:.1f}% of them answered by the reader"
    for line in (
        f"{found.model}, one message at a time, one thread; baseline: {rungs[0].what}",
        f"answers compared on {found.held.about}{read}",
        in_words(dict(found.machine)),
    ):
        out.print(printable(line), style="dim", soft_wrap=True)
    out.print()
    print_table(out, costs_table(rungs))
    out.print()
    print_table(out, worth_table(rungs))
    if found.climbed.peers:
        out.print()
        print_table(out, peers_table(found.climbed.peers))
    print_reasons(out, rungs, found.climbed.peers)
    for line in filter(None, (_noise(found), _busy(found))):
        out.print(line, style="dim", soft_wrap=True)


def costs_table(rungs: Sequence[Rung]) -> Table:
    """Return sizes, latencies, rate and energy; one row for each rung."""
    shown = table(
        "\nrung ", "\nbytes", "\nnodes", "when\nrun", "round\ntrips", "ms at\n32", "ms at\n128",
        "ms at\n256", "messages\na second", "times\nfaster", "95%\ninterval", "J per\n1,000",
    )  # fmt: skip
    for rung in rungs:
        faster = rung.figure("times_faster")
        shown.add_row(
            rung.name,
            *(number(rung.figure(name), 0) for name in ("bytes", "nodes", "nodes_when_run")),
            number(rung.figure("round_trips"), 0),
            *(number(rung.figure(f"ms_{n}"), 2) for n in (32, 128, 256)),
            number(rung.figure("messages_per_second"), 0),
            number(faster, 2),
            interval(faster, 2),
            number(rung.figure("joules_per_1000"), 1),
        )
    return shown


def worth_table(rungs: Sequence[Rung]) -> Table:
    """Return accuracy, ranking, calibration and errors; one row for each rung.

    Where no rung has an accuracy, only the errors.
    """
    told = _WORTH if any(rung.value("accuracy_percent") is not None for rung in rungs) else ()
    heads = [head for head, _, _ in told]
    shown = table("\nrung ", *heads, "largest\ndifference", "\nmean")
    for rung in rungs:
        cells = [
            interval(rung.figure(name), digits)
            if "interval" in head
            else number(rung.figure(name), digits)
            for head, name, digits in told
        ]
        errors = (_small(rung.figure(name)) for name in ("max_abs_error", "mean_abs_error"))
        shown.add_row(rung.name, *cells, *errors)
    return shown


def peers_table(peers: Sequence[Rung]) -> Table:
    """Return latencies of the peers, and how they compare with the baseline."""
    shown = table(
        "\npeer ", "ms at\n32", "ms at\n128", "ms at\n256", "times\nfaster", "95%\ninterval"
    )
    for peer in peers:
        faster = peer.figure("times_faster")
        latencies = (number(peer.figure(f"ms_{n}"), 2) for n in (32, 128, 256))
        shown.add_row(peer.name, *latencies, number(faster, 2), interval(faster, 2))
    return shown


def print_reasons(out: Console, rungs: Sequence[Rung], peers: Iterable[Rung] = ()) -> None:
    """Say why rows are empty and figures missing, each reason once."""
    reasons: dict[str, str] = {}
    for row in rungs:
        for name, what in () if row.refused else _TOLD.items():
            one = row.figure(name)
            if one.value is None and one.note not in reasons.values():
                reasons[f"{what} missing: {one.note}."] = one.note
    for row in (*rungs, *peers):
        if row.refused:
            reasons[f"{row.name}: {row.refused}."] = row.refused
    if not reasons:
        return
    out.print()
    for reason in reasons:
        out.print(printable(reason), soft_wrap=True)


def number(figure: Figure, digits: int) -> str:
    """A figure for a table."""
    return _NONE if figure.value is None else f"{figure.value:,.{digits}f}"


def interval(figure: Figure, digits: int) -> str:
    """Its interval."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{figure.low:.{digits}f} to {figure.high:.{digits}f}"


def _small(figure: Figure) -> str:
    return _NONE if figure.value is None else f"{figure.value:.1e}" if figure.value else "0"


def _noise(found: Ladder) -> str:
    one = found.climbed.noise["times_faster"]
    if one.value is None:
        return "Nothing was long enough to be timed."
    bounds = interval(one, 3) or "too few pairs for an interval"
    return (
        f"The baseline beside itself: {one.value:.3f} times as fast ({bounds}); what differs by "
        "less is noise. Energy is estimated; its factors are in --json."
    )


def _busy(found: Ladder) -> str:
    """Whether others wanted the processor, too."""
    busy, cores = found.machine["busy"], found.machine["cores"]
    if busy is None or not cores or busy < _BUSY * cores:
        return ""
    return (
        f"The machine was busy ({busy:.1f} programs for {cores} cores): milliseconds and messages "
        "a second have waited for others; times faster are of the processor's own time."
    )
