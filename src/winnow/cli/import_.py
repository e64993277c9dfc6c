"""`winnow import`: a text classifier that was exported elsewhere becomes a model's reader."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from winnow.cli.terminal import a_path, console, printable, size
from winnow.errors import InputError

if TYPE_CHECKING:
    from winnow.recipe_import import Imported

NAME = "import"
HELP = "make a model of a text classifier in ONNX and its tokenizer, exported elsewhere"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `import`."""
    parser.add_argument(
        "graph", type=a_path, metavar="FILE.onnx", help="the classifier, as it was exported"
    )
    parser.add_argument(
        "--tokenizer",
        type=a_path,
        metavar="FILE",
        help="tokenizer.json of Hugging Face (default: the one beside the classifier)",
    )
    parser.add_argument(
        "--out", type=a_path, required=True, metavar="DIR.winnow", help="where to put the model"
    )
    parser.add_argument(
        "--base",
        type=a_path,
        metavar="DIR",
        help="model that gives the first stage, the reflex (default: the one shipped)",
    )
    parser.add_argument(
        "--spam-label",
        type=int,
        metavar="N",
        help="which class is spam, counted from 0 (default: what config.json beside the classifier "
        "calls so, else 1)",
    )
    parser.add_argument(
        "--tokens",
        type=int,
        metavar="N",
        help="most of a message (default: what the classifier takes, 256 at most)",
    )
    parser.add_argument(
        "--fields",
        default="subject,name,text",
        metavar="NAME,…",
        help="what it reads of a message, in this order: of subject, name (the sender's), links, "
        "text, hidden (default: subject,name,text)",
    )


def run(args: argparse.Namespace) -> int:
    """Import and say what was found.

    Raises:
        InputError: the files are no text classifier and its tokenizer.
        ArtifactError: the base is no model, or the new one cannot be written.
    """
    from winnow.pipeline import SHIPPED_MODEL

    recipe_import = _recipe()
    wishes = recipe_import.Wishes(
        args.tokenizer, args.spam_label, args.tokens, tuple(args.fields.split(","))
    )
    base = args.base or SHIPPED_MODEL
    imported = recipe_import.import_classifier(args.graph, base, args.out, wishes)
    for line in lines(imported):
        console().print(line, soft_wrap=True)
    return 0


def lines(imported: Imported) -> list[str]:
    """Return what was found, as sentences."""
    artifact, head, record, step = (
        imported.artifact, imported.head, imported.record, imported.step
    )  # fmt: skip
    name = imported.labels[head.spam] if head.spam < len(imported.labels) else ""
    what = f"class {head.spam}{f', {printable(name, 40)!r},' if name else ''} of {head.classes}"
    if head.classes == 1:
        what = f"its one number {'above' if head.spam else 'below'} 0"
    told = "it says" if record["shares"] else "reading again tells"
    place = printable(str(artifact.path))
    return [
        f"Spam is {what}, from {printable(head.output)} ({head.form}).",
        f"{record['pieces']:,} pieces, {record['limit']} tokens of {', '.join(record['fields'])}; "
        f"{told} what each word added.",
        f"{step['nodes_before']} nodes became {step['nodes']}, {size(step['bytes'])}; the answers "
        f"moved by {step['max_abs_error']:.1g} at most.",
        f"{printable(artifact.label)} is in {place}.",
        "It is not calibrated: the reader answers alone, as sure as it was trained to be. Run "
        f"`winnow calibrate --budget 10ms --model {place} CORPUS` on labelled mail.",
    ]


def _recipe() -> Any:
    try:
        from winnow import recipe_import
    except ImportError as error:
        raise InputError(
            f"importing needs {error.name}, which is not installed; install the extras with "
            "`pip install 'winnow-mail[compile,import]'`."
        ) from error
    return recipe_import
