"""`winnow verdict`: look up what was answered for a message."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from winnow.cli.check import reasons_text
from winnow.cli.tables import print_table, table
from winnow.cli.terminal import STYLES, a_path, console, printable
from winnow.errors import InputError

if TYPE_CHECKING:
    from winnow.store import VerdictRow

NAME = "verdict"
HELP = "look up what the server answered for a message"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `verdict`."""
    parser.add_argument(
        "message_id", metavar="MESSAGE-ID", help="with or without <>, or the identity of a verdict"
    )
    parser.add_argument(
        "--store",
        type=a_path,
        metavar="FILE",
        help="where verdicts are kept (default: winnow/winnow.db in the user's state folder)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print the verdicts on one message, the newest first.

    Raises:
        InputError: there is no store, or none on that message in it.
        StoreError: the store cannot be read.
    """
    from winnow.pipeline import default_store_path
    from winnow.store import Store

    path = args.store or default_store_path()
    if not path.exists():
        raise InputError(f"there is no store at {path}; name one with --store.")
    store = Store.open(path, retention_days=None)  # to look must not delete
    try:
        rows = store.find(args.message_id)
    finally:
        store.close()
    if not rows:
        raise InputError(
            f"{path} holds no verdict on {args.message_id!r}; a server with that store has not "
            "answered for it, or longer ago than its retention."
        )
    if args.json:
        for row in rows:
            print(json.dumps(as_json(row)))
    else:
        _print(rows)
    return 0


def as_json(row: VerdictRow) -> dict[str, Any]:
    """Return the documented JSON object: that of `check`, and how and when it was asked."""
    return {
        "id": row.message_id,
        "identity": row.identity,
        "at": _time(row.at),
        "door": row.door,
        "probability": round(row.probability, 6),
        "action": str(row.action),
        "rule": row.rule,
        "stage": row.stage,
        "reasons": [
            {"kind": r.kind, "text": r.text, "share": round(r.share, 4)} for r in row.reasons
        ],
        "ms": round(row.milliseconds, 3),
        "model": row.model,
        "size_bytes": row.size_bytes,
        "sender": row.sender,
        "subject": row.subject,
    }


def _print(rows: list[VerdictRow]) -> None:
    from rich.text import Text

    shown = table("time (UTC) ", "door ", "spam", "action ", "rule ", "reasons ")
    for row in rows:
        shown.add_row(
            _time(row.at).replace("T", " ").removesuffix("+00:00"),
            printable(row.door, 12),
            f"{row.probability:.3f}",
            Text(str(row.action), STYLES[str(row.action)]),
            printable(row.rule, 40),
            reasons_text(row.reasons, 60),
        )
    print_table(console(), shown)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
