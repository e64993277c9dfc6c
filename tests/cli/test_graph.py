"""`winnow graph`: counts, a picture where one is asked for, one sentence where it cannot be."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")
pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from tests.cli.conftest import Run  # noqa: E402
from tests.compiler.picture.graphs import Builder, encoder, fused_encoder, given, model_of  # noqa: E402


def _write(path: Path, model: ir.Model) -> Path:
    path.write_bytes(ir.to_proto(model).SerializeToString())
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An encoder of three layers, before and after."""
    return (
        _write(tmp_path / "before.onnx", encoder(3)),
        _write(tmp_path / "after.onnx", fused_encoder(3)),
    )


def test_for_a_person(winnow: Run, files: tuple[Path, Path]) -> None:
    """A line for each stage: nodes before and after, and what became of what."""
    done = winnow("graph", files[0], "--after", files[1])
    assert done.status == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert done.out.startswith("before.onnx: 73 nodes → 38\n")
    assert ["embeddings", "5", "nodes", "3", "nodes", "3", "->", "Cast"] in lines
    layers = "layers 0 to 2 3 × 22 nodes 3 × 11 nodes 11 -> Attention, 2 -> BiasGelu"
    assert layers.split() in lines


def test_the_model_that_ships(winnow: Run) -> None:
    """Without a name it is the reader of the shipped model."""
    done = winnow("graph")
    assert done.out.startswith("shipped@")
    stages = {line.split("  ")[0] for line in done.out.splitlines()}
    assert {"embeddings", "head"} < stages
    assert any(stage.startswith("layer") for stage in stages)
    assert "after" not in done.out


@pytest.mark.parametrize("name", ["graph.svg", "graph.html"])
def test_a_picture(name: str, winnow: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    """It is drawn, and its place is said; every layer, where that is asked for."""
    out = tmp_path / name
    done = winnow("graph", files[0], "--after", files[1], "--out", out)
    assert done.out.endswith(f"Drawn in {out}.\n")
    folded = out.read_text("utf-8")
    assert "layers 0 to 2" in folded
    winnow("graph", files[0], "--after", files[1], "--out", out, "--every-layer")
    assert "layer 1" in out.read_text("utf-8")
    assert len(out.read_text("utf-8")) > 1.5 * len(folded)


def test_json(winnow: Run, files: tuple[Path, Path]) -> None:
    """One object, with every change."""
    found = json.loads(winnow("graph", files[0], "--after", files[1], "--json").out)
    assert list(found) == ["model", "before", "after", "changes", "undone"]
    assert (found["before"]["nodes"], found["after"]["nodes"]) == (73, 38)
    assert len(found["changes"]) == 7


def test_strangers(winnow: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    """Graphs with no value in common: that nothing can be told is told."""
    build, x = Builder(), given("x", "batch", 4)
    other = _write(tmp_path / "x.onnx", model_of(build, [x], [build.op("Neg", x, name="other")]))
    assert "cannot be told" in winnow("graph", files[0], "--after", other).out


def test_hostile_names(winnow: Run, tmp_path: Path) -> None:
    """An operator cannot write to the terminal."""
    after = fused_encoder(1)
    next(n for n in after.graph if n.op_type == "Attention").op_type = "\x1b[2JAttention"
    old = _write(tmp_path / "a.onnx", encoder(1))
    done = winnow("graph", old, "--after", _write(tmp_path / "b.onnx", after))
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "Attention" in done.out


def test_what_cannot_be_drawn(winnow: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    """One sentence and status 2: no graph, no place, options that do not go together."""
    (tmp_path / "broken.onnx").write_bytes(files[0].read_bytes()[:300])
    for words in (
        ["graph", tmp_path / "broken.onnx"],
        ["graph", tmp_path / "missing.onnx"],
        ["graph", files[0], "--out", tmp_path / "picture.png"],
        ["graph", files[0], "--for", "accelerator"],
    ):
        done = winnow(*words)
        assert (done.status, done.out) == (2, "")
        assert done.err.count("\n") == 1


def test_without_the_extra(
    winnow: Run, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is missing is named, with the extra that brings it."""
    imported = builtins.__import__

    def without(
        name: str, globals_: Any = None, locals_: Any = None, names: Any = (), level: int = 0
    ) -> Any:
        if name == "winnow" and "recipe_picture" in (names or ()):
            raise ImportError("no module", name="onnx_ir")
        return imported(name, globals_, locals_, names, level)

    monkeypatch.setattr(builtins, "__import__", without)
    done = winnow("graph", files[0])
    assert done.status == 2
    assert "onnx_ir" in done.err
    assert "winnow-mail[compile]" in done.err
