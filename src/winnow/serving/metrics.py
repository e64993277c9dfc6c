"""What the server counts, where each number lies on the board, and how Prometheus reads it.

Every series is known beforehand, so that a series exists (as 0) before it first moves, and so that
the sum over all worker processes is a sum of columns. To count something new, add a `Family`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from winnow.serving.board import Board, Row
from winnow.verdict import PASSED_OVER, Action, Label, Learnt, Verdict, Why

DOORS = ("http", "spamd")
STAGES = ("reflex", "reader", "other")
CHANGES = ("swapped", "refused")
ERROR_KINDS = (
    "malformed",  # the request cannot be read
    "refused",  # foreign Host or Origin
    "not_found",  # no such page, method or verdict
    "too_large",
    "slow",  # the client took too long to send
    "busy",  # too many connections or large messages at once
    "deadline",  # no verdict in time
    "store",  # the database did not take a correction
    "internal",  # a bug of ours
)
BUCKETS_SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
CORRECTIONS = (
    *product(Label, (Learnt.LEARNT, Learnt.ALREADY, Learnt.RELABELLED)),
    *product(("forget",), (Learnt.FORGOTTEN, Learnt.UNKNOWN)),
)


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one name, one number each, side by side on the board.

    Attributes:
        name: Prometheus name, without "_total".
        help: one sentence.
        kind: "counter" or "gauge".
        labels: names of the labels.
        series: values of the labels, one tuple a series.
        start: cell of the first series.
    """

    name: str
    help: str
    kind: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, ...], ...]
    start: int

    @property
    def end(self) -> int:
        """Cell after the last series."""
        return self.start + len(self.series)

    def cell(self, *values: str) -> int:
        """Return the cell of one series."""
        return self.start + self.series.index(values)


# Numbers of a worker that are no sum over all workers; /v1/health shows them one by one.
PID, STARTED, BEAT, APPLIED, LOST_AT = range(5)
_SINGLE_CELLS = 5
_HISTOGRAM_CELLS = len(BUCKETS_SECONDS) + 2  # a cell above the last bound, and the sum
_HISTOGRAMS = _SINGLE_CELLS


