"""`winnow devices`: a table for people, an object for programs, a sentence for what is no model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cascaded import corpus_of, write_two_stages
from tests.cli.conftest import Run
from tests.synthetic import message
from winnow.cli.devices import as_json
from winnow.recipe_devices import Surveyed
from winnow.runtime.devices import DEVICES
from winnow.runtime.placement import Placement
from winnow.runtime.survey import Row, Time
from winnow.verdict import Label

MAIL = [(message(n % 2 == 0, n), Label.SPAM if n % 2 == 0 else Label.HAM) for n in range(80)]
KEYS = [
    *("device", "provider", "here", "way", "missing", "needs", "fault"),
    *("nodes", "nodes_left", "round_trips"),
]


@pytest.fixture(scope="module")
def two_stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a reader."""
    path = tmp_path_factory.mktemp("m") / "both.winnow"
    write_two_stages(path, corpus_of(MAIL))
    return path


def test_the_table_has_every_device(winnow: Run, two_stages: Path) -> None:
    """What is here and what brings it, then what it does with the model, in aligned columns."""
    done = winnow("devices", two_stages)
    assert (done.status, done.err) == (0, "")
    listed, tried = done.out.split("\n\n")[0], done.out.split("\n\n")[2]
    lines = {line.split()[0]: line for line in listed.splitlines()}
    assert list(lines) == ["device", *(device.name for device in DEVICES)]
    assert "part of ONNX Runtime" in lines["cpu"]
    for device in DEVICES:
        assert device.provider in lines[device.name]
        assert "no; needs" not in lines[device.name] or device.needs in lines[device.name]
    assert any(line.split()[:5] == ["cpu", "4", "of", "4", "0"] for line in tried.splitlines())
    assert "both@" in done.out
    assert "--device auto takes " in done.out


def test_json(winnow: Run, two_stages: Path) -> None:
    """One object with the documented keys; figures only where the model was tried."""
    done = winnow("devices", "--json", two_stages)
    found = json.loads(done.out)
    assert list(found) == ["model", "tokens", "auto", "devices"]
    assert found["tokens"] == [32]
    rows = {row["device"]: row for row in found["devices"]}
    assert list(rows) == [device.name for device in DEVICES]
    assert list(rows["cpu"]) == [*KEYS, "cpu_ms_32", "wall_ms_32", "max_abs_error"]
    assert (rows["cpu"]["here"], rows["cpu"]["nodes"], rows["cpu"]["nodes_left"]) == (True, 4, 0)
    assert rows["cpu"]["wall_ms_32"] > 0
    for row in rows.values():
        assert row["here"] or (row["missing"] and row["nodes"] is None and "cpu_ms_32" not in row)


def test_figures_are_told_apart() -> None:
    """Each number of a row under its own name."""
    row = Row(
        *("cuda", "CUDAExecutionProvider", "part of ONNX Runtime", "", "a driver"),
        placement=Placement(40, 3, 2),
        times={32: Time(1.5, 2.5), 128: Time(3.5, 4.5)},
        differences={"log_odds": 0.25},
    )
    (found,) = as_json(Surveyed("m@1", (32, 128), "cuda", [row]))["devices"]
    assert (found["nodes"], found["nodes_left"], found["round_trips"]) == (40, 3, 2)
    assert (found["cpu_ms_32"], found["wall_ms_32"]) == (1.5, 2.5)
    assert (found["cpu_ms_128"], found["wall_ms_128"]) == (3.5, 4.5)
    assert found["max_abs_error"] == {"log_odds": 0.25}


def test_what_is_no_model_is_a_sentence(winnow: Run, model: Path, tmp_path: Path) -> None:
    """Status 2, whatever is named."""
    for path in (tmp_path, tmp_path / "none", model):  # the model has a reflex only
        done = winnow("devices", path)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("winnow: ")
        assert done.err.count("\n") == 1


@pytest.mark.slow
def test_the_shipped_model_is_what_is_tried_else(winnow: Run) -> None:
    """Both lengths, and all nodes of the reader on the processor."""
    found = json.loads(winnow("devices", "--json").out)
    assert found["model"].startswith("shipped@")
    assert found["tokens"] == [32, 128]
    processor = found["devices"][0]
    assert processor["nodes"] > 100
    assert processor["cpu_ms_32"] < processor["cpu_ms_128"]
