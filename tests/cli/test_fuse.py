"""`winnow fuse`: shows, explains, writes; what it cannot use is one sentence and status 2."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.compiler.exports import Spelling, answers, bert, count, ir
from winnow.compiler.graph import opened, serialised
from winnow.compiler.passes import Pass, largest_difference


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A classifier of two layers, as an exporter spells it."""
    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(bert(Spelling(keys="three", norm="spelt out"))))
    return path


def test_without_a_place_it_only_shows(winnow: Run, graph: Path) -> None:
    """Each pass with its nodes, its rules and its difference; nothing is written."""
    before = graph.read_bytes()
    done = winnow("fuse", graph)
    assert (done.status, done.err) == (0, "")
    for word in ("fold", "settle", "fuse", "nodes before", "largest difference"):
        assert word in done.out
    assert "FuseMaskedAttention" in done.out.replace("\n", "").replace(" ", "")
    last = done.out.strip().splitlines()[-1]
    assert last.startswith(f"m.onnx: {len(list(opened(graph).graph))} nodes -> 31, ")
    assert "1 round trip a message" in last
    assert "UNDONE" not in done.out
    assert [file.name for file in graph.parent.iterdir() if file.suffix == ".onnx"] == ["m.onnx"]
    assert graph.read_bytes() == before


@pytest.mark.parametrize(("target", "nodes", "skips"), [("cpu", 31, 0), ("accelerator", 24, 4)])
def test_a_place_is_written(
    winnow: Run, graph: Path, tmp_path: Path, target: str, nodes: int, skips: int
) -> None:
    """For the processor, or for where a launch costs; it answers as before."""
    out = tmp_path / "out.onnx"
    assert winnow("fuse", graph, "--out", out, "--for", target).status == 0
    model = opened(out)
    assert len(list(model.graph)) == nodes
    assert count(model, "SkipLayerNormalization") == skips
    assert largest_difference(answers(opened(graph)), answers(model)) <= 2e-6


def test_the_processor_is_what_it_is_for(winnow: Run, graph: Path, tmp_path: Path) -> None:
    """Unless told otherwise."""
    out = tmp_path / "out.onnx"
    assert winnow("fuse", graph, "--out", out).status == 0
    assert count(opened(out), "SkipLayerNormalization") == 0


def test_as_json(winnow: Run, graph: Path) -> None:
    """One object, of numbers and words."""
    done = winnow("fuse", graph, "--json")
    told = json.loads(done.out)
    assert set(told) == {
        "model", "nodes_before", "nodes", "nodes_loaded", "round_trips", "max_abs_error", "passes",
    }  # fmt: skip
    assert (told["model"], told["nodes"], told["round_trips"]) == ("m.onnx", 31, 1)
    assert told["nodes_before"] == len(list(opened(graph).graph))
    assert 10 < told["nodes_loaded"] <= 31
    assert 0.0 < told["max_abs_error"] < 2e-6
    assert [entry["name"] for entry in told["passes"]] == ["fold", "settle", "fuse"]
    fuse = told["passes"][-1]
    assert set(fuse) == {
        "name", "nodes_before", "nodes", "max_abs_error", "undone", "fired", "refused",
    }  # fmt: skip
    assert {"rule", "node"} == set(fuse["fired"][0])
    assert fuse["undone"] == ""


def test_explained_it_says_what_was_not_fused_and_why(winnow: Run, tmp_path: Path) -> None:
    """Line by line; without being asked it does not."""
    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(bert(Spelling(mask="query's"))))
    why = "not fused  FuseMaskedAttention"
    shown = winnow("fuse", path, "--explain").out
    assert why in shown
    assert "what is added to the scores is no mask of keys" in shown
    assert "fused      FuseBiasContributedGelu: BiasGelu:" in shown
    assert why not in winnow("fuse", path).out
    told = json.loads(winnow("fuse", path, "--json").out)
    [first, *_] = told["passes"][-1]["refused"]
    assert first["reason"] == "what is added to the scores is no mask of keys"
    assert {"rule", "node", "reason"} == set(first)


def test_a_pass_that_was_undone_is_told(
    winnow: Run, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the table, and in JSON, which knows no infinity."""
    from winnow import recipe_compile

    def spoil(model: Any) -> Any:
        from winnow.compiler.passes import Outcome

        name = "classifier.bias"
        bias = np.array([np.nan, 0.0], np.float32)
        model.graph.initializers[name].const_value = ir.tensor(bias, name=name)
        return Outcome(model)

    monkeypatch.setattr(recipe_compile, "settle_pass", lambda: Pass("settle", spoil, 1e-5))
    assert "UNDONE: it moved an output by inf" in " ".join(winnow("fuse", graph).out.split())

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    told = json.loads(winnow("fuse", graph, "--json").out, parse_constant=refuse)
    assert told["passes"][1]["max_abs_error"] is None
    assert "inf" in told["passes"][1]["undone"]


def test_without_the_extra_it_says_which_one(
    winnow: Run, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence with the command."""
    monkeypatch.setattr("winnow.cli.ladder.find_spec", lambda name: None)
    done = winnow("fuse", graph)
    assert done.status == 2
    assert done.err.endswith("pip install 'winnow-mail[compile]'.\n")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("none.onnx", None, "No such file or directory"),
        ("text.onnx", b"hello, world", "is no ONNX file, or is damaged; export it again."),
        ("empty.onnx", b"", "no ONNX file, or an empty one; export it again."),
    ],
)
def test_what_it_cannot_use(winnow: Run, tmp_path: Path, name: str, data: Any, words: str) -> None:
    """One sentence, status 2, no traceback."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    done = winnow("fuse", tmp_path / name)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("winnow: ")
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_a_graph_that_is_no_classifier_of_text(winnow: Run, tmp_path: Path) -> None:
    """Refused, with the input that no text model reads."""
    model = bert(layers=1)
    model.graph.inputs[0].name = "pixels"
    (tmp_path / "m.onnx").write_bytes(serialised(model))
    done = winnow("fuse", tmp_path / "m.onnx", "--out", tmp_path / "out.onnx")
    assert done.status == 2
    assert "the input 'pixels' is no (batch, tokens) of integers" in done.err
    assert not (tmp_path / "out.onnx").exists()


def test_a_model_without_a_reader(winnow: Run, model: Path) -> None:
    """It has no graph."""
    done = winnow("fuse", model)
    assert done.status == 2
    assert "has no reader" in done.err


def test_a_place_that_is_taken(winnow: Run, graph: Path, tmp_path: Path) -> None:
    """A file of the user's own is not written over."""
    out = tmp_path / "notes.txt"
    out.write_text("milk")
    done = winnow("fuse", graph, "--out", out)
    assert done.status == 2
    assert "exists and is no ONNX file; name another --out." in done.err
    assert out.read_text() == "milk"


def test_a_name_that_is_no_text_is_printed_as_one(winnow: Run, graph: Path) -> None:
    """Control signs of a file's name do not reach the terminal."""
    odd = graph.with_name("a\x1b[31mb.onnx")
    shutil.copy(graph, odd)
    done = winnow("fuse", odd)
    assert done.status == 0
    assert "\x1b" not in done.out
