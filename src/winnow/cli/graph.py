"""`winnow graph`: a model's computational graph as a picture, before and after."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from winnow.cli.tables import print_table, table
from winnow.cli.terminal import a_path, console, printable
from winnow.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from winnow.compiler.picture.story import Story

NAME = "graph"
HELP = "draw a model's graph, before and after, by layer, with what became of what"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `graph`."""
    parser.add_argument(
        "model",
        nargs="?",
        type=a_path,
        metavar="M",
        help="model: a folder, or a bare .onnx file (default: the one shipped)",
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--after", type=a_path, metavar="OTHER", help="what became of it: another model"
    )
    other.add_argument(
        "--fused", action="store_true", help="compare it with what `winnow fuse` would make of it"
    )
    parser.add_argument(
        "--for",
        dest="target",
        choices=("cpu", "accelerator"),
        default="cpu",
        help="with --fused: what it is fused for (default: cpu)",
    )
    parser.add_argument(
        "--every-layer",
        action="store_true",
        help="draw layers that are alike again and again (default: once, with their number)",
    )
    parser.add_argument(
        "--out",
        type=a_path,
        metavar="FILE",
        help="where to draw it: FILE.svg, or FILE.html, where stages fold away (without: only "
        "counts are shown)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compare, draw where a place is named, and show counts.

    Raises:
        InputError: a graph cannot be read or is too large, or the place cannot be written.
        ArtifactError: a model folder is damaged, or has no reader.
    """
    from winnow.pipeline import SHIPPED_MODEL

    if args.target != "cpu" and not args.fused:
        raise InputError("--for says what --fused fuses for; add --fused.")
    recipe_picture = _recipe()
    story, undone = recipe_picture.story_of_file(
        args.model or SHIPPED_MODEL,
        args.after,
        fused=args.fused,
        launches=args.target == "accelerator",
        every_layer=args.every_layer,
    )
    if args.out is not None:
        recipe_picture.write_picture(story, args.out)
    if args.json:
        print(json.dumps(recipe_picture.told(story) | {"undone": undone}, indent=1))
        return 0
    out = console()
    _print(out, story)
    for sentence in undone:
        out.print(f"\n{printable(sentence)}", soft_wrap=True)
    if args.out is not None:
        out.print(f"\nDrawn in {printable(str(args.out))}.", soft_wrap=True)
    return 0


def _recipe() -> Any:
    try:
        from winnow import recipe_picture
    except ImportError as error:
        raise InputError(
            f"drawing a graph needs {error.name}, which is not installed; install the extra with "
            "`pip install 'winnow-mail[compile]'`."
        ) from error
    return recipe_picture


def _print(out: Console, story: Story) -> None:
    from winnow.compiler.picture.words import headline, row_changes, stage_count, stage_name

    out.print(f"{printable(story.name)}: {headline(story)}\n", soft_wrap=True)
    heads = ("before", "after", "what became of what ") if story.after else ("nodes",)
    shown = table("stage ", *heads)
    for row in story.rows:
        side, stages = (story.before, row.before) if row.before else (story.after, row.after)
        assert side is not None
        cells = [stage_count(story.before, row.before) if row.before else ""]
        if story.after is not None:
            cells.append(stage_count(story.after, row.after) if row.after else "")
            cells.append(printable(", ".join(row_changes(story, row)), 400))
        shown.add_row(stage_name(side, stages), *cells)
    print_table(out, shown)
    if story.after is not None and not story.changes:
        out.print("\nThe graphs have no value of one name: what became of what cannot be told.")
