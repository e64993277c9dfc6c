"""What the owner is told of the server's state."""

from __future__ import annotations

from typing import Any

import pytest

from winnow.policy import Rules
from winnow.serving.board import Board
from winnow.serving.health import RECENT_SECONDS, STALLED_SECONDS, Health, read_health
from winnow.serving.metrics import APPLIED, BEAT, CELLS, PID, STARTED, Meters


@pytest.fixture
def board() -> Board:
    made = Board(3, CELLS)
    made.rows[0][STARTED] = 100.0
    for index, row in enumerate(made.rows[1:], 1):
        row[PID], row[STARTED], row[BEAT], row[APPLIED] = 1000 + index, 110.0, 199.0, index
        row.note = f"m@{index}"
    return made


def ask(board: Board, **changes: Any) -> Health:
    given = {"model": "m@1", "device": "cuda", "version": "9", "stopping": False}
    given |= {"now_seconds": 200.0, **changes}
    return read_health(board, rules=Rules.default(), log_error="full", **given)


def test_all_is_well(board: Board):
    """Protects the meaning of ok, and each number that comes with it."""
    health = ask(board)
    assert health.status == "ok"
    assert health.body["uptime_seconds"] == 100.0
    assert (health.body["model"], health.body["device"]) == ("m@1", "cuda")
    assert health.body["workers"][1] == {
        "pid": 1002,
        "model": "m@2",
        "uptime_seconds": 90.0,
        "stalled": False,
        "corrections_applied": 2,
    }
    assert health.body["rules"] == {"junk": 0.9, "flag": 0.5, "count": 0}


def test_a_missing_worker_shows(board: Board):
    """Protects the owner from half a server that looks whole."""
    board.rows[2][PID] = 0
    health = ask(board)
    assert (health.status, health.body["workers_missing"]) == ("degraded", 1)


def test_a_stalled_worker_shows(board: Board):
    """Protects the owner from a worker that lives and does not move."""
    health = ask(board, now_seconds=199.0 + STALLED_SECONDS + 0.1)
    assert health.status == "degraded"
    assert health.body["workers"][0]["stalled"]


def test_lost_rows_show(board: Board):
    """Protects the owner from a log with holes: an alarm while it is news, the number for ever."""
    Meters(board.rows[1]).lost(2, 190.0)
    Meters(board.rows[2]).lost(3, 195.0)
    Meters(board.rows[2]).lost(0, 999.0)
    health = ask(board)
    assert (health.status, health.body["lost_log_rows"]) == ("degraded", 5)
    assert health.body["log_error"] == "full"
    board.rows[1][BEAT] = board.rows[2][BEAT] = 195.0 + RECENT_SECONDS
    health = ask(board, now_seconds=195.0 + RECENT_SECONDS)
    assert (health.status, health.body["lost_log_rows"]) == ("ok", 5)


def test_refusals_and_restarts_show_without_alarm(board: Board):
    """Protects probes from flapping: what is over is counted, and the state is ok."""
    Meters(board.rows[1]).swapped("refused")
    Meters(board.rows[0]).restarted()
    health = ask(board)
    assert health.status == "ok"
    assert (health.body["swaps_refused"], health.body["worker_restarts"]) == (1, 1)


def test_stopping(board: Board):
    """Protects requests: a balancer sees that this server stops."""
    assert ask(board, stopping=True).status == "stopping"
