"""`winnow fuse`: fewer nodes that do the same."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from winnow.cli.ladder import check_installed
from winnow.cli.tables import print_table, table
from winnow.cli.terminal import a_path, console, printable

if TYPE_CHECKING:
    from rich.console import Console

    from winnow.compiler.passes import Report
    from winnow.recipe_compile import Step

NAME = "fuse"
HELP = "rewrite a reader's graph, or any BERT-shaped ONNX file, to fewer nodes that do the same"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fuse`."""
    parser.add_argument(
        "model", type=a_path, metavar="M", help="model: a folder, or a bare .onnx file"
    )
    parser.add_argument(
        "--out", type=a_path, metavar="OUT", help="where to put it (without: only show)"
    )
    parser.add_argument(
        "--for",
        dest="target",
        choices=("cpu", "accelerator"),
        default="cpu",
        help="what it shall run on: accelerators want the fewest nodes, on the processor some "
        "fused kernels are slower than what they replace (default: cpu)",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="list what was fused, what nearly was, and why not",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Fuse, show, and write where a place is named.

    Raises:
        InputError: the graph cannot be read, or the place cannot be written.
        ArtifactError: likewise, for a model folder.
    """
    check_installed()
    from winnow import recipe_compile

    subject = recipe_compile.subject_of(args.model)
    step = recipe_compile.fuse(subject, launches=args.target == "accelerator")
    if args.out is not None:
        recipe_compile.write_subject(subject, step.graph, args.out, step.history)
    if args.json:
        print(json.dumps(_json(subject.name, step), indent=1))
        return 0
    _print(console(), subject.name, step, explain=args.explain)
    return 0


def _json(name: str, step: Step) -> dict[str, Any]:
    return {
        "model": name,
        "nodes_before": step.reports[0].nodes_before,
        "nodes": step.reports[-1].nodes_after,
        "nodes_loaded": step.nodes_loaded,
        "round_trips": step.round_trips,
        "max_abs_error": _number(step.max_abs_error),
        "passes": [
            {
                "name": report.name,
                "nodes_before": report.nodes_before,
                "nodes": report.nodes_after,
                "max_abs_error": _number(report.max_abs_error),
                "undone": report.undone,
                "fired": [{"rule": f.rule, "node": f.made} for f in report.fired],
                "refused": [
                    {"rule": r.rule, "node": r.node, "reason": r.reason} for r in report.refused
                ],
            }
            for report in step.reports
        ],
    }


def _number(value: float | None) -> float | None:
    """A number as JSON has it, which knows no infinity: an undone pass tells why in words."""
    return value if value is not None and math.isfinite(value) else None


def _print(out: Console, name: str, step: Step, *, explain: bool) -> None:
    shown = table("pass ", "nodes before", "after", "largest difference", "rules that fired ")
    for report in step.reports:
        error = "" if report.max_abs_error is None else f"{report.max_abs_error:.1e}"
        fired = Counter(f.rule for f in report.fired)
        words = ", ".join(f"{rule} {count}" for rule, count in fired.items())
        if report.undone:
            words = f"UNDONE: {report.undone}"
        cells = (report.name, f"{report.nodes_before:,}", f"{report.nodes_after:,}", error)
        shown.add_row(*cells, printable(words, 400))
    print_table(out, shown)
    if explain:
        for report in step.reports:
            _explain(out, report)
    out.print(
        f"\n{printable(name)}: {step.reports[0].nodes_before:,} nodes -> "
        f"{step.reports[-1].nodes_after:,}, {step.nodes_loaded:,} as ONNX Runtime loads them; "
        f"{step.round_trips} round trip a message; largest difference of an output "
        f"{step.max_abs_error:.1e}.",
        soft_wrap=True,
    )


def _explain(out: Console, report: Report) -> None:
    if report.fired or report.refused:
        out.print(f"\n{report.name}:")
    for fired in report.fired:
        out.print(f"  fused      {fired.rule}: {printable(fired.made, 100)}", soft_wrap=True)
    for refusal in report.refused:
        where, why = printable(refusal.node, 100), printable(refusal.reason, 300)
        out.print(f"  not fused  {refusal.rule}: {where}: {why}", soft_wrap=True)
