"""A model's ladder: each rung made of the last, in order, whatever becomes of a step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cascaded import corpus_of, write_reflex, write_two_stages
from tests.compiler.exports import Spelling, bert
from tests.synthetic import message
from winnow.compiler.graph import serialised
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize
from winnow.errors import ArtifactError, InputError
from winnow.ladder.climb import Graph, Settings, climb
from winnow.ladder.rung import FIGURES
from winnow.recipe_ladder import Options, in_floats, ladder, workshop
from winnow.verdict import Label

# Large enough that its matrices are worth rounding.
SIZES: dict[str, Any] = {"width": 64, "heads": 4, "inner": 128, "words": 100, "positions": 40}
QUICK = Options(peers=(), seconds=0.01)
MAIL = [(message(n % 2 == 0, n), Label.SPAM if n % 2 == 0 else Label.HAM) for n in range(60)]


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round every node; looking for the ones that had better not be takes seconds."""

    def rounded(model: Any, bits: int, *_: Any) -> Outcome:
        return Outcome(quantize(model, bits=bits)[0])

    monkeypatch.setattr("winnow.recipe_ladder._quantized", rounded)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare graph as an exporter writes it."""
    path = tmp_path_factory.mktemp("bare") / "model.onnx"
    path.write_bytes(serialised(bert(Spelling(kinds="input"), **SIZES)))
    return path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose reader is a table: there is nothing to cut from it."""
    path = tmp_path_factory.mktemp("artifact") / "small.winnow"
    write_two_stages(path, corpus_of(MAIL))
    return path


def test_rungs_stand_in_order(bare: Path) -> None:
    """Each is made of the one before: smaller when cut, smaller again in integers."""
    found = ladder(bare, [], QUICK)
    rungs = {rung.name: rung for rung in found.climbed.rungs}
    assert list(rungs) == ["baseline", "folded", "pruned", "quantized", "fused"]
    assert {rung.refused for rung in rungs.values()} == {""}
    sizes = [rung.value("bytes") or 0 for rung in rungs.values()]
    assert sizes[0] > 1.2 * sizes[2] > 1.2 * 1.5 * sizes[3]
    nodes = {name: rung.value("nodes") or 0 for name, rung in rungs.items()}
    assert nodes["folded"] < nodes["baseline"]
    assert nodes["fused"] < nodes["quantized"]
    errors = {name: rung.value("max_abs_error") for name, rung in rungs.items()}
    assert errors["baseline"] == 0.0
    assert 0 <= (errors["folded"] or 0.0) < 1e-4 < (errors["pruned"] or 0.0)
    assert found.model == "model.onnx"


def test_how_each_rung_was_made_is_kept(bare: Path) -> None:
    """The history grows from rung to rung, as an artifact will keep it."""
    found = ladder(bare, [], QUICK)
    steps = [[step["step"] for step in built.history] for built in found.built]
    assert steps[0] == []
    assert steps[1] == ["fold"]
    assert steps[-1] == ["fold", "prune", "settle", "quantize", "fuse"]
    assert all(step["version"] for step in found.built[-1].history)


def test_json_has_the_documented_keys(bare: Path) -> None:
    """Every rung has them, and JSON can hold it all."""
    found = json.loads(json.dumps(ladder(bare, [], QUICK).to_json()))
    assert next(iter(found)) == "rungs"
    for rung in found["rungs"]:
        assert list(rung)[: 1 + len(FIGURES)] == ["name", *FIGURES]
    assert found["peers"] == []
    assert found["held_out"]["labelled"] is False
    assert found["machine"]["processor"]
    assert found["noise"]["times_faster_32"]["value"] is not None


def test_with_mail(artifact: Path) -> None:
    """Accuracy is that of the whole model; a step that finds nothing to do is a row, too."""
    corpus = corpus_of([(message(n % 2 == 0, 500 + n), label) for n, (_, label) in enumerate(MAIL)])
    found = ladder(artifact, [corpus], QUICK)
    baseline, _, pruned, *_, fused = found.climbed.rungs
    assert (baseline.value("accuracy_percent") or 0.0) > 90
    assert "no encoder" in pruned.refused
    assert fused.refused == ""
    assert fused.value("accuracy_loss_points") == 0.0
    assert "45 messages" in found.held.about


