"""How the whole server is, read off the board by whichever worker is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from winnow.serving.board import Board, Row
from winnow.serving.filter import AbstractRules
from winnow.serving.metrics import (
    APPLIED,
    BEAT,
    LOST_AT,
    LOST_ROWS,
    PID,
    RESTARTS,
    STARTED,
    SWAPS,
)

STALLED_SECONDS = 5.0
"""A worker that has not moved for so long is shown as stalled."""

RECENT_SECONDS = 600.0
"""For so long after log rows were lost the server is shown as degraded."""


@dataclass(frozen=True, slots=True)
class Health:
    """Status and the object that says more.

    Attributes:
        status: "ok", "degraded" (answers go on, something needs a look) or "stopping".
        body: the documented JSON object.
    """

    status: str
    body: Mapping[str, Any]


def _worker(row: Row, now_seconds: float) -> dict[str, Any]:
    return {
        "pid": int(row[PID]),
        "model": row.note,
        "uptime_seconds": round(now_seconds - row[STARTED], 1),
        "stalled": now_seconds - row[BEAT] > STALLED_SECONDS,
        "corrections_applied": int(row[APPLIED]),
    }


def read_health(
    board: Board,
    *,
    model: str,
    device: str,
    rules: AbstractRules,
    version: str,
    log_error: str,
    stopping: bool,
    now_seconds: float,
) -> Health:
    """Return the state of the server.

    Args:
        board: numbers of all processes; row 0 is the parent's.
        model: model of the worker that is asked.
        device: that it runs on.
        rules: its rules.
        version: version of Winnow.
        log_error: what the database last said to this worker's log, or "".
        stopping: whether this worker is stopping.
        now_seconds: `time.monotonic()`, which all processes of a machine share.
    """
    workers = [_worker(row, now_seconds) for row in board.rows[1:] if row[PID]]
    missing = len(board.rows) - 1 - len(workers)
    losing = any(row[LOST_AT] and now_seconds - row[LOST_AT] < RECENT_SECONDS for row in board.rows)
    troubled = losing or missing or any(worker["stalled"] for worker in workers)
    status = "stopping" if stopping else "degraded" if troubled else "ok"
    body = {
        "status": status,
        "version": version,
        "model": model,
        "device": device,
        "rules": {
            "junk": rules.junk_threshold,
            "flag": rules.flag_threshold,
            "count": len(rules.rules),
        },
        "uptime_seconds": round(now_seconds - board.rows[0][STARTED], 1),
        "workers": workers,
        "workers_missing": missing,
        "worker_restarts": int(board.total(RESTARTS.start)),
        "swaps_refused": int(board.total(SWAPS.cell("refused"))),
        "lost_log_rows": int(board.total(LOST_ROWS.start)),
        "log_error": log_error,
    }
    return Health(status, body)
