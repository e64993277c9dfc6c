"""`winnow quantize`: what is typed, what is refused, what is written and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.compiler.integers import reader
from winnow.cli import build_parser
from winnow.compiler.graph import serialised

GRAPH = serialised(reader(200, 32))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A graph in floats."""
    path = tmp_path / "m.onnx"
    path.write_bytes(GRAPH)
    return path


def test_what_is_typed_is_what_is_asked_for() -> None:
    """Each option reaches the work under its name; what is left out has its default."""
    args = build_parser().parse_args(
        ["quantize", "m", "--out", "o", "--bits", "4", "--activations", "calibrated",
         "--mail", "a", "b", "--keep", "x*", "--tolerance", "0.2", "--json"]
    )  # fmt: skip
    assert (args.model, args.out, args.bits) == (Path("m"), Path("o"), 4)
    assert (args.activations, args.mail) == ("calibrated", [Path("a"), Path("b")])
    assert (args.keep, args.tolerance, args.json) == (["x*"], 0.2, True)
    args = build_parser().parse_args(["quantize", "m"])
    assert (args.out, args.bits, args.activations, args.keep) == (None, 8, "dynamic", [])
    assert args.tolerance is None


def test_a_graph_is_written_and_shown(bare: Path, tmp_path: Path, winnow: Run) -> None:
    """A row for each node, the reason for what was left, and what it is worth."""
    out = tmp_path / "small.onnx"
    done = winnow("quantize", bare, "--out", out, "--tolerance", 9)
    assert done.status == 0
    assert out.stat().st_size < 0.4 * len(GRAPH)
    for word in ("pieces.gather", "up.matmul", "down.matmul", "8 bits", "answers moved"):
        assert word in done.out
    assert "left, since below 4,096 weights nothing is saved: " in done.out
    assert "log-odds in the mean" in done.out


def test_as_json(bare: Path, winnow: Run) -> None:
    """Everything that the table says, for programs; nothing is written without a place."""
    done = winnow("quantize", bare, "--bits", 4, "--tolerance", 9, "--json")
    told = json.loads(done.out)
    assert told["bits"] == 4
    assert told["bytes_before"] == told["bytes_floats"] == len(GRAPH)
    assert told["bytes"] < 0.3 * len(GRAPH)
    assert 0 < told["mean_change"] <= told["max_change"]
    assert told["unchanged"] == ""
    assert [row["node"] for row in told["nodes"]] == ["pieces.gather", "up.matmul", "down.matmul"]
    assert set(told["nodes"][0]) == {
        "node", "kind", "form", "bits", "kept",
        "bytes_saved", "weights_error", "change", "change_now",
    }  # fmt: skip
    assert bare.read_bytes() == GRAPH


def test_a_second_time_it_says_so(bare: Path, tmp_path: Path, winnow: Run) -> None:
    """And what it writes is the same file."""
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    winnow("quantize", bare, "--out", one, "--tolerance", 9)
    done = winnow("quantize", one, "--out", two)
    assert "stays as it is: its products are in integers already (8 bits)." in done.out
    assert two.read_bytes() == one.read_bytes()


def test_nodes_in_floats_are_told(bare: Path, winnow: Run) -> None:
    """Where nothing fits, the table says what each node would have done."""
    done = winnow("quantize", bare, "--tolerance", 0)
    assert done.status == 0
    assert done.out.count("floats") == 3
    assert "no node can be rounded within 0" in done.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tolerance", "-1"], "--tolerance is a number from 0 on"),
        (["--tolerance", "nan"], "--tolerance is a number from 0 on"),
        (["--keep", "nothing"], "no node that could be rounded is called 'nothing'"),
        (["--mail", "-", "-"], "standard input can be read only once"),
        (["--mail", "missing"], "there is no such file"),
    ],
)
def test_what_is_refused(bare: Path, winnow: Run, words: list[str], told: str) -> None:
    """One sentence, status 2, before any work."""
    done = winnow("quantize", bare, *words)
    assert done.status == 2
    assert told in done.err


def test_nothing_else_is_written_over(bare: Path, tmp_path: Path, winnow: Run) -> None:
    """A file that is no ONNX file stays as it is."""
    taken = tmp_path / "notes.txt"
    taken.write_text("mine")
    done = winnow("quantize", bare, "--out", taken, "--tolerance", 9)
    assert done.status == 2
    assert taken.read_text() == "mine"
