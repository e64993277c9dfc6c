"""`winnow prune`: a narrower reader, and before that what each of its layers can do without."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.cli.ladder import a_share, add_model, check_installed, check_place
from winnow.cli.tables import print_table, table
from winnow.cli.terminal import (
    a_path,
    console,
    labelled,
    listed,
    printable,
    progress_bar,
    read_stdin_once,
    size,
)
from winnow.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from winnow.corpus import Corpus
    from winnow.recipe_look import Look
    from winnow.recipe_prune import Pruned, Wish
    from winnow.recipe_recover import Recovery

NAME = "prune"
HELP = "cut heads, neurons, layers and pieces of the vocabulary out of a reader"

_MOST_MESSAGES = 100_000
_TIMES = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*[x×]?\s*")
_NUMBERS = re.compile(r"[0-9]{1,3}(,[0-9]{1,3})*,?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `prune`."""
    add_model(parser)
    parser.add_argument("--out", type=a_path, metavar="OUT", help="where to put the result")
    for part, what in (("heads", "heads"), ("ffn", "neurons of its feed-forward layer")):
        parser.add_argument(
            f"--{part}",
            type=a_share,
            default=0.0,
            metavar="SHARE",
            help=f"{what} that each layer loses, as 50%% or 0.5; half a one stays",
        )
    parser.add_argument(
        "--layers",
        type=_layers,
        metavar="N|N,N,…",
        help="how many layers stay, by measured loss, or which, counted from 0 (one alone: 2,)",
    )
    parser.add_argument(
        "--vocabulary",
        type=int,
        metavar="N",
        help="pieces that stay, those that the mail uses most; bytes always do",
    )
    parser.add_argument(
        "--target",
        type=_times,
        metavar="TIMES",
        help="how many times as fast it is to be, as 2x: widths are searched for that",
    )
    _add_mail(parser)
    parser.add_argument(
        "--importance",
        choices=("reconstruction", "activation", "first-order", "weights"),
        default="",
        help="what stays: without which the rest could make up least (default with mail), what "
        "adds most, what the loss would miss most (by gradients, with --recover), or what has the "
        "largest weights (default without mail, and the worst)",
    )
    parser.add_argument(
        "--sensitivity", action="store_true", help="only show what each layer can do without"
    )
    parser.add_argument(
        "--picture", type=a_path, metavar="FILE.svg", help="also draw that as a picture"
    )
    parser.add_argument(
        "--messages",
        type=int,
        default=1_000,
        metavar="N",
        help="most messages of --mail that are looked at, chosen by the seed (default: 1000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_mail(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mail",
        nargs="+",
        action="extend",
        type=a_path,
        default=[],
        metavar="PATH",
        help="mail to measure on and to fit what is left; labels are not needed",
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--recover",
        dest="corpora",
        nargs="*",
        action="extend",
        type=a_path,
        metavar="CORPUS",
        help="train what is left again on labelled mail, this or that of --spam and --ham, best "
        "what the reader learnt from; takes minutes, and the extra [train]",
    )
    again.add_argument("--no-recover", action="store_true", help="do not train again (the default)")
    for label in ("spam", "ham"):
        parser.add_argument(
            f"--{label}",
            nargs="+",
            action="extend",
            type=a_path,
            default=[],
            metavar="PATH",
            help=f"{label} for --recover, as for `winnow train`",
        )
    parser.add_argument(
        "--draws",
        type=int,
        default=3_000,
        metavar="N",
        help="messages to train again on, repeats counted (default: 3000)",
    )


def _layers(text: str) -> int | tuple[int, ...]:
    """Read "3" as how many, "0,2" and "2," as which."""
    if not _NUMBERS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r}: write how many stay, as 3, or which, as 0,2")
    if "," not in text:
        return int(text)
    return tuple(sorted({int(part) for part in text.split(",") if part}))


def _times(text: str) -> float:
    found = _TIMES.fullmatch(text)
    times = float(found[1]) if found else 0.0
    if not 1 < times <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: write how many times as fast, as 2x or 1.5x")
    return times


