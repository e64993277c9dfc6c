"""Compressing: the recipe that the figures speak for is the one that is written, or nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cascaded import corpus_of, write_two_stages
from tests.compiler.exports import Spelling, bert
from tests.synthetic import message
from winnow import recipe_compress
from winnow.answering import Model
from winnow.artifact import read_artifact
from winnow.compiler.graph import opened, serialised
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize, state_of
from winnow.errors import ArtifactError, InputError
from winnow.ladder.choose import BYTES, SPEED, Wish
from winnow.ladder.climb import Climbed, Graph
from winnow.ladder.quality import Figure
from winnow.ladder.rung import Rung
from winnow.recipe_compress import RECIPES, Recipe, check_out, compress
from winnow.recipe_ladder import Options
from winnow.verdict import Label

SIZES: dict[str, Any] = {"width": 64, "heads": 4, "inner": 128, "words": 100, "positions": 40}
QUICK = Options(peers=(), seconds=0.01)
MAIL = [(message(n % 2 == 0, n), Label.SPAM if n % 2 == 0 else Label.HAM) for n in range(60)]
# Times faster, points lost.
FIGURES = {
    "baseline": (1.0, 0.0),
    "fused": (1.1, 0.0),
    "8 bit + fused": (1.5, 0.02),
    "4 bit + fused": (0.9, 0.1),
    "cut 25% + 8 bit + fused": (2.1, 0.08),
    "cut 30% + 8 bit + fused": (2.3, 0.2),
    "cut 50% + fused": (1.9, 0.4),
    "cut 50% + 8 bit + fused": (2.9, 0.5),
}


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round every node; looking for the ones that had better not be takes seconds."""

    def rounded(model: Any, bits: int, *_: Any) -> Outcome:
        return Outcome(quantize(model, bits=bits)[0])

    monkeypatch.setattr("winnow.recipe_ladder._quantized", rounded)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, tuple[float, float]]], None]:
    """Return a function that puts figures of our own in the place of measured ones."""

    def put(table: Mapping[str, tuple[float, float]]) -> None:
        def climbed(graphs: list[Graph], *_: Any, **__: Any) -> Climbed:
            rungs = tuple(_row(graph, *table[graph.name]) for graph in graphs)
            return Climbed(rungs, (), {}, {})

        monkeypatch.setattr(recipe_compress, "climb", climbed)

    return put


