"""The graph that ships computes what the network does, at every length, in standard operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the extra [train] is not installed")
pytest.importorskip("onnx_ir", reason="the extra [train] is not installed")

import onnx
import onnx_ir as ir
import onnxruntime

from tests.model.tiny import random_tokens, random_weights, small_shape
from winnow.model.export import IR_VERSION, OPSET, export
from winnow.model.network import shapes_of
from winnow.runtime import Reader
from winnow.training.reader import answer
from winnow.training.reader_data import TokenRows

SHAPE = small_shape()
WEIGHTS = random_weights(SHAPE)
# Both are in 32-bit floats and sum in another order. The largest difference seen is 4e-6.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def data() -> bytes:
    """The graph as a file."""
    return bytes(ir.to_proto(export(WEIGHTS, SHAPE)).SerializeToString())


def _run(data: bytes, ids: Any, fields: Any) -> tuple[Any, Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    log_odds, shares = session.run(["log_odds", "shares"], {"ids": ids, "fields": fields})
    return log_odds, shares


def test_the_graph_answers_as_the_network_at_every_length(data: bytes) -> None:
    """What was measured in training is what mail is answered by, from one token to the most."""
    lengths = range(1, SHAPE.positions + 1)
    tokens = [random_tokens(SHAPE, length) for length in lengths]
    rows = TokenRows(tokens, np.zeros(len(tokens), dtype=np.float32), np.ones(len(tokens)))
    network = answer(WEIGHTS, rows, SHAPE)
    reader = Reader(data)
    graph = [reader.read(each)[0] for each in tokens]
    assert np.abs(network - graph).max() < TOLERANCE
    assert np.ptp(network) > 100 * TOLERANCE


def test_shares_are_parts_of_the_answer(data: bytes) -> None:
    """Words are named as reasons by what their tokens added: their mean is the answer."""
    reader = Reader(data)
    for length in (1, 2, 9, SHAPE.positions):
        value, shares = reader.read(random_tokens(SHAPE, length))
        assert shares.shape == (length,)
        assert value == pytest.approx(float(shares.mean()), abs=1e-5)
        assert length == 1 or np.ptp(shares) > 0.01


def test_messages_of_one_length_may_be_read_together(data: bytes) -> None:
    """Each of a batch has the answer that it has alone."""
    tokens = [random_tokens(SHAPE, 7, seed) for seed in range(3)]
    ids = np.stack([each.ids for each in tokens])
    log_odds, shares = _run(data, ids, np.stack([each.fields for each in tokens]))
    assert (log_odds.shape, shares.shape) == ((3,), (3, 7))
    reader = Reader(data)
    alone = [reader.read(each)[0] for each in tokens]
    assert np.abs(log_odds - alone).max() < TOLERANCE


def test_any_runtime_can_read_it(data: bytes) -> None:
    """Operators of the standard only, of the version it says; ONNX's own checker agrees."""
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == IR_VERSION
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    for node in model.graph.node:
        assert (node.domain, onnx.defs.has(node.op_type)) == ("", True), node.op_type
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)


def test_weights_keep_their_names(data: bytes) -> None:
    """Whoever opens the file finds each weight under the name it has in training, unchanged."""
    stored = {
        t.name: onnx.numpy_helper.to_array(t) for t in onnx.load_from_string(data).graph.initializer
    }
    for name in shapes_of(SHAPE):
        assert stored[name].tolist() == WEIGHTS[name].tolist()


def test_the_graph_says_what_it_is_for(data: bytes) -> None:
    """A tokenizer of another vocabulary or length is found out when the model is opened."""
    told = {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}
    assert told == {"pieces": "40", "fields": "5", "positions": "24"}
    reader = Reader(data)
    assert (reader.pieces, reader.limit) == (SHAPE.pieces, SHAPE.positions)


def test_weights_that_do_not_belong_to_the_shape_are_refused() -> None:
    """A missing or another matrix is told by its name, not written into a graph that fails."""
    for name in ("embed.fields", "layer1.down.bias", "head.kernel"):
        for spoilt in (
            {key: value for key, value in WEIGHTS.items() if key != name},
            WEIGHTS | {name: WEIGHTS[name][:-1]},
        ):
            with pytest.raises(ValueError, match=f"do not belong together: {name}"):
                export(spoilt, SHAPE)
    with pytest.raises(ValueError, match=r"layer2\.query\.kernel"):
        export(WEIGHTS, small_shape(layers=3))


def test_layers_may_have_their_own_widths() -> None:
    """A network that was cut is written with the heads and neurons that each layer has left."""
    shape = replace(SHAPE, left=((1, 7), (2, 24)))
    weights = random_weights(shape)
    tokens = [random_tokens(shape, length) for length in (1, 5, SHAPE.positions)]
    rows = TokenRows(tokens, np.zeros(len(tokens), dtype=np.float32), np.ones(len(tokens)))
    reader = Reader(bytes(ir.to_proto(export(weights, shape)).SerializeToString()))
    graph = [reader.read(each)[0] for each in tokens]
    assert np.abs(answer(weights, rows, shape) - graph).max() < TOLERANCE
    with pytest.raises(ValueError, match=r"do not belong together: layer0\.query\.kernel"):
        export(weights, SHAPE)
