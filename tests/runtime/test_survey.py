"""What each device would do with a graph: every row is a result or a reason."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.runtime.graphs import table_graph
from tests.runtime.hardware import PROCESSOR, Stand, require, stand
from winnow.answering import READER_FILE
from winnow.artifact import read_artifact
from winnow.pipeline import SHIPPED_MODEL
from winnow.runtime.devices import CPU, DEVICES, device_of, load
from winnow.runtime.placement import Placement
from winnow.runtime.providers import BuiltIn, Loaded
from winnow.runtime.reader import probes
from winnow.runtime.survey import listed, survey

GRAPH = table_graph((0.5, -1.0, 2.0), limit=48)


def _feed(tokens: int) -> dict[str, np.ndarray]:
    return {
        "ids": np.arange(tokens)[None, :] % 3,
        "fields": np.zeros((1, tokens), dtype=np.int64),
    }


FEEDS = {4: _feed(4), 32: _feed(32)}
TABLE = (
    stand("away", Stand(gone="no driver")),
    PROCESSOR,
    stand("same", Stand()),
    stand("odd", Stand(times=100.0)),
    stand("full", Stand(refuses="Out of memory")),
)


def test_every_device_has_its_row() -> None:
    """In the order of the table, wherever the processor stands in it."""
    away, processor, same, odd, full = survey(GRAPH, "a.onnx", FEEDS, table=TABLE, rounds=3)
    assert (away.here, away.missing, away.needs) == ("", "no driver", "the away driver")
    assert (away.placement, away.times, away.fault) == (None, {}, "")
    assert processor.device == CPU
    assert processor.placement == Placement(4, 0, 0)
    assert processor.differences == {}
    assert same.differences == {"log_odds": 0.0, "shares": 0.0}
    assert same.fault == ""
    assert full.fault == "the device full does not take a.onnx: Out of memory."
    assert (full.placement, full.times) == (None, {})
    assert odd.differences["shares"] == pytest.approx(99 * 2.0)
    for row in (processor, same, odd):
        assert list(row.times) == [4, 32]
        assert all(0 < spent.wall < 1000 for spent in row.times.values())
        assert all(0 <= spent.cpu < 1000 for spent in row.times.values())


def test_a_device_that_answers_otherwise_has_its_figures_and_a_reason() -> None:
    """So that nobody takes it for its speed; --device refuses it in the same words."""
    odd = survey(GRAPH, "a.onnx", FEEDS, table=TABLE, rounds=3)[3]
    far = odd.differences["log_odds"]
    assert odd.fault == (
        f"the device odd does not take a.onnx: its answers are up to {far:.2g} away from those of "
        "the processor."
    )
    assert odd.placement is not None


class _Slow(Stand):
    """A device whose answer takes its time, of the clock and of the processor."""

    __slots__ = ()

    def open(self, graph: bytes, *, profile: str = "") -> Loaded:
        """Load, to answer 4 ms of work and 6 ms of sleep later."""
        loaded = BuiltIn("CPUExecutionProvider").open(graph, profile=profile)

        def run(names: object, feeds: object) -> list[np.ndarray]:
            end = time.process_time() + 0.004
            while time.process_time() < end:
                pass
            time.sleep(0.006)
            return loaded.run(names, feeds)  # type: ignore[arg-type]

        return replace(loaded, run=run)


def test_time_of_the_processor_and_of_the_clock_are_told_apart() -> None:
    """In milliseconds: what waits for a device costs no processor."""
    table = (PROCESSOR, stand("slow", _Slow()))
    slow = survey(GRAPH, "a.onnx", {4: _feed(4)}, table=table, rounds=3)[1].times[4]
    assert 4 <= slow.cpu < slow.wall
    assert slow.wall >= 10


def test_what_a_device_cannot_run_is_a_row() -> None:
    """It took the graph and fails on the first message."""
    broken = {4: {"ids": np.array([[7, 7]]), "fields": np.zeros((1, 2), dtype=np.int64)}}
    (row,) = survey(GRAPH, "a.onnx", broken, table=(PROCESSOR,), rounds=3)
    assert row.fault.startswith("cpu failed: ")
    assert row.placement is None


def test_a_graph_that_nothing_takes_is_rows_of_reasons() -> None:
    """No crash, and no figures."""
    rows = survey(b"no graph", "a.onnx", FEEDS, table=TABLE, rounds=3)
    assert all(row.placement is None for row in rows)
    assert [bool(row.fault) for row in rows] == [False, True, True, True, True]


def test_the_list_alone_tries_nothing() -> None:
    """Every device is listed; the processor is always here."""
    rows = {row.device: row for row in listed()}
    assert list(rows) == [device.name for device in DEVICES]
    assert rows[CPU].here
    assert all(row.here or row.missing for row in rows.values())


@pytest.mark.slow
def test_openvino_takes_the_shipped_reader_whole() -> None:
    """All nodes in one piece, so one trip; and it answers as the processor does."""
    require("openvino")
    graph = read_artifact(SHIPPED_MODEL).files[READER_FILE]
    tried = probes(load(graph, CPU, READER_FILE))
    table = (PROCESSOR, device_of("openvino"))
    feeds = {32: tried[7]}
    processor, other = survey(graph, READER_FILE, feeds, probes=tried, table=table, rounds=5)
    assert processor.placement is not None
    assert processor.placement.nodes > 100
    assert other.placement == Placement(processor.placement.nodes, 0, 1)
    assert 0 < other.differences["log_odds"] <= 0.15
    assert 0.1 < other.times[32].cpu / processor.times[32].cpu < 20
