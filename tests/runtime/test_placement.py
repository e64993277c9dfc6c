"""Where nodes ran: counted from the runtime's own record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.graphs import table_graph
from winnow.runtime.devices import CPU, load
from winnow.runtime.placement import Placement, assigned, kernels, place, placement
from winnow.runtime.providers import CPU_PROVIDER, Loaded

GRAPH = table_graph((0.5, -1.0, 2.0), limit=48)
FEEDS = {"ids": np.array([[0, 1, 2]]), "fields": np.zeros((1, 3), dtype=np.int64)}
GPU = "CUDAExecutionProvider"


def _event(ts: int, provider: str, op: str = "MatMul", end: str = "_kernel_time") -> dict[str, Any]:
    args = {"provider": provider, "op_name": op}
    return {"cat": "Node", "name": f"n{ts}{end}", "ts": ts, "args": args}


def test_kernels_are_listed_as_they_ran() -> None:
    """In time order; fences, copies between memories and the session's own events are none."""
    events = [
        _event(5, CPU_PROVIDER, "Shape"),
        _event(3, GPU),
        _event(1, GPU, "MemcpyFromHost"),
        _event(4, GPU, end="_fence_before"),
        _event(7, GPU),
        _event(6, GPU, "MemcpyToHost"),
        {"cat": "Session", "name": "model_run", "ts": 0, "args": {}},
    ]
    assert kernels(events) == [GPU, CPU_PROVIDER, GPU]


@pytest.mark.parametrize(
    ("ran", "given", "found"),
    [
        ([GPU], {GPU: 40}, Placement(40, 0, 1)),
        ([CPU_PROVIDER, GPU, GPU, CPU_PROVIDER], {GPU: 7, CPU_PROVIDER: 3}, Placement(7, 3, 1)),
        ([GPU, CPU_PROVIDER, GPU, GPU, CPU_PROVIDER, GPU], {}, Placement(4, 2, 3)),
        ([CPU_PROVIDER], {CPU_PROVIDER: 5}, Placement(0, 5, 0)),
        ([], {}, Placement(0, 0, 0)),
    ],
)
def test_round_trips_are_runs_on_the_device(
    ran: list[str], given: dict[str, int], found: Placement
) -> None:
    """Each time the processor has to do something in between, a message comes back for it."""
    assert placement(GPU, ran, given) == found


def test_on_the_processor_nothing_goes_over() -> None:
    """It takes all, and there is no other side."""
    assert placement(CPU_PROVIDER, [CPU_PROVIDER] * 3, {CPU_PROVIDER: 4}) == Placement(4, 0, 0)


def test_a_real_run_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All four nodes of the table; the record leaves no file behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    seen: list[str] = []

    def loading(profile: str) -> Loaded:
        seen.append(profile)
        return load(GRAPH, CPU, "a.onnx", profile=profile)

    assert place(loading, FEEDS, 0) == Placement(4, 0, 0)
    assert seen[0].startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_what_keeps_no_record_takes_all_or_nothing() -> None:
    """OpenVINO by itself has a graph whole: one trip."""
    alone = Loaded("OpenVINO", {}, (), {}, lambda names, feeds: [])
    assert place(lambda profile: alone, FEEDS, 17) == Placement(17, 0, 1)


def test_an_older_runtime_tells_nothing_of_nodes() -> None:
    """Then kernels are counted."""
    assert assigned(object()) == Counter()
