"""`winnow evaluate`: what a model, or a way of training one, is worth on labelled mail."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.cli.tables import print_table, table
from winnow.cli.terminal import (
    Progress,
    a_path,
    add_device,
    add_labelled,
    console,
    labelled,
    printable,
    progress_bar,
)
from winnow.cli.train import add_calibrate
from winnow.errors import ArtifactError, InputError

if TYPE_CHECKING:
    from rich.table import Table

    from winnow.answering import Model
    from winnow.artifact import Artifact
    from winnow.corpus import Corpus
    from winnow.recipe import Evaluated
    from winnow.training.train import Options

NAME = "evaluate"
HELP = "measure a model, or a way of training, on labelled mail"

HUMBLE_FROM = 4  # corpora: with fewer, too little is left to calibrate on when one is left out

_FIGURES = (
    ("1-ROCA", "one_minus_roca_percent", 3, ""),
    ("right at 0.50", "accuracy_percent", 2, ""),
    ("ham given 0.50 or more", "ham_at_0.5_percent", 2, "n_ham"),
    ("ham given 0.90 or more", "ham_at_0.9_percent", 2, "n_ham"),
    ("spam given less than 0.50", "spam_missed_at_0.5_percent", 2, "n_spam"),
    ("spam given less than 0.90", "spam_missed_at_0.9_percent", 2, "n_spam"),
    ("spam among what got 0.90", "precision_at_0.9_percent", 2, ""),
    ("calibration error (ECE)", "ece_percent", 2, ""),
    ("Brier score, 0 to 1", "brier", 4, ""),
)
_HEADS = {
    "one_minus_roca_percent": "1-ROCA\n%",
    "accuracy_percent": "right\n%",
    "ham_at_0.5_percent": "ham %\n≥ 0.50",
    "ham_at_0.9_percent": "ham %\n≥ 0.90",
    "spam_missed_at_0.5_percent": "spam %\n< 0.50",
    "spam_missed_at_0.9_percent": "spam %\n< 0.90",
    "ece_percent": "ECE\n%",
}


@dataclass(frozen=True, slots=True)
class _Run:
    """One result and how the table names it."""

    name: str
    result: Evaluated


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `evaluate`."""
    add_labelled(parser)
    parser.add_argument(
        "--model",
        type=a_path,
        metavar="DIR",
        help="apply: the model (default: the one shipped); online: where to start from (default: "
        "nothing learnt)",
    )
    parser.add_argument(
        "--protocol",
        choices=tuple(_PROTOCOLS),
        default="apply",
        help="apply: the model as it is; split: train on 70%% of each corpus, answer the rest; "
        "leave-one-out: train on all corpora but one, answer that one; online: answer, then "
        "learn, message by message in order (default: apply)",
    )
    parser.add_argument(
        "--stage",
        choices=("reflex", "reader"),
        default="reflex",
        help="split: what is trained; reader trains both stages, with the options of `winnow train "
        "--stage reader` as they are by default, and gives figures of the reflex alone, too "
        "(default: reflex)",
    )
    parser.add_argument(
        "--view",
        choices=("content", "stream", "both"),
        help="what is trained or learnt (default: both); apply uses the model's own",
    )
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="split: so many times (default: 1)"
    )
    parser.add_argument(
        "--shuffle",
        type=int,
        metavar="SEED",
        help="online: in a seeded random order instead; --spam and --ham, of no order, need it",
    )
    parser.add_argument(
        "--validation",
        action="append",
        default=[],
        metavar="NAME",
        help="leave-one-out: a corpus that is never trained on; may be repeated",
    )
    add_calibrate(
        parser, default=None, told="held-out; leave-one-out of four corpora or more: left-out"
    )
    parser.add_argument(
        "--evasions",
        action="store_true",
        help="apply: write the spam anew as evaders do, and count how much is still caught",
    )
    add_device(parser, default=None)
    parser.add_argument("--json", action="store_true", help="print a JSON list of objects")
    parser.add_argument(
        "--report", type=a_path, metavar="FILE.html", help="also write a report with plots"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from winnow.training.report import Result, write_report

    _check(args)
    corpora = labelled(args)
    if args.evasions:
        return _evasions(args, corpora)
    with progress_bar() as progress:
        runs, model = _PROTOCOLS[args.protocol](args, corpora, progress)
    if args.report:
        created = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        found = [run.result for run in runs]
        results = [Result(one.figures, one.scored, one.curve, one.growth) for one in found]
        write_report(args.report, results, model=model, created=created)
    if args.json:
        print(json.dumps([one.result.figures for one in runs], indent=1))
    else:
        _print(runs, args, model)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what would be passed over in silence, before minutes of work."""
    protocol = args.protocol
    if args.view and protocol == "apply":
        raise InputError("--view: the view is the model's; it is an option of training.")
    if args.device and protocol != "apply":
        raise InputError("--device is for --protocol apply: the others train on the processor.")
    if args.model and protocol in ("split", "leave-one-out"):
        raise InputError(f"--model: {protocol} trains models of its own.")
    if args.seeds != 1 and protocol != "split":
        raise InputError("--seeds is for --protocol split.")
    if args.shuffle is not None and protocol != "online":
        raise InputError("--shuffle is for --protocol online.")
    if protocol == "online" and args.shuffle is None and (args.spam or args.ham):
        raise InputError(
            "--spam and --ham do not tell in which order their mail came, and all spam before all "
            "ham would flatter; add --shuffle SEED, or give the mail an index.tsv with dates."
        )
    if args.validation and protocol != "leave-one-out":
        raise InputError("--validation is for --protocol leave-one-out.")
    if args.stage == "reader" and (protocol != "split" or args.report):
        raise InputError("--stage reader is for --protocol split, and has no report.")
    if args.stage == "reader" and args.seeds != 1:
        raise InputError("--stage reader takes one --seed at a time.")
    if args.evasions and (protocol != "apply" or args.report):
        raise InputError("--evasions is for --protocol apply, and has no report.")
    if args.seeds < 1 or args.seed < 0 or (args.shuffle or 0) < 0:
        raise InputError("--seeds begins at 1, --seed and --shuffle at 0.")
    if args.report:
        _check_place(args.report)


def _check_place(report: Path) -> None:
    if not report.absolute().parent.is_dir():
        raise InputError(f"{report}: there is no folder {report.parent}.")
    if report.is_dir():
        raise InputError(f"{report}: is a folder; name a file for the report.")
    if not os.access(report if report.exists() else report.absolute().parent, os.W_OK):
        raise InputError(f"{report}: the report cannot be written there; name another file.")


def _groups(args: argparse.Namespace, corpora: list[Corpus]) -> list[tuple[str, list[Corpus]]]:
    """Each corpus alone; what --spam and --ham name is one corpus together."""
    alone = [(corpus.name, [corpus]) for corpus in corpora[: len(args.corpora)]]
    rest = corpora[len(args.corpora) :]
    names = list(dict.fromkeys(corpus.name for corpus in rest))
    return alone + ([("+".join(names), rest)] if rest else [])


def _options(args: argparse.Namespace, seed: int, calibrate: str = "held-out") -> Options:
    from winnow.training.train import Options

    return Options(view=args.view or "both", calibrate=args.calibrate or calibrate, seed=seed)


def _apply(
    args: argparse.Namespace, corpora: list[Corpus], progress: Progress
) -> tuple[list[_Run], str]:
    from winnow import recipe_cascade
    from winnow.recipe import Evaluated

    artifact, model = _model(args)
    view = str(artifact.manifest["training"].get("view", "unknown"))
    runs = []
    for name, group in _groups(args, corpora):
        found = recipe_cascade.apply(model, group, corpus=name, view=view, progress=progress)
        figures = found.figures | {
            "answered_by_reader_percent": found.read_percent,
            "milliseconds": found.milliseconds,
        }
        runs.append(_Run(name, Evaluated(figures, found.scored)))
    return runs, artifact.label


def _model(args: argparse.Namespace) -> tuple[Artifact, Model]:
    """The model to apply; one whose reader is broken is not measured as if it had none."""
    from winnow.answering import Model
    from winnow.artifact import read_artifact
    from winnow.pipeline import SHIPPED_MODEL
    from winnow.runtime.devices import CPU

    artifact = read_artifact(args.model or SHIPPED_MODEL)
    model = Model.of(artifact, args.device or CPU)
    if model.broken:
        raise ArtifactError(model.broken)
    if model.notice:
        told = f"winnow: {printable(artifact.label)}: {model.notice}"
        console(errors=True).print(told, soft_wrap=True)
    return artifact, model


def _evasions(args: argparse.Namespace, corpora: list[Corpus]) -> int:
    """Print how much spam is still caught, for each evasion."""
    from dataclasses import asdict

    from winnow import recipe_cascade

    _, model = _model(args)
    with progress_bar() as progress:
        found = recipe_cascade.evasions(model, corpora, seed=args.seed, progress=progress)
    if args.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return 0
    shown = table("evasion ", "spam", "given ≥ 0.50", "given ≥ 0.90", "of the clean recall")
    for one in found:
        half, junk = (100 * n / one.spam for n in (one.caught_at_half, one.caught_at_junk))
        kept = "" if one.evasion == "clean" else f"{one.kept_percent:.1f}%"
        shown.add_row(one.evasion, f"{one.spam:,}", f"{half:.1f}%", f"{junk:.1f}%", kept)
    print_table(console(), shown)
    return 0


def _split(
    args: argparse.Namespace, corpora: list[Corpus], progress: Progress
) -> tuple[list[_Run], str]:
    from winnow import recipe

    if args.stage == "reader":
        return _split_both(args, corpora, progress), ""
    runs = []
    for name, group in _groups(args, corpora):
        dataset = recipe.gather(group, progress=progress).dataset
        for seed in range(args.seed, args.seed + args.seeds):
            options = _options(args, seed)
            try:
                found = recipe.split(
                    dataset, options, corpus=name, growth=bool(args.report), progress=progress
                )
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
            runs.append(_Run(name if args.seeds == 1 else f"{name}, seed {seed}", found))
    return runs, ""


def _split_both(args: argparse.Namespace, corpora: list[Corpus], progress: Progress) -> list[_Run]:
    from winnow.cli.train import reader_parts

    recipe_reader, how, backbone = reader_parts()
    runs = []
    for name, group in _groups(args, corpora):
        mail = recipe_reader.gather_texts(group, seed=args.seed, progress=progress)
        for seed in range(args.seed, args.seed + args.seeds):
            found = recipe_reader.split(
                mail,
                _options(args, seed),
                how(len(mail.texts), seed),
                backbone,
                corpus=name,
                progress=progress,
            )
            title = name if args.seeds == 1 else f"{name}, seed {seed}"
            runs += [_Run(f"{title}, {part}", one) for part, one in zip(_PARTS, found, strict=True)]
    return runs


_PARTS = ("reflex", "both")


def _leave_one_out(
    args: argparse.Namespace, corpora: list[Corpus], progress: Progress
) -> tuple[list[_Run], str]:
    from winnow import recipe

    dataset = recipe.gather(corpora, progress=progress).dataset
    names = dataset.names
    if len(names) < 2:
        raise InputError(
            "leave-one-out needs two corpora or more, each with mail that is not in the others."
        )
    unknown = [name for name in args.validation if name not in names]
    if unknown:
        raise InputError(f"--validation {unknown[0]}: the corpora are {', '.join(names)}.")
    heard = len(names) - len(args.validation)
    options = _options(args, args.seed, "left-out" if heard >= HUMBLE_FROM else "held-out")
    found = recipe.leave_one_out(dataset, options, unheard=args.validation, progress=progress)
    return [_Run(name, result) for name, result in zip(names, found, strict=True)], ""


def _online(
    args: argparse.Namespace, corpora: list[Corpus], progress: Progress
) -> tuple[list[_Run], str]:
    from winnow import recipe

    view, runs, label = args.view or "both", [], ""
    for name, group in _groups(args, corpora):
        dataset = recipe.gather(group, in_order=True, progress=progress).dataset
        reflex = recipe.blank()
        if args.model:
            artifact, reflex = recipe.load(args.model)
            label = artifact.label
        found = recipe.online(
            dataset, reflex, corpus=name, view=view, shuffle=args.shuffle, progress=progress
        )
        runs.append(_Run(name, found))
    return runs, label


_PROTOCOLS = {
    "apply": _apply,
    "split": _split,
    "leave-one-out": _leave_one_out,
    "online": _online,
}


def _print(runs: Sequence[_Run], args: argparse.Namespace, model: str) -> None:
    out = console()
    first = runs[0].result.figures
    about = [f"protocol {first['protocol']}", f"view {first['view']}"]
    about += [f"model {printable(model)}"] if model else []
    out.print(", ".join(about), style="dim")
    out.print()
    if "answered_by_reader_percent" in first:
        for one in runs:
            figures = one.result.figures
            out.print(
                f"{printable(one.name)}: {figures['answered_by_reader_percent']:.1f}% answered by "
                f"the reader, {figures['milliseconds']:.2f} ms a message",
                style="dim",
            )
        out.print()
    if len(runs) == 1:
        print_table(out, _one(runs[0].name, first))
        return
    shown = _many(runs, args, wide=out.width >= 100)
    print_table(out, shown)
    out.print("\n95% intervals are in --json and --report.", style="dim")


def _one(name: str, figures: Mapping[str, Any]) -> Table:
    """Return one result as a table of its figures with intervals and counts."""
    shown = table(f"{printable(name, 30)} ", "%", "95% interval", "messages")
    shown.add_row("ham", "", "", f"{figures['n_ham']:,}")
    shown.add_row("spam", "", "", f"{figures['n_spam']:,}")
    for title, key, digits, whole in _FIGURES:
        value, low, high = figures[key], figures[f"{key}_low"], figures[f"{key}_high"]
        interval = "" if low is None else f"{low:.{digits}f} to {high:.{digits}f}"
        counted = whole and value is not None
        number = figures.get(f"{key.removesuffix('_percent')}_count")
        count = f"{number:,} of {figures[whole]:,}" if counted else ""
        shown.add_row(title, _number(value, digits), interval, count)
    return shown


def _many(runs: Sequence[_Run], args: argparse.Namespace, *, wide: bool) -> Table:
    """Return a line for each result, and the mean of each corpus over its seeds."""
    from winnow import recipe

    shown = table("\ncorpus ", "\nham", "\nspam", *_HEADS.values())
    shown.padding = (0, 2 if wide else 1, 0, 0)
    for place, one in enumerate(runs, start=1):
        shown.add_row(*_row(one.name, one.result.figures))
        if args.seeds > 1 and place % args.seeds == 0:
            group = [run.result.figures for run in runs[place - args.seeds : place]]
            mean = recipe.mean_figures(group)
            shown.add_row(*_row(f"{mean['corpus']}, mean", mean), style="bold")
    return shown


def _row(name: str, figures: Mapping[str, Any]) -> list[str]:
    cells = [printable(name, 34), f"{figures['n_ham']:,.0f}", f"{figures['n_spam']:,.0f}"]
    digits = {key: digits for _, key, digits, _ in _FIGURES}
    return cells + [_number(figures[key], digits[key]) for key in _HEADS]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"  # noqa: RUF001  a dash: not defined
