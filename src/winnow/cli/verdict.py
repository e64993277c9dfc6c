"""`winnow verdict`: look up what was answered for a message."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from winnow.cli.terminal import printable
from winnow.errors import InputError

NAME = "verdict"
HELP = "look up what the server answered for a message"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `verdict`."""
    parser.add_argument("message_id", metavar="MESSAGE-ID", help="with or without <>")
    parser.add_argument("--store", type=Path, metavar="FILE", help="where verdicts are kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print the verdicts on one message, the newest first; status 1 when there is none."""
    from winnow.pipeline import default_store_path
    from winnow.store import Store

    path = args.store or default_store_path()
    if not path.exists():
        raise InputError(f"there is no store at {path}; name one with --store.")
    store = Store.open(path)
    try:
        rows = store.find(args.message_id)
    finally:
        store.close()
    for row in rows:
        at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds")
        if args.json:
            answer = {"at": at, "door": row.door, "probability": row.probability}
            print(json.dumps(answer | {"action": str(row.action), "rule": row.rule}))
        else:
            rule = printable(row.rule, 40)
            print(f"{at}  {row.door:<6} {row.probability:.3f}  {row.action:<8} by {rule}")
    if not rows:
        print("winnow: no verdict on that message is kept.")
    return 0 if rows else 1
