"""Values for the tests of the store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from winnow.store import CorrectionLog, Store
from winnow.verdict import Action, Label, Reason, Verdict

TESTS = Path(__file__).resolve().parents[1]
VERDICT = Verdict(
    id="1@x.y",
    identity="ab12",
    probability=0.75,
    action=Action.FLAG,
    rule="default",
    stage="reflex",
    reasons=(Reason("word", "viagra", 0.5), Reason("trait", "many exclamation marks", 0.25)),
    milliseconds=0.5,
    model="m@1a2b3c4d",
    size_bytes=1234,
)


def verdict(**changes: Any) -> Verdict:
    """Return the verdict of these tests with some fields changed."""
    return replace(VERDICT, **changes)


def append(log: CorrectionLog, identity: str = "ab12", **changes: Any) -> int:
    """Append a learn row with some fields changed."""
    fields: dict[str, Any] = {
        "label": Label.SPAM,
        "kind": "learn",
        "at": 1.5,
        "source": "cli",
        "fingerprint": "f1",
        "model": "m@1",
        "features": b"\x00f",
        "step": b"\xffs",
        **changes,
    }
    return log.append(identity=identity, **fields)


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[Store]:
    """Open a store and close it at the end."""
    store = Store.open(path, **options)
    try:
        yield store
    finally:
        store.close()


def start(path: Path, name: str, rounds: int, script: str) -> subprocess.Popen[str]:
    """Start a writer process."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path), name, str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
