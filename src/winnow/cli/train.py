"""`winnow train`: labelled mail -> a model folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from winnow.cli.terminal import add_labelled, labelled, printable, progress_bar

NAME = "train"
HELP = "learn a model from labelled mail"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `train`."""
    add_labelled(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR.winnow", help="where to put the model"
    )
    parser.add_argument(
        "--view",
        choices=("content", "stream", "both"),
        default="both",
        help="content: portable; stream: raw bytes with headers, for one site (default: both)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument(
        "--calibrate",
        choices=("held-out", "left-out"),
        default="held-out",
        help="on a held-out part of the mail, or on each corpus left out in turn: humbler",
    )
    parser.add_argument(
        "--corrections", type=Path, metavar="STORE", help="also learn a store's corrections"
    )


def run(args: argparse.Namespace) -> int:
    """Train and say what was learnt."""
    from winnow import recipe
    from winnow.store import Store
    from winnow.training.train import Options

    corpora = labelled(args)
    store = Store.open(args.corrections) if args.corrections else None
    options = Options(view=args.view, calibrate=args.calibrate, seed=args.seed)
    try:
        with progress_bar() as progress:
            gathered = recipe.gather(corpora, store=store, progress=progress)
            artifact, _, record = recipe.make(gathered, args.out, options, progress=progress)
    finally:
        if store is not None:
            store.close()
    _print(artifact.label, record, artifact.calibration["held_out"])
    if gathered.conflicts:
        print(f"  {gathered.conflicts:,} repeated bodies carried the other label; the first counts")
    print(f"  written to {args.out}")
    return 0


def _print(label: str, record: dict[str, Any], held_out: dict[str, Any]) -> None:
    spam, messages = record["spam"], record["messages"]
    print(f"{label}: {messages:,} messages, {spam:,} spam and {messages - spam:,} ham")
    print(f"  {record['repeats_left_out']:,} repeated bodies left out")
    for name, counts in record["sources"].items():
        print(f"  {printable(name, 40):<40} {counts['ham']:>8,} ham {counts['spam']:>8,} spam")
    accuracy, roca = held_out["accuracy_percent"], held_out["one_minus_roca_percent"]
    if accuracy is not None and roca is not None:
        print(
            f"  on mail it had not seen: accuracy {accuracy:.2f}%, 1-ROCA {roca:.3f}%, "
            f"ECE {held_out['ece_percent']:.2f}%"
        )
    seconds = record["cpu_seconds"]
    print(
        f"  cost {seconds['reading']:.1f} s reading and {seconds['training']:.1f} s training (CPU)"
    )
