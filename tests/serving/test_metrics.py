"""What Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from winnow.serving import metrics
from winnow.serving.board import Board
from winnow.serving.metrics import CELLS, Meters, exposition
from winnow.verdict import PASSED_OVER, Action, Learnt, Verdict, Why


def _verdict(action: Action = Action.JUNK, stage: str = "reflex", why: str = "") -> Verdict:
    return Verdict("id", "ab", 0.99, action, "default", stage, (), 0.3, "m@1", 10, why)


@pytest.fixture
def board() -> Board:
    return Board(3, CELLS)


def _samples(board: Board) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text, _ = exposition(board, model='m"\n@1', version="1", accept="")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def _read(board: Board, name: str, **labels: str) -> float:
    return _samples(board)[name, frozenset(labels.items())]


def test_every_worker_counts(board: Board):
    """Protects sums: any worker that is asked gives the numbers of all of them."""
    for row, times in ((board.rows[1], 2), (board.rows[2], 3)):
        for _ in range(times):
            Meters(row).answered("http", _verdict(), 0.002)
    assert _read(board, "winnow_verdicts_total", action="junk", stage="reflex") == 5
    assert _read(board, "winnow_verdicts_total", action="flag", stage="reflex") == 0
    assert _read(board, "winnow_check_seconds_count", door="http") == 5
    assert _read(board, "winnow_check_seconds_sum", door="http") == pytest.approx(0.010)


def test_histogram_bounds(board: Board):
    """Protects quantiles: a bucket holds what is at most its bound, and all below it."""
    meters = Meters(board.rows[1])
    for seconds in (0.0005, 0.0006, 0.3, 99.0):
        meters.answered("spamd", _verdict(), seconds)
    reading = {
        bound: _read(board, "winnow_check_seconds_bucket", door="spamd", le=bound)
        for bound in ("0.0005", "0.001", "0.25", "0.5", "5.0", "+Inf")
    }
    assert list(reading.values()) == [1, 2, 2, 3, 3, 4]
    assert _read(board, "winnow_check_seconds_count", door="http") == 0


def test_every_number_has_its_own_series(board: Board):
    """Protects the layout: no two series share a cell, and each call moves exactly one."""
    meters = Meters(board.rows[1])
    calls: Iterator[object] = iter(
        [
            lambda: meters.corrected("spam", Learnt.RELABELLED),
            lambda: meters.corrected("forget", Learnt.UNKNOWN),
            *(lambda k=kind: meters.failed("http", k) for kind in metrics.ERROR_KINDS),
            lambda: meters.failed("spamd", "slow"),
            lambda: meters.swapped("refused"),
            meters.restarted,
            lambda: meters.lost(1, 9.0),
            lambda: meters.beat(1.0, model="m", applied=3, connections={"spamd": 1}),
        ]
    )
    before = _samples(board)
    seen = set()
    for call in calls:
        call()  # type: ignore[operator]
        after = _samples(board)
        moved = {key for key in after if after[key] != before[key]}
        assert len(moved) == 1
        key = moved.pop()
        assert after[key] == before[key] + 1
        assert key not in seen
        seen.add(key)
        before = after


def test_stages_to_come(board: Board):
    """Protects answers: a stage this server has not heard of is counted, not a KeyError."""
    Meters(board.rows[1]).answered("http", _verdict(stage="oracle"), 0.1)
    assert _read(board, "winnow_verdicts_total", action="junk", stage="other") == 1


@pytest.mark.parametrize("why", list(Why))
def test_a_reader_that_was_passed_over_is_counted(board: Board, why: Why):
    """Protects an alert: a reader that is broken, fails or comes too late must be seen."""
    Meters(board.rows[1]).answered("http", _verdict(why=str(why)), 0.1)
    for passed in PASSED_OVER:
        count = _read(board, "winnow_reader_passed_over_total", why=passed.name.lower())
        assert count == (1 if passed == why else 0)


def test_model_name_is_escaped(board: Board):
    """Protects the scrape from a model with an odd name."""
    assert _read(board, "winnow_model_info", model='m"\n@1', version="1") == 1


def test_format_is_negotiated(board: Board):
    """Protects scrapers that ask for OpenMetrics."""
    text, kind = exposition(board, model="m", version="1", accept="application/openmetrics-text")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
