"""`winnow inspect`: what is in a model folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

NAME = "inspect"
HELP = "show what is in a model: files, training, figures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `inspect`."""
    parser.add_argument(
        "model", nargs="?", type=Path, metavar="DIR", help="model (default: the one shipped)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check a model and print what it holds."""
    from winnow import recipe
    from winnow.pipeline import SHIPPED_MODEL

    artifact, _ = recipe.load(args.model or SHIPPED_MODEL)
    if args.json:
        whole = {"label": artifact.label, "calibration": artifact.calibration}
        print(json.dumps(whole | {"manifest": artifact.manifest}, indent=1))
    else:
        print("\n".join(_lines(artifact.label, artifact.manifest, artifact.calibration)))
    return 0


def _lines(label: str, manifest: dict[str, Any], calibration: dict[str, Any]) -> list[str]:
    training = manifest["training"]
    lines = [
        f"{label}  schema {manifest['schema']}, made by Winnow {manifest['winnow']}",
        f"features {manifest['features']}, stages {', '.join(manifest['stages'])}",
        "",
        "files",
    ]
    for name, entry in manifest["files"].items():
        lines.append(f"  {name:<20} {entry['bytes']:>10,} bytes  sha256 {entry['sha256'][:16]}…")
    lines += [
        "",
        f"trained on {training['messages']:,} messages ({training['spam']:,} spam), "
        f"view {training['view']}, calibrated on {training['calibrate']} mail",
    ]
    for name, counts in training["sources"].items():
        lines.append(f"  {name:<30} {counts['ham']:>8,} ham {counts['spam']:>8,} spam")
    combiner = calibration["combiner"]
    gains = ", ".join(f"{name} {gain:.3f}" for name, gain in combiner["gains"].items())
    lines += ["", f"combiner {gains}; intercept {combiner['intercept']:.3f}", "held-out figures"]
    for key, value in calibration["held_out"].items():
        if isinstance(value, float) and not key.endswith(("_low", "_high")):
            lines.append(f"  {key:<32} {value:9.3f}")
    lines += ["", "history"]
    for step in manifest["history"]:
        lines.append("  " + ", ".join(f"{key} {value}" for key, value in step.items()))
    return lines