def _row(graph: Graph, faster: float, lost: float) -> Rung:
    size = 0 if graph.model is None else len(serialised(graph.model))
    found = {
        "bytes": Figure(size),
        "times_faster": Figure(faster),
        "accuracy_loss_points": Figure(lost),
        "mean_abs_error": Figure(lost),
    }
    return Rung(graph.name, "", found, graph.refused)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare graph."""
    path = tmp_path_factory.mktemp("bare") / "model.onnx"
    path.write_bytes(serialised(bert(Spelling(kinds="input"), **SIZES)))
    return path


def test_the_recipes_are_those_of_the_figures() -> None:
    """Each has a name of its own."""
    assert [one.name for one in RECIPES] == list(FIGURES)[1:]
    assert Recipe(0.3, 4).name == "cut 30% + 4 bit + fused"


@pytest.mark.parametrize(
    ("target", "state", "neurons"),
    [("1.4x", "8 bits", 128), ("2x", "8 bits", 96), ("2.5x", "8 bits", 64)],
)
def test_what_is_chosen_is_what_is_written(
    bare: Path, tmp_path: Path, figures: Any, target: str, state: str, neurons: int
) -> None:
    """Its integers and its widths are those of the recipe."""
    figures(FIGURES)
    out = tmp_path / "out.onnx"
    found = compress(bare, out, Wish.parse(SPEED, target, None), [], QUICK)
    assert found.choice.rung is not None
    assert found.out == out
    written = opened(out)
    assert state_of(written).startswith(state)
    shapes = [tuple(v.const_value.shape) for v in written.graph.initializers.values()]
    assert (neurons,) in shapes  # the bias of the first feed-forward layer
    assert json.loads(json.dumps(found.to_json()))["chosen"] == found.choice.rung.name


def test_nothing_fits(bare: Path, tmp_path: Path, figures: Any) -> None:
    """What came nearest is told, and there is no file."""
    figures(FIGURES)
    out = tmp_path / "out.onnx"
    found = compress(bare, out, Wish.parse(SPEED, "10x", None), [], QUICK)
    assert (found.choice.rung, found.out) == (None, None)
    assert found.choice.nearest is not None
    assert found.choice.nearest.name == "cut 50% + 8 bit + fused"
    assert not out.exists()
    shown = found.to_json()
    assert (shown["chosen"], shown["out"]) == (None, None)
    assert shown["nearest"] == "cut 50% + 8 bit + fused"


def test_for_size_it_is_measured_alone(bare: Path, tmp_path: Path) -> None:
    """Bytes need no clock: with real figures, the one that loses least of those small enough."""
    out = tmp_path / "out.onnx"
    found = compress(bare, out, Wish.parse(BYTES, "1.5x", None), [], QUICK)
    assert found.choice.rung is not None
    assert out.stat().st_size <= bare.stat().st_size / 1.5
    assert (found.choice.rung.value("bytes") or 0) == out.stat().st_size


def test_a_loss_needs_mail(bare: Path, tmp_path: Path) -> None:
    """It is said at once, not after minutes."""
    with pytest.raises(InputError, match="--mail CORPUS"):
        compress(bare, tmp_path / "out.onnx", Wish.parse(SPEED, None, "0.1pp"), [], QUICK)


def test_an_artifact_is_written_with_its_history(tmp_path: Path, figures: Any) -> None:
    """Each step, and what was measured of the whole, each with its quality; and it answers."""
    model = tmp_path / "small.winnow"
    write_two_stages(model, corpus_of(MAIL))
    before = len(read_artifact(model).manifest["history"])
    figures(FIGURES)
    out = tmp_path / "out.winnow"
    found = compress(model, out, Wish.parse(SPEED, "1.05x", None), [], QUICK)
    assert found.choice.rung is not None
    assert found.choice.rung.name == "fused"
    artifact = read_artifact(out)
    steps = artifact.manifest["history"][before:]
    assert [step["step"] for step in steps] == ["fold", "settle", "fuse", "compress"]
    last = steps[-1]
    assert last["figures"]["bytes"]["quality"] == "measured"
    assert last["figures"]["accuracy_percent"] == {"value": None, "quality": "missing"}
    assert last["times_faster"] == 1.1
    assert Model.of(artifact).broken == ""


def test_recipes_that_are_refused_are_rows(tmp_path: Path, figures: Any) -> None:
    """A table has no heads to cut, and is too small to be rounded."""
    model = tmp_path / "small.winnow"
    write_two_stages(model, corpus_of(MAIL))
    figures(FIGURES)
    out = tmp_path / "out.winnow"
    found = compress(model, out, Wish.parse(SPEED, "2x", None), [], QUICK)
    cut = [rung for rung in found.ladder.climbed.rungs if rung.name.startswith("cut")]
    assert all("no encoder" in rung.refused for rung in cut)
    assert found.choice.rung is None
    assert not out.exists()


def test_places(bare: Path, tmp_path: Path) -> None:
    """Something else is never written over, and that is said before any work."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    for out in (tmp_path / "notes.txt", tmp_path / "folder", tmp_path / "no" / "a.onnx"):
        with pytest.raises(InputError):
            check_out(bare, out)
    with pytest.raises(ArtifactError, match="is no model"):
        check_out(tmp_path / "folder", tmp_path / "folder")
    check_out(bare, tmp_path / "a.onnx")
    check_out(bare, bare)