@pytest.mark.slow
def test_nodes_that_move_answers_stay_finer(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `winnow quantize` does: the answers move less than with every node rounded, on average."""
    shop = workshop(bare, [], QUICK)
    settled = shop.settled(shop.folded(shop.first()))

    def error() -> float:
        graphs = [Graph("baseline", "", shop.baseline), shop.quantized(settled, 4).graph]
        rung = climb(graphs, shop.held, Settings(seconds=0.01)).rungs[1]
        assert rung.refused == ""
        return rung.value("mean_abs_error") or 0.0

    plain = error()
    monkeypatch.undo()
    assert 0 < error() < plain


def test_peers_are_given_what_they_need(bare: Path) -> None:
    """Even where nothing else is installed, ONNX Runtime is a peer of ours."""
    found = ladder(bare, [], Options(peers=("onnxruntime-basic",), seconds=0.01))
    (peer,) = found.climbed.peers
    assert (peer.name, peer.refused) == ("onnxruntime-basic", "")


def test_a_model_that_ships_quantized_is_restored(tmp_path: Path) -> None:
    """The baseline is in floats, and says that it was made so."""
    model = bert(Spelling(kinds="input"), **SIZES)
    small = quantize(model)[0]
    path = tmp_path / "small.onnx"
    path.write_bytes(serialised(small))
    shop = workshop(path, [], QUICK)
    assert "restored" in shop.about
    kinds = {node.op_type for node in shop.baseline.graph}
    assert "MatMulInteger" not in kinds
    assert "MatMul" in kinds
    assert len(serialised(shop.baseline)) > 2 * path.stat().st_size
    again, about = in_floats(model)
    assert again is model
    assert "restored" not in about


def test_a_bare_graph_cannot_be_given_mail(bare: Path) -> None:
    """Nothing says how its tokens are made."""
    with pytest.raises(InputError, match="winnow import"):
        workshop(bare, [corpus_of(MAIL)], QUICK)


def test_a_model_without_reader(tmp_path: Path) -> None:
    """There is no graph to measure."""
    write_reflex(tmp_path / "one.winnow", corpus_of(MAIL))
    with pytest.raises(ArtifactError, match="no reader"):
        ladder(tmp_path / "one.winnow", [], QUICK)


def test_cutting_by_shares(bare: Path) -> None:
    """Half of the heads is half; none at all leaves every answer as it was."""
    shop = workshop(bare, [], QUICK)
    folded = shop.folded(shop.first())

    def kernel(share: float) -> tuple[int, ...]:
        graph = shop.pruned(folded, share, share).graph.model
        assert graph is not None
        return tuple(graph.graph.initializers["layer0.up.kernel"].const_value.shape)

    assert kernel(0.5) == (64, 64)
    assert kernel(0.25) == (64, 96)
    whole = shop.pruned(folded, 0.0, 0.0).reports[0]
    assert whole.max_abs_error is not None
    assert whole.max_abs_error < 1e-5
    half = shop.pruned(folded, 0.5, 0.5).reports[0]
    assert (half.max_abs_error or 0.0) > 1e-3


def test_a_refused_step_leaves_the_last_graph(artifact: Path) -> None:
    """The next rung is made of what there was."""
    shop = workshop(artifact, [], QUICK)
    folded = shop.folded(shop.first())
    pruned = shop.pruned(folded, 0.5, 0.5)
    assert pruned.graph.model is None
    assert pruned.graph.refused
    assert [step["step"] for step in pruned.history] == ["fold", "settle"]
    fused = shop.fused(pruned)
    assert fused.graph.model is not None
    feeds = shop.held.feeds[0]
    (before,), (after,) = (
        shop.proof.run(model, [dict(feeds)], ["log_odds"]) for model in (folded.then, fused.then)
    )
    assert np.allclose(before, after, atol=1e-6)
