"""`winnow quantize`: weights in 8 or 4 bits, as far as the answers stay what they are."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from winnow.cli.tables import print_table, table
from winnow.cli.terminal import a_path, console, printable, progress_bar, read_stdin_once, size
from winnow.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from winnow.recipe_quantize import Quantization, Wish

NAME = "quantize"
_NAMED = 3  # nodes that are named with the reason why they were left
HELP = "write a reader's weights, or those of any BERT-shaped ONNX file, as 8- or 4-bit integers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `quantize`."""
    parser.add_argument(
        "model", type=a_path, metavar="M", help="model: a folder, or a bare .onnx file"
    )
    parser.add_argument(
        "--out", type=a_path, metavar="OUT", help="where to put it (without: only show)"
    )
    parser.add_argument(
        "--bits", type=int, choices=(8, 4), default=8, help="of a weight (default: 8)"
    )
    parser.add_argument(
        "--activations",
        choices=("dynamic", "calibrated"),
        default="dynamic",
        help="what weights are multiplied with is rounded by the range of each message, or by one "
        "range that is found beforehand (default: dynamic)",
    )
    parser.add_argument(
        "--mail",
        nargs="+",
        action="extend",
        type=a_path,
        default=[],
        metavar="CORPUS",
        help="mail to decide on, labelled or not; without it random inputs stand for mail",
    )
    parser.add_argument(
        "--keep",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATTERN",
        help="names of nodes that stay in floats, with * and ? as in a shell",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="X",
        help="largest mean change of the answers, in log-odds (default: 0.05, with 4 bits 0.1)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Quantize, show, and write where a place is named.

    Raises:
        InputError: the graph or the mail cannot be used, or the place cannot be written.
        ArtifactError: likewise, for a model folder.
    """
    from winnow.corpus import open_corpus

    recipe = _recipe()
    wish = _wish(args)
    read_stdin_once(args.mail)
    corpora = [open_corpus(path) for path in args.mail]
    subject = recipe.subject_of(args.model)
    with progress_bar() as progress:
        found = recipe.quantize_subject(subject, wish, corpora, progress)
    if args.out is not None:
        recipe.write_subject(subject, found.graph, args.out, found.history)
    if args.json:
        print(json.dumps(_json(subject.name, wish, found), indent=1))
        return 0
    _print(console(), subject.name, found)
    return 0


def _recipe() -> Any:
    try:
        from winnow import recipe_quantize
    except ImportError as error:
        raise InputError(
            f"quantizing needs {error.name}, which is not installed; install the extra with "
            "`pip install 'winnow-mail[compile]'`."
        ) from error
    return recipe_quantize


def _wish(args: argparse.Namespace) -> Wish:
    from winnow.recipe_quantize import Wish

    if args.tolerance is not None and not (math.isfinite(args.tolerance) and args.tolerance >= 0):
        raise InputError("--tolerance is a number from 0 on; 0.05 is a small change.")
    calibrated = args.activations == "calibrated"
    return Wish(args.bits, calibrated, args.tolerance, tuple(args.keep))


def _json(name: str, wish: Wish, found: Quantization) -> dict[str, Any]:
    report = found.report
    return {
        "model": name,
        "bits": wish.bits,
        "activations": "calibrated" if wish.calibrated else "dynamic",
        "tolerance": wish.allowed,
        "messages": found.about,
        "unchanged": found.unchanged,
        "bytes_floats": found.bytes_floats,
        "bytes_before": found.bytes_before,
        "bytes": found.bytes_after,
        "mean_change": found.mean_change,
        "max_change": found.max_change,
        "max_abs_error": None if report is None else report.max_abs_error,
        "nodes": [asdict(row) for row in found.rows],
        "left": [{"node": one.node, "reason": one.reason} for one in found.refused],
    }


def _print(out: Console, name: str, found: Quantization) -> None:
    if found.rows:
        print_table(out, nodes_table(found))
    for reason, nodes in _by_reason(found).items():
        named = ", ".join(printable(node, 60) for node in nodes[:_NAMED])
        more = f" and {len(nodes) - _NAMED:,} more" if len(nodes) > _NAMED else ""
        out.print(f"left, since {printable(reason, 200)}: {named}{more}", soft_wrap=True)
    if found.unchanged:
        out.print(f"{printable(name)} stays as it is: {found.unchanged}.", soft_wrap=True)
        return
    out.print(
        f"\n{printable(name)}: {size(found.bytes_before)} -> {size(found.bytes_after)}, in floats "
        f"{size(found.bytes_floats)}. On {printable(found.about)} the answers move by "
        f"{found.mean_change:.3f} log-odds in the mean, by {found.max_change:.3f} at most.",
        soft_wrap=True,
    )


def _by_reason(found: Quantization) -> dict[str, list[str]]:
    nodes: dict[str, list[str]] = {}
    for one in found.refused:
        nodes.setdefault(one.reason, []).append(one.node)
    return nodes


def nodes_table(found: Quantization) -> Table:
    """What became of each node; those in floats are bold."""
    shown = table(
        "node ", "written in ", "saved", "weights off by %", "answers moved, alone", "now"
    )
    for row in found.rows:
        shown.add_row(
            printable(row.node, 60),
            row.form,
            f"{row.bytes_saved:,}",
            f"{100 * row.weights_error:.2f}",
            f"{row.change:.4f}",
            f"{row.change_now:.4f}",
            style="bold" if row.kept else "",
        )
    return shown