def run(args: argparse.Namespace) -> int:
    """Show what can go; cut, fit, train again and write where that is asked for.

    Raises:
        InputError: no usable graph or mail, or a wish that leaves nothing or cannot be reached.
        ArtifactError: no whole model, or one without a reader, or a place that is taken.
    """
    check_installed()
    from winnow import recipe_look, recipe_prune

    wish = _wish(args)
    if args.out is not None:
        recipe_prune.check_out(args.model, args.out)
    if args.picture is not None:
        check_place(args.picture)
    mail = _mail(args)
    with progress_bar() as progress:
        recovery = _recovery(args, progress)
        found = recipe_look.look(
            args.model,
            mail,
            importance=args.importance,
            first_order=None if recovery is None else recovery.ranking,
            messages=args.messages,
            seed=args.seed,
            progress=progress,
        )
    if args.picture is not None:
        _draw(args.picture, found)
    out = console()
    if not args.json:
        _print_look(out, found)
    if args.sensitivity:
        if args.json:
            print(json.dumps(recipe_look.look_json(found), indent=1))
        return 0
    with progress_bar() as progress:
        pruned = recipe_prune.prune(found, wish, corpora=mail, recover=recovery, progress=progress)
    recipe_prune.write(pruned, args.out)
    if args.json:
        print(json.dumps(pruned.to_json() | {"out": str(args.out)}, indent=1))
    else:
        _print_pruned(out, pruned, args)
    return 0


def _wish(args: argparse.Namespace) -> Wish:
    """What is to go; what does not go together is refused before any work."""
    from winnow.recipe_prune import Wish

    wish = Wish(args.heads, args.ffn, args.layers, args.vocabulary, args.target)
    if args.sensitivity:
        if args.out is not None or not wish.is_empty:
            raise InputError("--sensitivity only shows; leave out --out and what is to go.")
        return wish
    if wish.is_empty:
        raise InputError(
            "say what is to go: --heads, --ffn, --layers, --vocabulary or --target; "
            "--sensitivity shows what each layer can do without."
        )
    if args.out is None:
        raise InputError("say where the result is to go: --out OUT.")
    if args.target is not None and (args.heads or args.ffn or args.layers is not None):
        raise InputError("--target chooses widths and layers itself; leave out the others.")
    return wish


def _mail(args: argparse.Namespace) -> list[Corpus]:
    """Open the mail that is measured on."""
    from winnow.corpus import open_corpus

    if not 1 <= args.messages <= _MOST_MESSAGES:
        raise InputError(f"--messages begins at 1 and ends at {_MOST_MESSAGES:,}.")
    if args.seed < 0 or args.draws < 1:
        raise InputError("--seed begins at 0, --draws at 1.")
    read_stdin_once([*args.mail, *(args.corpora or []), *args.spam, *args.ham])
    return [open_corpus(path) for path in args.mail]


def _recovery(args: argparse.Namespace, progress: Any) -> Recovery | None:
    """Read what is trained on again; None where nothing is named."""
    if args.corpora is None:
        if args.spam or args.ham:
            raise InputError("--spam and --ham are what is trained on again; add --recover.")
        if args.importance == "first-order":
            raise InputError(
                "--importance first-order needs labelled mail: name it with --recover."
            )
        return None
    missing = [name for name in ("jax", "optax") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training again needs {missing[0]}, which is not installed: pip install "
            "'winnow-mail[train]'; without, --mail fits what is left by least squares."
        )
    from winnow.recipe_recover import Recovery, gathered

    mail = gathered(labelled(args), args.seed, progress)
    return Recovery(mail, args.draws, args.seed, progress)


def _draw(place: Path, found: Look) -> None:
    from winnow.compiler.prune_picture import sensitivity_picture

    try:
        place.write_text(sensitivity_picture(found.effects), "utf-8")
    except OSError as error:
        raise InputError(f"cannot write {place}: {error.strerror}.") from error


