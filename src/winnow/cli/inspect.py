"""`winnow inspect`: what is in a model folder."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from winnow.cli.calibrate import frontier_table
from winnow.cli.tables import print_table, table
from winnow.cli.terminal import a_path, console, printable, seconds
from winnow.cli.train import held_out_text, sources_table
from winnow.errors import ArtifactError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from winnow.artifact import Artifact

NAME = "inspect"
HELP = "check a model and show what is in it: files, training, figures, history"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `inspect`."""
    parser.add_argument(
        "model", nargs="?", type=a_path, metavar="DIR", help="model (default: the one shipped)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check a model and print what it holds; one of other features is shown, and said to be so.

    Raises:
        ArtifactError: it is damaged, foreign, of another schema, or not whole.
    """
    from winnow import recipe
    from winnow.pipeline import SHIPPED_MODEL

    artifact, usable = recipe.examine(args.model or SHIPPED_MODEL)
    if args.json:
        answer = {
            "model": artifact.label,
            "usable": usable,
            "faults": list(artifact.faults),
            "manifest": artifact.manifest,
            "calibration": artifact.calibration,
        }
        print(json.dumps(answer, indent=1))
        return 0
    try:
        _print(console(), artifact, usable)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{artifact.path}: manifest.json is not one that this Winnow writes ({error!r})."
        ) from error
    return 0


def _print(out: Console, artifact: Artifact, usable: bool) -> None:
    manifest, training = artifact.manifest, artifact.manifest["training"]
    matches = "those of this Winnow" if usable else "NOT those of this Winnow: train it again"
    facts = {
        "model": artifact.label,
        "folder": str(artifact.path),
        "made by": f"Winnow {manifest['winnow']}, schema {manifest['schema']}",
        "stages": ", ".join(manifest["stages"]),
        "features": f"{artifact.fingerprint}, {matches}",
        "view": training["view"],
        "calibrated": f"on {training['calibrate']} mail",
        "combiner": _combiner(artifact.calibration["combiner"]),
        **_reader(artifact),
        "seed": str(training["seed"]),
        "cost": _cost(training["cpu_seconds"]),
    }
    for name, value in facts.items():
        out.print(f"{name:<11} {printable(value)}", soft_wrap=True)
    for fault in artifact.faults:
        out.print(f"FAULT       {printable(fault)}", soft_wrap=True)
    out.print()
    print_table(out, _files(manifest["files"]))
    out.print()
    print_table(out, sources_table(training["sources"]))
    out.print(f"{training['repeats_left_out']:,} repeated messages were left out.")
    out.print()
    out.print(held_out_text(artifact.calibration["held_out"]))
    out.print()
    print_table(out, _history(manifest["history"]))
    if "frontier.json" in artifact.files:
        out.print("\nwhat each budget for the reader buys:")
        print_table(out, frontier_table(json.loads(artifact.files["frontier.json"])))


def _combiner(combiner: dict[str, Any]) -> str:
    gains = [f"{gain:.2f} {name}" for name, gain in combiner["gains"].items() if gain]
    return f"{' + '.join(gains)} {combiner['intercept']:+.2f}"


def _reader(artifact: Artifact) -> dict[str, str]:
    """Facts of the second stage, where there is one."""
    if "reader" not in artifact.manifest["stages"]:
        return {}
    made, cascade = artifact.manifest["training"]["reader"], artifact.calibration["cascade"]
    facts = {"reader": _imported(made) if "imported" in made else _trained(made)}
    if not cascade["reflex"]:
        told = "NOT calibrated: the reader answers alone; run `winnow calibrate` on labelled mail"
        return facts | {"cascade": told}
    facts["cascade"] = (
        f"{cascade['intercept']:+.2f} {cascade['reflex']:+.2f} reflex {cascade['reader']:+.2f} "
        f"reader, where the reflex has more than {cascade['low']:.2f} and less than "
        f"{cascade['high']:.2f}"
    )
    return facts | _opening(cascade.get("opening"))


def _trained(made: dict[str, Any]) -> str:
    layers, draws = len(made["backbone_layers"]), made["schedule"]["draws"]
    return (
        f"{layers} layers, {made['pieces']:,} pieces, {made['limit']} tokens at most; "
        f"{draws:,} draws, {seconds(made['cpu_seconds'])} of the processor"
    )


def _imported(made: dict[str, Any]) -> str:
    return (
        f"imported from {made['imported']}, {made['spam']} of {made['classes']} classes is spam, "
        f"{made['pieces']:,} pieces, {made['limit']} tokens at most of {', '.join(made['fields'])}"
    )


def _opening(opening: dict[str, Any] | None) -> dict[str, str]:
    if opening is None:
        return {}
    from winnow.runtime import STANDS_OUT

    return {
        "opening": f"{opening['intercept']:+.2f} {opening['whole']:+.2f} reflex "
        f"{opening['opening']:+.2f} the first {opening['words']} words {opening['reader']:+.2f} "
        f"reader, where these words have {STANDS_OUT} more than the whole"
    }


def _cost(cpu_seconds: dict[str, float]) -> str:
    return ", ".join(f"{seconds(value)} {name}" for name, value in cpu_seconds.items())


def _files(files: dict[str, dict[str, Any]]) -> Table:
    shown = table("file ", "bytes", "sha256, as it should be ")
    for name, entry in files.items():
        shown.add_row(printable(name, 40), f"{entry['bytes']:,}", printable(entry["sha256"], 25))
    return shown


def _history(steps: list[dict[str, Any]]) -> Table:
    shown = table("history ", "weights, bytes", "Winnow ")
    for step in steps:
        cells = (str(step["step"]), f"{step['bytes']:,}", str(step["version"]))
        shown.add_row(*(printable(cell, 40) for cell in cells))
    return shown
