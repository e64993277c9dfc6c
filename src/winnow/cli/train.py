"""`winnow train`: labelled mail -> a model folder."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from winnow.cli.tables import print_table, table
from winnow.cli.terminal import (
    a_path,
    add_labelled,
    console,
    labelled,
    printable,
    progress_bar,
    seconds,
    size,
)
from winnow.errors import InputError, StoreError

if TYPE_CHECKING:
    from rich.table import Table

    from winnow.artifact import Artifact
    from winnow.recipe import Gathered
    from winnow.store import Store

NAME = "train"
HELP = "learn a model from labelled mail"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `train`."""
    add_labelled(parser)
    parser.add_argument(
        "--out", type=a_path, required=True, metavar="DIR.winnow", help="where to put the model"
    )
    parser.add_argument(
        "--view",
        choices=("content", "stream", "both"),
        default="both",
        help="content: what a reader sees, good anywhere; stream: raw bytes with headers, good at "
        "one site (default: both)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    add_calibrate(parser, default="held-out", told="held-out")
    parser.add_argument(
        "--corrections", action="store_true", help="also learn the corrections that a store keeps"
    )
    parser.add_argument(
        "--store",
        type=a_path,
        metavar="FILE",
        help="that store (default: winnow/winnow.db in the user's state folder)",
    )


def add_calibrate(parser: argparse.ArgumentParser, *, default: str | None, told: str) -> None:
    """Declare how probabilities are calibrated, and in words what happens without a choice."""
    parser.add_argument(
        "--calibrate",
        choices=("held-out", "left-out"),
        default=default,
        help="on a random part of the mail, or on each source left out in turn: humbler on mail "
        f"from elsewhere, needs three sources or more (default: {told})",
    )


def run(args: argparse.Namespace) -> int:
    """Train and say what was learnt and what it cost."""
    from winnow import recipe
    from winnow.training.train import Options

    start = time.monotonic()
    if args.seed < 0:
        raise InputError("--seed: a number from 0 on is wanted.")
    recipe.check_place(args.out)
    corpora = labelled(args)
    store = _store(args)
    options = Options(view=args.view, calibrate=args.calibrate, seed=args.seed)
    try:
        with progress_bar() as progress:
            gathered = recipe.gather(corpora, store=store, progress=progress)
            artifact, _, record = recipe.make(gathered, args.out, options, progress=progress)
    finally:
        if store is not None:
            store.close()
    _print(artifact, gathered, record, time.monotonic() - start)
    return 0


def _store(args: argparse.Namespace) -> Store | None:
    from winnow.pipeline import default_store_path
    from winnow.store import Store

    if not args.corrections:
        if args.store:
            raise InputError("--store says where the corrections are; add --corrections.")
        return None
    path = args.store or default_store_path()
    if not path.exists():
        raise StoreError(f"there is no store at {path}; name one with --store.")
    return Store.open(path, retention_days=None)


def _print(artifact: Artifact, gathered: Gathered, record: dict[str, Any], wall: float) -> None:
    out = console()
    print_table(out, sources_table(record["sources"]))
    left_out = f"{gathered.repeats:,} repeated messages were left out"
    if gathered.conflicts:
        left_out += f", {gathered.conflicts:,} of them with the other label than the first"
    cost = record["cpu_seconds"]
    weights = sum(entry["bytes"] for entry in artifact.manifest["files"].values())
    out.print(f"\n{left_out}.")
    out.print(held_out_text(artifact.calibration["held_out"]))
    out.print(
        f"Took {seconds(wall)}; of the processor {seconds(cost['reading'])} reading and "
        f"{seconds(cost['training'])} training."
    )
    label = printable(artifact.label)
    out.print(f"{label} is in {printable(str(artifact.path))}, {size(weights)}.", soft_wrap=True)


def sources_table(sources: dict[str, dict[str, int]]) -> Table:
    """Return where the mail came from, with a sum if that is more than one place."""
    shown = table("source ", "ham", "spam")
    for name, counts in sources.items():
        shown.add_row(printable(name, 50), f"{counts['ham']:,}", f"{counts['spam']:,}")
    if len(sources) > 1:
        ham, spam = (sum(counts[label] for counts in sources.values()) for label in ("ham", "spam"))
        shown.add_row("together", f"{ham:,}", f"{spam:,}", style="bold")
    return shown


def held_out_text(figures: dict[str, Any]) -> str:
    """Return how the model did on mail that its weights had not seen, as sentences."""
    mail = f"On mail it had not seen ({figures['n_ham']:,} ham, {figures['n_spam']:,} spam)"
    rank = f"1-ROCA {figures['one_minus_roca_percent']:.3f}%, ECE {figures['ece_percent']:.2f}%"
    return (
        f"{mail}: {figures['accuracy_percent']:.2f}% right, {rank}; "
        f"{figures['ham_at_0.9_count']:,} ham given 0.90 or more, "
        f"{figures['spam_missed_at_0.5_count']:,} spam below 0.50."
    )