def _families() -> tuple[Family, ...]:
    declared: tuple[tuple[str, str, str, tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = (
        (
            "winnow_verdicts", "Messages answered.", "counter", ("action", "stage"),
            tuple(product(map(str, Action), STAGES)),
        ),
        (
            "winnow_corrections", "Corrections received.", "counter", ("label", "result"),
            tuple((str(label), str(result)) for label, result in CORRECTIONS),
        ),
        (
            "winnow_errors", "Requests that got no verdict.", "counter", ("door", "kind"),
            tuple(product(DOORS, ERROR_KINDS)),
        ),
        (
            "winnow_model_swaps", "Models and rules read anew, once for each worker.", "counter",
            ("result",), tuple((change,) for change in CHANGES),
        ),
        (
            "winnow_reader_passed_over", "Messages the reader was wanted for and did not answer.",
            "counter", ("why",), tuple((why.name.lower(),) for why in PASSED_OVER),
        ),
        ("winnow_store_lost_rows", "Rows the database did not take.", "counter", (), ((),)),
        ("winnow_worker_restarts", "Workers that died and were replaced.", "counter", (), ((),)),
        (
            "winnow_connections", "Open connections.", "gauge", ("door",),
            tuple((door,) for door in DOORS),
        ),
    )  # fmt: skip
    start = _HISTOGRAMS + _HISTOGRAM_CELLS * len(DOORS)
    families: list[Family] = []
    for name, text, kind, labels, series in declared:
        families.append(Family(name, text, kind, labels, series, start))
        start = families[-1].end
    return tuple(families)


FAMILIES = _families()
VERDICTS, RECEIVED, ERRORS, SWAPS, UNREAD, LOST_ROWS, RESTARTS, CONNECTIONS = FAMILIES
CELLS = FAMILIES[-1].end


class Meters:
    """What one process writes into its row. Call it from the event loop's thread only."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._verdicts = {pair: VERDICTS.cell(*pair) for pair in VERDICTS.series}

    def answered(self, door: str, verdict: Verdict, seconds: float) -> None:
        """Count a verdict that took this wall time from question to answer."""
        stage = verdict.stage if verdict.stage in STAGES else "other"
        self._row.add(self._verdicts[str(verdict.action), stage])
        if verdict.why in PASSED_OVER:
            self._row.add(UNREAD.cell(Why(verdict.why).name.lower()))
        start = _HISTOGRAMS + DOORS.index(door) * _HISTOGRAM_CELLS
        self._row.add(start + bisect_left(BUCKETS_SECONDS, seconds))
        self._row.add(start + len(BUCKETS_SECONDS) + 1, seconds)

    def corrected(self, label: str, result: Learnt) -> None:
        """Count a correction; `label` is "spam", "ham" or "forget"."""
        self._row.add(RECEIVED.cell(label, str(result)))

    def failed(self, door: str, kind: str) -> None:
        """Count a request without a verdict; `kind` is one of `ERROR_KINDS`."""
        self._row.add(ERRORS.cell(door, kind))

    def swapped(self, change: str) -> None:
        """Count an attempt to read model and rules anew; one of `CHANGES`."""
        self._row.add(SWAPS.cell(change))

    def lost(self, rows: int, now_seconds: float) -> None:
        """Count log rows that the database did not take; the time is `time.monotonic()`."""
        if rows:
            self._row.add(LOST_ROWS.start, rows)
            self._row[LOST_AT] = now_seconds

    def restarted(self) -> None:
        """Count a worker that died and was replaced."""
        self._row.add(RESTARTS.start)

    def beat(
        self, now_seconds: float, *, model: str, applied: int, connections: Mapping[str, int]
    ) -> None:
        """Show that this worker moves, and what it is at.

        Args:
            now_seconds: `time.monotonic()`.
            model: name and short digest of its model.
            applied: corrections of other processes that it has taken over.
            connections: open connections of each door.
        """
        self._row[BEAT] = now_seconds
        self._row[APPLIED] = applied
        self._row.note = model
        for door, number in connections.items():
            self._row[CONNECTIONS.cell(door)] = number


class BoardCollector(Collector):
    """Gives Prometheus the sums over all rows of the board."""

    def __init__(self, board: Board, model: str, version: str) -> None:
        self._board = board
        self._model = model
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield self._latency()
        for family in FAMILIES:
            shape = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = shape(family.name, family.help, labels=family.labels)
            for cell, series in enumerate(family.series, family.start):
                metric.add_metric(series, self._board.total(cell))
            yield metric
        workers = GaugeMetricFamily("winnow_workers", "Worker processes that answer.")
        workers.add_metric((), sum(1 for row in self._board.rows[1:] if row[PID]))
        yield workers
        about = GaugeMetricFamily(
            "winnow_model_info",
            "The model that answers, and the version of Winnow.",
            labels=("model", "version"),
        )
        about.add_metric((self._model, self._version), 1)
        yield about

    def _latency(self) -> HistogramMetricFamily:
        metric = HistogramMetricFamily(
            "winnow_check_seconds", "Time from question to verdict.", labels=("door",)
        )
        for index, door in enumerate(DOORS):
            start = _HISTOGRAMS + index * _HISTOGRAM_CELLS
            below, buckets = 0.0, []
            for offset, bound in enumerate((*map(str, BUCKETS_SECONDS), "+Inf")):
                below += self._board.total(start + offset)
                buckets.append((bound, below))
            total_seconds = self._board.total(start + len(BUCKETS_SECONDS) + 1)
            metric.add_metric((door,), buckets=buckets, sum_value=total_seconds)
        return metric


def exposition(board: Board, *, model: str, version: str, accept: str) -> tuple[bytes, str]:
    """Return the text that Prometheus scrapes, and its content type.

    Args:
        board: numbers of all processes.
        model: model of the process that answers the scrape.
        version: version of Winnow.
        accept: the scraper's Accept header, which chooses the format.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(board, model, version))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
