"""Graphs side by side: each row beside the first, and a row with its reason for each that fails."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, bert
from winnow.accounting import Power, Quality
from winnow.compiler.fold import folded
from winnow.compiler.graph import serialised
from winnow.compiler.inputs import feeds_of
from winnow.errors import InputError
from winnow.ladder.climb import AGAIN, Climbed, Graph, Settings, climb
from winnow.ladder.measure import Clock
from winnow.ladder.peers import Graphs
from winnow.ladder.quality import Held
from winnow.ladder.rung import FIGURES
from winnow.recipe_compile import run_graph

POWER = Power(2.0, 1.0, 10.0, 0.15, Quality.ESTIMATED, "a table")
SPELLING = Spelling(kinds="input")


def _model(seed: int = 0, **sizes: int) -> Any:
    return bert(SPELLING, seed=seed, **({"positions": 40} | sizes))


def _held(model: Any, *, labelled: bool = True, count: int = 12) -> Held:
    feeds = tuple(feeds_of(model, 1, 1 + n % 7, n) for n in range(count))
    labels = np.arange(count) % 3 == 0
    return Held(feeds, "some mail", labels if labelled else None)


def _climb(graphs: list[Graph], held: Held, **more: Any) -> Climbed:
    settings = Settings(seconds=0.1, seed=0, power=POWER)
    return climb(graphs, held, settings, **more)


MODEL = _model()


def test_each_row_is_compared_with_the_first() -> None:
    """The same graph in another spelling answers the same; other weights do not."""
    graphs = [
        Graph("baseline", "as it is", MODEL),
        Graph("folded", "", folded(_model(), run_graph).model),
        Graph("other", "", _model(seed=1)),
    ]
    found = _climb(graphs, _held(MODEL))
    baseline, same, other = found.rungs
    assert baseline.value("max_abs_error") == 0.0
    assert 0 <= (same.value("max_abs_error") or 0.0) < 1e-4
    assert (other.value("max_abs_error") or 0.0) > 0.1
    assert same.value("accuracy_percent") == baseline.value("accuracy_percent")
    assert same.value("accuracy_loss_points") == 0.0
    assert (baseline.name, baseline.what) == ("baseline", "as it is")


def test_a_row_has_all_figures_that_can_be_had() -> None:
    """Sizes, times, rate, energy and worth; 256 tokens are beyond this model."""
    (row,) = _climb([Graph("baseline", "", MODEL)], _held(MODEL)).rungs
    absent = {name for name in FIGURES if row.value(name) is None}
    assert absent == {"ms_128", "ms_256"}
    assert "40 tokens at most" in row.figure("ms_256").note
    assert row.value("bytes") == len(serialised(MODEL))
    assert row.value("nodes") == sum(node.op_type != "Constant" for node in MODEL.graph)
    assert (row.value("nodes_when_run") or 0) < (row.value("nodes") or 0)
    assert row.value("round_trips") == 1


def test_without_labels() -> None:
    """Accuracy is missing, errors are there, and rates are of a length, not of a mix."""
    (row,) = _climb([Graph("baseline", "", MODEL)], _held(MODEL, labelled=False)).rungs
    assert row.value("accuracy_percent") is None
    assert row.value("max_abs_error") == 0.0
    assert row.figure("messages_per_second").quality == Quality.ESTIMATED


def test_a_short_model_is_timed_at_its_limit() -> None:
    """A model of 20 tokens has none of the documented lengths, but it has one of its own."""
    model = _model(positions=20)
    (row,) = _climb([Graph("baseline", "", model)], _held(model)).rungs
    assert row.value("ms_32") is None
    assert (row.value("ms_20") or 0.0) > 0


def test_noise_is_the_baseline_beside_itself() -> None:
    """With a clock that counts calls, nothing is faster than itself."""
    ticks = itertools.count()
    clock = Clock(wall=lambda: float(next(ticks)), cpu=lambda: float(next(ticks)))
    settings = Settings(seconds=40, seed=0, power=POWER, clock=clock)
    found = climb([Graph(AGAIN[:8], "", MODEL)], _held(MODEL), settings)
    assert found.noise["times_faster_32"].value == 1.0


def test_a_step_that_was_refused_is_a_row() -> None:
    """It keeps its reason, and the rows after it are measured."""
    graphs = [
        Graph("baseline", "", MODEL),
        Graph("pruned", "half", None, "it is no encoder"),
        Graph("fused", "", MODEL),
    ]
    _, pruned, fused = _climb(graphs, _held(MODEL)).rungs
    assert (pruned.refused, pruned.value("bytes")) == ("it is no encoder", None)
    assert fused.refused == ""
    assert fused.value("ms_32") is not None


def _broken() -> Any:
    model = _model()
    next(node for node in model.graph if node.op_type == "Softmax").op_type = "Sofdmax"
    return model


def test_a_graph_that_does_not_load_is_a_row() -> None:
    """Its size is known all the same."""
    graphs = [Graph("baseline", "", MODEL), Graph("broken", "", _broken())]
    row = _climb(graphs, _held(MODEL)).rungs[1]
    assert "ONNX Runtime cannot load" in row.refused
    assert row.value("bytes") is not None
    assert row.value("ms_32") is None


def test_a_graph_that_fails_on_mail_is_a_row() -> None:
    """A vocabulary that was cut too far knows some messages not."""
    graphs = [Graph("baseline", "", MODEL), Graph("cut", "", _model(words=2))]
    row = _climb(graphs, _held(MODEL)).rungs[1]
    assert "ONNX Runtime failed" in row.refused
    assert row.value("accuracy_percent") is None


@pytest.mark.parametrize("graph", [Graph("baseline", "", None, "no"), Graph("b", "", _broken())])
def test_without_a_baseline_there_is_no_ladder(graph: Graph) -> None:
    """One sentence, with the reason."""
    with pytest.raises(InputError, match="cannot be measured"):
        _climb([graph, Graph("fused", "", MODEL)], _held(MODEL))


def test_peers_stand_beside() -> None:
    """Each is a row of its own, timed in the same rounds."""
    given = Graphs(MODEL, MODEL)
    names = ["onnxruntime-all", "openvino-int8"]
    found = _climb([Graph("baseline", "", MODEL)], _held(MODEL), peers=names, given=given)
    good, refused = found.peers
    assert good.value("ms_32") is not None
    assert (good.value("max_abs_error") or 0.0) < 1e-4
    assert "8-bit integers" in refused.refused
    assert _climb([Graph("baseline", "", MODEL)], _held(MODEL)).peers == ()
