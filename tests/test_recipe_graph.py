"""Weights to the graph that ships: proved on inputs, rounded, and told in the history."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx_ir", reason="the extra [train] is not installed")
pytest.importorskip("optax", reason="the extra [train] is not installed")

from tests.model.tiny import random_tokens, random_weights, small_shape
from winnow import recipe_graph
from winnow.errors import ReaderError
from winnow.features.pieces import REQUIRED
from winnow.model.export import export
from winnow.recipe_graph import compiled, probe_of, reader_history
from winnow.runtime import Reader
from winnow.tokens import TEXT
from winnow.training.reader import answer
from winnow.training.reader_data import TokenRows

SHAPE = small_shape(pieces=400, width=64, inner=128)  # large enough to be worth rounding
WEIGHTS = random_weights(SHAPE)


@pytest.fixture(scope="module")
def rows() -> TokenRows:
    """Ten inputs of different lengths."""
    tokens = [random_tokens(SHAPE, 3 + 2 * seed, seed) for seed in range(10)]
    return TokenRows(tokens, np.zeros(10, dtype=np.float32), np.ones(10))


def test_a_graph_is_proved_and_rounded(rows: TokenRows) -> None:
    """What ships was compared with the network on mail, and the record says how far it is off."""
    found = compiled(WEIGHTS, SHAPE, rows)
    network = answer(WEIGHTS, rows, SHAPE)
    for graph, key in ((found.whole, "export_max_abs_error"), (found.graph, "int8_max_abs_error")):
        reader = Reader(graph)
        said = np.array([reader.read(tokens)[0] for tokens in rows.tokens])
        assert float(np.abs(network - said).max()) == found.record[key]
    assert found.record["export_max_abs_error"] < 1e-4
    assert 0 < found.record["int8_mean_abs_error"] <= found.record["int8_max_abs_error"] < 0.2
    assert found.record["bytes_int8"] == len(found.graph) < len(found.whole)
    assert found.record["bytes_fp32"] == len(found.whole)
    assert found.record["messages"] == 10
    assert 0 <= found.record["int8_other_side_of_half_percent"] <= 100
    json.dumps(found.record)


@pytest.mark.parametrize(
    ("factor", "told"), [(1.01, "differs from the network by"), (float("nan"), "no number")]
)
def test_a_graph_that_computes_something_else_does_not_ship(
    rows: TokenRows, monkeypatch: pytest.MonkeyPatch, factor: float, told: str
) -> None:
    """A bug of the exporter stops the training's last step, and not the mail of a year."""

    def spoilt(weights: Any, shape: Any) -> Any:
        name = "layer0.down.kernel"
        return export(weights | {name: (weights[name] * factor).astype(np.float32)}, shape)

    monkeypatch.setattr(recipe_graph, "export", spoilt)
    with pytest.raises((ValueError, ReaderError), match=told):
        compiled(WEIGHTS, SHAPE, rows)


def test_an_input_to_time_a_reader_with() -> None:
    """As long as it is wanted, of pieces that every reader has."""
    for length in (1, 8, 500):
        probe = probe_of(length)
        assert len(probe.ids) == len(probe.fields) == length
        assert probe.ids.max() < len(REQUIRED)
        assert set(probe.fields.tolist()) == {TEXT}


def test_the_history_of_a_graph(rows: TokenRows) -> None:
    """What was done to the weights is told in order, with its nodes and its error."""
    small = compiled(WEIGHTS, SHAPE, rows)
    history = reader_history(small)
    assert [entry["nodes"] for entry in history] == [
        small.record["nodes_fp32"],
        small.record["nodes_int8"],
    ]
    assert [entry["max_abs_error"] for entry in history] == [
        small.record["export_max_abs_error"],
        small.record["int8_max_abs_error"],
    ]
