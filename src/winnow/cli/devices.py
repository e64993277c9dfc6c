"""`winnow devices`: what the reader can run on here, and what each would do with a model."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from winnow.cli.tables import print_table, table
from winnow.cli.terminal import a_path, console, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from winnow.recipe_devices import Surveyed
    from winnow.runtime.survey import Row

NAME = "devices"
HELP = "list the devices there are, and try a model on those that are here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `devices`."""
    parser.add_argument(
        "model",
        nargs="?",
        type=a_path,
        metavar="M",
        help="model, or ONNX file of a text classifier (default: the model that ships)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Try every device and print what was found.

    Raises:
        ArtifactError, InputError: there is no such model.
    """
    from winnow.pipeline import SHIPPED_MODEL
    from winnow.recipe_devices import survey_model

    found = survey_model(args.model or SHIPPED_MODEL)
    if args.json:
        print(json.dumps(as_json(found), indent=1))
    else:
        _print(console(), found)
    return 0


def as_json(found: Surveyed) -> dict[str, Any]:
    """One object; times in milliseconds, differences by output."""
    return {
        "model": found.model,
        "tokens": list(found.tokens),
        "auto": found.auto,
        "devices": [_row_json(row) for row in found.rows],
    }


def _row_json(row: Row) -> dict[str, Any]:
    placed = row.placement
    return {
        "device": row.device,
        "provider": row.provider,
        "here": bool(row.here),
        "way": row.here or None,
        "missing": row.missing,
        "needs": row.needs,
        "fault": row.fault,
        "nodes": placed.nodes if placed else None,
        "nodes_left": placed.left if placed else None,
        "round_trips": placed.round_trips if placed else None,
        **{f"cpu_ms_{tokens}": spent.cpu for tokens, spent in row.times.items()},
        **{f"wall_ms_{tokens}": spent.wall for tokens, spent in row.times.items()},
        "max_abs_error": dict(row.differences),
    }


def _print(out: Console, found: Surveyed) -> None:
    shown = table("device ", "provider ", "here ")
    for row in found.rows:
        shown.add_row(row.device, row.provider, row.here or f"no; needs {row.needs}")
    print_table(out, shown)
    out.print(f"\n{printable(found.model)} on those that are here; ms of the processor, and until")
    out.print("the answer is there, for messages of so many tokens:\n")
    print_table(out, _tried(found))
    for row in found.rows:
        if row.fault:
            out.print(printable(row.fault, 2000), soft_wrap=True)
    out.print(f"\n--device auto takes {found.auto}", style="dim")


def _tried(found: Surveyed) -> Table:
    heads = [f"{kind}\n{tokens}" for tokens in found.tokens for kind in ("cpu ms", "wall ms")]
    shown = table("\ndevice ", "\nnodes", "round\ntrips", *heads, "largest\ndifference")
    for row in found.rows:
        placed = row.placement
        if placed is None:
            if row.here:
                shown.add_row(row.device, *["–"] * (3 + len(heads)))  # noqa: RUF001  a dash: none
            continue
        spent = [row.times[tokens] for tokens in found.tokens]
        shown.add_row(
            row.device,
            f"{placed.nodes} of {placed.nodes + placed.left}",
            str(placed.round_trips),
            *(f"{value:.2f}" for one in spent for value in (one.cpu, one.wall)),
            _difference(row),
        )
    return shown


def _difference(row: Row) -> str:
    """Of the answer, which is the graph's first output."""
    return f"{next(iter(row.differences.values())):.1g}" if row.differences else ""
