"""`winnow compress`: the cheapest form of a model that still answers well enough."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from winnow.cli.ladder import (
    add_measuring,
    add_model,
    check_installed,
    costs_table,
    interval,
    mail_of,
    number,
    print_reasons,
    worth_table,
)
from winnow.cli.tables import print_table
from winnow.cli.terminal import a_path, console, printable, progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from winnow.ladder.rung import Rung
    from winnow.recipe_compress import Compressed

NAME = "compress"
HELP = "measure a few ways to compress a reader's graph, and write the one that fits a wish"

NOTHING_FITS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `compress`."""
    add_model(parser)
    parser.add_argument(
        "--out", required=True, type=a_path, metavar="OUT", help="where to put the result"
    )
    parser.add_argument(
        "--target",
        metavar="TIMES",
        help="at least so many times as fast as the model in 32-bit floats, as 2x; of all recipes "
        "that are, the one that loses least",
    )
    parser.add_argument(
        "--max-loss",
        metavar="POINTS",
        help="lose at most so many points of accuracy on the mail, as 0.1pp; of all recipes that "
        "do, the fastest",
    )
    parser.add_argument(
        "--of",
        choices=("speed", "bytes"),
        default="speed",
        help="what it shall be better at (default: speed)",
    )
    add_measuring(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure, choose, write and say what was chosen.

    Returns:
        0, or 2 where no recipe fits and nothing was written.

    Raises:
        InputError: no usable graph or wish, unusable mail, or no place for the result.
        ArtifactError: no whole model, one without a reader, or no place for the result.
    """
    check_installed()
    from winnow import recipe_compress
    from winnow.ladder.choose import Wish
    from winnow.recipe_ladder import Options

    wish = Wish.parse(args.of, args.target, args.max_loss)
    recipe_compress.check_out(args.model, args.out)
    corpora = mail_of(args)
    options = Options(peers=(), seconds=args.seconds, messages=args.messages, seed=args.seed)
    with progress_bar() as progress:
        found = recipe_compress.compress(args.model, args.out, wish, corpora, options, progress)
    if args.json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print(console(), found)
    if found.out is None:
        print(f"winnow: {printable(_nothing(found), 2000)}", file=sys.stderr)
        return NOTHING_FITS
    return 0


def _print(out: Console, found: Compressed) -> None:
    rungs = found.ladder.climbed.rungs
    told = f"{found.ladder.model}; compared with {rungs[0].what}, on {found.ladder.held.about}"
    out.print(printable(told), style="dim", soft_wrap=True)
    out.print()
    print_table(out, costs_table(rungs))
    out.print()
    print_table(out, worth_table(rungs))
    print_reasons(out, rungs)
    chosen = found.choice.rung
    if chosen is not None:
        out.print()
        out.print(printable(f"{chosen.name}: {_told(chosen, found)}."), soft_wrap=True)
        doubt = _doubt(chosen, found.wish.points)
        out.print(printable(f"{doubt}It is in {found.out}."), soft_wrap=True)


def _told(rung: Rung, found: Compressed) -> str:
    """What a recipe gains and loses, in words."""
    from winnow.ladder.choose import BYTES, gain_of

    baseline = found.ladder.climbed.rungs[0]
    smaller = gain_of(rung, baseline, BYTES)
    faster, loss = rung.figure("times_faster"), rung.figure("accuracy_loss_points")
    parts = [
        f"{number(faster, 2)} times as fast ({interval(faster, 2) or 'no interval'})",
        f"{smaller:.2f} times as small" if smaller else "of unknown size",
    ]
    if loss.value is None:
        parts.append(f"log-odds {rung.value('mean_abs_error') or 0.0:.2g} off on average")
    else:
        parts.append(f"{loss.value:.2f} points of accuracy lost ({interval(loss, 2)})")
    return ", ".join(parts)


def _doubt(rung: Rung, points: float | None) -> str:
    """Whether the mail was too little to be sure of a bound."""
    high = rung.figure("accuracy_loss_points").high
    if points is None or high is None or high <= points:
        return ""
    return (
        f"So little mail cannot rule out a loss of {high:.2f} points; more of it (--messages) can. "
    )


def _nothing(found: Compressed) -> str:
    nearest = found.choice.nearest
    near = (
        "none could be measured"
        if nearest is None
        else (f"nearest came {nearest.name}: {_told(nearest, found)}")
    )
    return f"no recipe is {found.wish.text}; {near}. Nothing was written."
