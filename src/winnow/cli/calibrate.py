"""`winnow calibrate`: when the reflex hands over to the reader, for a budget."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from winnow.cli.tables import print_table, table
from winnow.cli.terminal import a_path, add_labelled, console, labelled, printable, progress_bar
from winnow.cli.train import handover_text
from winnow.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

NAME = "calibrate"
HELP = "fit when the reflex hands over to the reader, on mail that the model has not seen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `calibrate`."""
    add_labelled(parser)
    parser.add_argument(
        "--budget",
        required=True,
        metavar="COST",
        help="mean cost of an answer on this machine, as 0.5ms, 2mJ or 0.1$/M (dollars a million)",
    )
    parser.add_argument(
        "--model", type=a_path, metavar="DIR", help="model (default: the one shipped)"
    )
    parser.add_argument(
        "--out", type=a_path, metavar="DIR.winnow", help="where to put it (default: in its place)"
    )


def run(args: argparse.Namespace) -> int:
    """Fit, write and say what the budget buys.

    Raises:
        InputError: no budget, too little mail, or the shipped model is to be changed in its place.
        ArtifactError: the model has no reader, or cannot be written.
    """
    from winnow import recipe, recipe_cascade
    from winnow.accounting import Budget
    from winnow.pipeline import SHIPPED_MODEL

    budget = Budget.parse(args.budget)
    if args.model is None and args.out is None:
        raise InputError("the shipped model stays as it is; name a copy with --out DIR.winnow.")
    if args.out is not None:
        recipe.check_place(args.out)
    corpora = labelled(args)
    with progress_bar() as progress:
        artifact, handover = recipe_cascade.calibrate(
            args.model or SHIPPED_MODEL, corpora, budget, out=args.out, progress=progress
        )
    out = console()
    print_table(out, frontier_table(json.loads(artifact.files["frontier.json"])))
    out.print()
    out.print(handover_text(handover), soft_wrap=True)
    label = printable(artifact.label)
    out.print(f"{label} is in {printable(str(artifact.path))}.", soft_wrap=True)
    return 0


def frontier_table(found: dict[str, Any]) -> Table:
    """Return what each budget buys, as frontier.json has it; the chosen point is bold."""
    shown = table("mean ms ", "mJ, estimated", "handed over %", "errors %", "ham junked %")
    band = found["chosen"]["low"], found["chosen"]["high"]
    for point in found["points"]:
        shown.add_row(
            f"{1e3 * point['seconds']:.3f}",
            f"{1e3 * point['joules']:.2f}",
            f"{point['handed_over_percent']:.1f}",
            f"{point['errors_percent']:.2f}",
            f"{point['junked_ham_percent']:.2f}",
            style="bold" if (point["low"], point["high"]) == band else "",
        )
    return shown
