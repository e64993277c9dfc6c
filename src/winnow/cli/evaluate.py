"""`winnow evaluate`: what a model, or a way of training one, is worth on labelled mail."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.cli.terminal import Progress, add_labelled, labelled, printable, progress_bar
from winnow.errors import InputError

if TYPE_CHECKING:
    from winnow.corpus import Corpus
    from winnow.recipe import Evaluated

NAME = "evaluate"
HELP = "measure a model, or a way of training, on labelled mail"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `evaluate`."""
    add_labelled(parser)
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="model (default: the one shipped)"
    )
    parser.add_argument(
        "--protocol",
        choices=("apply", "split", "leave-one-out", "online"),
        default="apply",
        help="apply the model; train on 70%% of each corpus; train on all corpora but one; or "
        "answer, then learn, message by message (default: apply)",
    )
    parser.add_argument(
        "--view", choices=("content", "stream", "both"), default="both", help="default: both"
    )
    parser.add_argument("--seed", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument("--seeds", type=int, default=1, help="splits per corpus (default: 1)")
    parser.add_argument(
        "--shuffle", type=int, metavar="SEED", help="online: a seeded random order instead"
    )
    parser.add_argument(
        "--validation",
        action="append",
        default=[],
        metavar="NAME",
        help="leave-one-out: a corpus that is never trained on; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of objects")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write a report with plots"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from winnow.training.report import Result, write_report

    corpora = labelled(args)
    with progress_bar() as progress:
        results = _PROTOCOLS[args.protocol](args, corpora, progress)
    if args.json:
        print(json.dumps([result.figures for result in results], indent=1))
    else:
        for result in results:
            print(_line(result))
    if args.report:
        write_report(args.report, [Result(r.figures, r.scored, r.curve) for r in results])
    return 0


def _merged(corpora: list[Corpus], args: argparse.Namespace) -> list[list[Corpus]]:
    """Each labelled corpus alone; mail named by --spam and --ham together is one corpus."""
    alone = [[corpus] for corpus in corpora[: len(args.corpora)]]
    rest = corpora[len(args.corpora) :]
    return alone + ([rest] if rest else [])


def _name(group: list[Corpus]) -> str:
    return group[0].name if len(group) == 1 else "mail"


def _apply(args: argparse.Namespace, corpora: list[Corpus], progress: Progress) -> list[Evaluated]:
    from winnow import recipe
    from winnow.pipeline import SHIPPED_MODEL

    artifact, reflex = recipe.load(args.model or SHIPPED_MODEL)
    view = str(artifact.manifest["training"]["view"])
    found = []
    for group in _merged(corpora, args):
        dataset = recipe.gather(group, progress=progress).dataset
        found.append(recipe.apply_model(dataset, reflex, corpus=_name(group), view=view))
    return found


def _split(args: argparse.Namespace, corpora: list[Corpus], progress: Progress) -> list[Evaluated]:
    from winnow import recipe
    from winnow.training.train import Options

    found = []
    for group in _merged(corpora, args):
        dataset = recipe.gather(group, progress=progress).dataset
        for seed in range(args.seed, args.seed + args.seeds):
            options = Options(view=args.view, seed=seed)
            found.append(recipe.split(dataset, options, corpus=_name(group), progress=progress))
    return found


def _leave_one_out(
    args: argparse.Namespace, corpora: list[Corpus], progress: Progress
) -> list[Evaluated]:
    from winnow import recipe
    from winnow.training.train import Options

    dataset = recipe.gather(corpora, progress=progress).dataset
    if len(dataset.names) < 2:
        raise InputError("leave-one-out needs two corpora or more.")
    options = Options(view=args.view, seed=args.seed)
    return [
        recipe.leave_one_out(dataset, left, options, unheard=args.validation, progress=progress)
        for left in range(len(dataset.names))
    ]


def _online(args: argparse.Namespace, corpora: list[Corpus], progress: Progress) -> list[Evaluated]:
    from winnow import recipe

    found = []
    for group in _merged(corpora, args):
        dataset = recipe.gather(group, in_order=True, progress=progress).dataset
        reflex = recipe.load(args.model)[1] if args.model else recipe.blank()
        found.append(
            recipe.online(
                dataset,
                reflex,
                corpus=_name(group),
                view=args.view,
                shuffle=args.shuffle,
                progress=progress,
            )
        )
    return found


_PROTOCOLS = {
    "apply": _apply,
    "split": _split,
    "leave-one-out": _leave_one_out,
    "online": _online,
}


def _line(result: Evaluated) -> str:
    figures = result.figures
    parts = [
        f"{printable(str(figures['corpus']), 30)} ({figures['protocol']}, {figures['view']}):",
        f"  {figures['n_ham']:,} ham, {figures['n_spam']:,} spam",
    ]
    shown = (
        ("1-ROCA", "one_minus_roca_percent"),
        ("accuracy", "accuracy_percent"),
        ("ham at 0.5", "ham_at_0.5_percent"),
        ("ham at 0.9", "ham_at_0.9_percent"),
        ("spam missed at 0.5", "spam_missed_at_0.5_percent"),
        ("spam missed at 0.9", "spam_missed_at_0.9_percent"),
        ("precision at 0.9", "precision_at_0.9_percent"),
        ("ECE", "ece_percent"),
    )
    for title, key in shown:
        value, low, high = figures[key], figures[f"{key}_low"], figures[f"{key}_high"]
        if value is not None:
            interval = f" [{low:.3f}, {high:.3f}]" if low is not None else ""
            parts.append(f"  {title:<20} {value:8.3f}%{interval}")
    return "\n".join(parts)