def _print_look(out: Console, found: Look) -> None:
    how = {
        "weights": "the size of its weights, which knows the least: name mail with --mail",
        "activation": "what it adds on mail",
        "reconstruction": "what the rest could not make up for",
        "first-order": "what the loss would miss, to first order",
    }
    out.print(
        printable(
            f"{found.subject.name}: root mean square of the change of log-odds on {found.about}, "
            f"when a part of one layer goes; what is worth least goes first, by "
            f"{how[found.importance]}."
        ),
        style="dim",
        soft_wrap=True,
    )
    print_table(out, effects_table(found, loss=False))
    if found.labels is not None:
        out.print("Logistic loss that is added, in thousandths of a nat:", style="dim")
        print_table(out, effects_table(found, loss=True))


def effects_table(found: Look, *, loss: bool) -> Table:
    """Return what cuts of each layer do: to log-odds, or to the loss on labelled mail."""
    parts = ("25%", "50%", "75%")
    shown = table(
        "\nlayer ", *(f"heads\n-{part}" for part in parts),
        *(f"neurons\n-{part}" for part in parts), "left\nout",
    )  # fmt: skip
    for number, layer in enumerate(found.anatomy.layers):
        cells = []
        sizes = (("heads", layer.attention.heads), ("neurons", layer.feed.neurons))
        for part, most in sizes:
            gone = {e.gone: e for e in found.effects if (e.layer, e.part) == (number, part)}
            cells += [_cell(gone.get(round(share * most)), loss) for share in (0.25, 0.5, 0.75)]
        out = [e for e in found.effects if (e.layer, e.part) == (number, "layer")]
        cells.append(_cell(out[0] if out else None, loss))
        shown.add_row(f"{number}: {sizes[0][1]} heads, {sizes[1][1]:,} neurons", *cells)
    return shown


def _cell(effect: Any, loss: bool) -> str:
    if effect is None or (loss and effect.loss is None):
        return "-"
    return f"{1e3 * effect.loss:+.1f}" if loss else f"{math.sqrt(effect.moved):.3f}"


def _print_pruned(out: Console, pruned: Pruned, args: argparse.Namespace) -> None:
    told = pruned.to_json()
    before, after = pruned.multiply_adds
    out.print(f"\nLeft: {_left(told['layers'])}.", soft_wrap=True)
    if told["pieces"] is not None:
        out.print(f"Vocabulary: {told['pieces']:,} pieces.")
    out.print(
        f"Multiply-adds at {told['tokens']} tokens: {after / before:.0%} of before; "
        f"{pruned.times_faster:.2f} times as fast, measured by turns; "
        f"{size(told['bytes_before'])} -> {size(told['bytes'])} in 32-bit floats.",
        soft_wrap=True,
    )
    _print_figures(out, pruned)
    fitted = told["fitted_messages"]
    how = [f"fitted by least squares on {fitted:,} messages"] if fitted else []
    how += ["trained again on labelled mail"] if pruned.recovered else []
    if how:
        out.print(f"What is left was {listed(how)}.", soft_wrap=True)
    else:
        out.print(
            "Nothing made up for what was cut; with --mail what is left is fitted, with --recover "
            "trained again: both answer much better.",
            soft_wrap=True,
        )
    out.print(f"The result is in {printable(str(args.out))}.", soft_wrap=True)


def _print_figures(out: Console, pruned: Pruned) -> None:
    before, after = pruned.figures["before"], pruned.figures["after"]
    out.print(
        f"Log-odds moved by {after['moved_mean']:.3f} on average, {after['moved_most']:.3f} at "
        f"most, on {printable(pruned.look.about)}.",
        soft_wrap=True,
    )
    if "accuracy_percent" not in after:
        return
    names = {"accuracy_percent": "right %", "one_minus_roca_percent": "1-ROCA %"}
    shown = table("reader alone ", *names.values(), "ECE %")
    for name, figures in (("before", before), ("after", after)):
        shown.add_row(name, *(f"{figures[key]:.2f}" for key in (*names, "ece_percent")))
    print_table(out, shown)


def _left(layers: Sequence[dict[str, int] | None]) -> str:
    words = [
        "left out" if one is None else f"{one['heads']} heads and {one['neurons']:,} neurons"
        for one in layers
    ]
    if len(set(words)) == 1:
        return f"{words[0]} of each of {len(words)} layers"
    return "; ".join(f"layer {number}: {word}" for number, word in enumerate(words))
