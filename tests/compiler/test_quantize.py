"""Weights in 8 bits: how far they may be off, what is left alone, and who can read the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

ir = pytest.importorskip("onnx_ir", reason="the extra [train] is not installed")

from onnx_ir.tape import Tape  # noqa: E402

from winnow.compiler.quantize import SMALLEST, quantize, rounded  # noqa: E402

F32 = NDArray[np.float32]
SIZE = 64  # SIZE * SIZE values are just enough to be rounded
Build = Callable[[Any, Callable[[str, Any], Any], Any], list[Any]]


def _weights(seed: int, rows: int = SIZE, columns: int = SIZE) -> F32:
    """Columns and rows of very different size, as trained ones have."""
    random = np.random.default_rng(seed)
    scale = np.exp(random.normal(0, 2, columns))
    return (random.normal(size=(rows, columns)) * scale).astype(np.float32)


def _graph(
    build: Build, kind: str = "FLOAT", shape: tuple[Any, ...] = ("n", SIZE), rank: int | None = None
) -> Any:
    """A model of one input x and outputs out0, out1 ..., built by a function of a tape."""
    tape = Tape()
    x = ir.Value(name="x", shape=ir.Shape(shape), type=ir.TensorType(ir.DataType[kind]))

    def constant(name: str, value: Any) -> Any:
        return tape.initializer(ir.tensor(np.asarray(value), name=name))

    outputs = build(tape, constant, x)
    for index, output in enumerate(outputs):
        output.name = f"out{index}"
        output.type = ir.TensorType(ir.DataType.FLOAT)
        if rank is not None:
            output.shape = ir.Shape([f"d{axis}" for axis in range(rank)])
    graph = ir.Graph(
        [x],
        outputs,
        nodes=list(tape.nodes),
        initializers=list(tape.initializers),
        opset_imports={"": 20},
        name="test",
    )
    return ir.Model(graph, ir_version=10)


def _run(model: Any, x: Any) -> list[NDArray[Any]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[NDArray[Any]] = session.run(None, {"x": x})
    return found


def _kinds(model: Any) -> list[str]:
    return [node.op_type for node in model.graph]


def _two_layers(tape: Any, constant: Any, x: Any) -> list[Any]:
    """Return x @ w + b, then GELU, then @ v: what a transformer's layers are made of."""
    first = tape.op("MatMul", [x, constant("w", _weights(1) / 50)], name="first")
    moved = tape.op("Add", [first, constant("b", np.full(SIZE, 0.5, np.float32))], name="bias")
    bent = tape.op("Gelu", [moved], name="gelu")
    return [tape.op("MatMul", [bent, constant("v", _weights(2))], name="second")]


def _look_up(tape: Any, constant: Any, x: Any) -> list[Any]:
    return [tape.op("Gather", [constant("table", _weights(3, 100, 48)), x], name="pieces")]


def _normal(seed: int, rows: int = 9) -> F32:
    return np.random.default_rng(seed).normal(size=(rows, SIZE)).astype(np.float32)


@given(st.integers(0, 999), st.integers(1, 20), st.integers(1, 20), st.sampled_from([0, 1]))
def test_each_weight_moves_by_half_a_step_at_most(
    seed: int, rows: int, columns: int, axis: int
) -> None:
    """A step is a 127th of the largest weight of its own column or row, not of the matrix."""
    weights = _weights(seed, rows, columns)
    steps, scale = rounded(weights, axis)
    scales = scale[None, :] if axis else scale[:, None]
    largest = np.abs(weights).max(axis=1 - axis)
    assert steps.dtype == np.uint8
    assert steps.min() >= 1  # 0 would be a 128th step below: both sides are alike
    assert scale == pytest.approx(largest / 127, rel=1e-5)
    back = (steps.astype(np.float64) - 128) * scales
    assert (np.abs(back - weights) <= scales * 0.5 * (1 + 1e-4)).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_nothing_stays_nothing(axis: int) -> None:
    """A column of zeros is zeros, without dividing by its size, and so is a row."""
    weights = _weights(4)
    weights[:, 7] = weights[7, :] = 0.0
    steps, scale = rounded(weights, axis)
    assert (steps[:, 7] == 128).all()
    assert (steps[7, :] == 128).all()
    assert np.isfinite(scale).all()
    assert scale.min() > 0


@given(st.integers(0, 999))
def test_a_product_is_off_by_its_roundings_at_most(seed: int) -> None:
    """Half a step of each weight and of each activation, summed up: nothing else is lost."""
    weights, x = _weights(seed), _normal(seed + 1)

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("MatMul", [x, constant("w", weights)], name="product")]

    (after,) = _run(quantize(_graph(build))[0], x)
    w_step = np.abs(weights).max(axis=0) / 127
    x_step = (x.max() - x.min()) / 255
    bound = np.abs(x).sum(axis=1)[:, None] * w_step / 2  # the weights'
    bound += x_step * (np.abs(weights).sum(axis=0) + SIZE * w_step / 2)  # half, and half of zero's
    assert (np.abs(after - x @ weights) <= bound * (1 + 1e-3)).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_graph_answers_nearly_as_before(seed: int) -> None:
    """Two layers in integers are off by 4% of the answers' size (the most seen: 3.2%)."""
    model = _graph(_two_layers)
    small, changed = quantize(model)
    assert changed.nodes == ("first", "second")
    (before,), (after,) = _run(model, _normal(seed)), _run(small, _normal(seed))
    assert 0 < np.linalg.norm(after - before) < 0.04 * np.linalg.norm(before)


def test_looked_up_rows_are_nearly_as_before() -> None:
    """Each row is off by half of its own step at most, whatever the other rows hold."""
    model = _graph(_look_up, "INT64", ("n", "t"))
    small, changed = quantize(model)
    assert changed.nodes == ("pieces",)
    ids = np.arange(100, dtype=np.int64).reshape(4, 25)
    (before,), (after,) = _run(model, ids), _run(small, ids)
    largest = np.abs(before).max(axis=-1, keepdims=True)
    assert after.shape == before.shape
    assert (np.abs(after - before) <= largest / 127 * 0.5 * (1 + 1e-4)).all()


def test_the_largest_sums_do_not_saturate() -> None:
    """All bytes at their bound, either sign: pairs of products leave 16 bits, and are right."""
    weights = np.ones((256, SIZE), dtype=np.float32)
    weights[:, ::2] = -1.0

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("MatMul", [x, constant("w", weights)], name="product")]

    small, _ = quantize(_graph(build, shape=("n", 256)))
    for x in (np.full((3, 256), 5.0, np.float32), np.full((3, 256), -5.0, np.float32)):
        (after,) = _run(small, x)
        assert after == pytest.approx(x @ weights, rel=1e-3)


def test_the_errors_that_are_told_are_those_of_the_weights() -> None:
    """Who reads the record sees how much was lost, node by node."""
    _, changed = quantize(_graph(_two_layers))
    for error, weights in zip(changed.errors, (_weights(1), _weights(2)), strict=True):
        steps, scale = rounded(weights, 1)
        off = np.abs((steps.astype(np.float64) - 128) * scale - weights).max()
        assert error == pytest.approx(off / np.abs(weights).max(), rel=1e-3)
        assert 0 < error < 0.5 / 127 * 1.001


@pytest.mark.parametrize(
    ("build", "kind", "rank"), [(_two_layers, "FLOAT", 2), (_look_up, "INT64", 3)]
)
def test_only_standard_operators_are_written(build: Build, kind: str, rank: int) -> None:
    """Any runtime can read the graph, and a checker finds nothing to say of it."""
    small, _ = quantize(_graph(build, kind, rank=rank))
    assert {node.domain for node in small.graph} == {""}
    assert set(small.opset_imports) == {""}
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnx.checker.check_model(ir.to_proto(small), full_check=True)


def test_the_file_becomes_a_quarter() -> None:
    """The floats that were rounded are gone: no second copy of them ships."""
    model = _graph(_two_layers)
    small, _ = quantize(model)
    sizes = [len(ir.to_proto(graph).SerializeToString()) for graph in (model, small)]
    assert sizes[1] < 0.4 * sizes[0]
    assert not {"w", "v"} & set(small.graph.initializers)


def test_the_model_that_was_given_is_left_as_it_is() -> None:
    """Both graphs are compared afterwards; the float one must be the float one still."""
    model = _graph(_two_layers)
    before = ir.to_proto(model).SerializeToString()
    quantize(model)
    assert ir.to_proto(model).SerializeToString() == before


def test_rounding_twice_changes_nothing_more() -> None:
    """What is in integers already is found to be so."""
    small, _ = quantize(_graph(_two_layers))
    again, changed = quantize(small)
    assert changed.nodes == ()
    assert _kinds(again) == _kinds(small)


def test_what_is_kept_stays_in_floats() -> None:
    """A node that loses too much can be named; the others are rounded all the same."""
    model = _graph(_two_layers)
    small, changed = quantize(model, keep=lambda node: node == "first")
    assert changed.nodes == ("second",)
    assert _kinds(small).count("MatMul") == 1
    assert "w" in small.graph.initializers


def _small_weights(tape: Any, constant: Any, x: Any) -> list[Any]:
    w = constant("w", _weights(5, SIZE, SMALLEST // SIZE - 1))
    return [tape.op("MatMul", [x, w], name="node")]


def _two_inputs(tape: Any, constant: Any, x: Any) -> list[Any]:
    turned = tape.op("Transpose", [x], {"perm": [1, 0]})
    return [tape.op("MatMul", [x, turned], name="node")]


def _constant_first(tape: Any, constant: Any, x: Any) -> list[Any]:
    turned = tape.op("Transpose", [x], {"perm": [1, 0]})
    return [tape.op("MatMul", [constant("w", _weights(5)), turned], name="node")]


def _double(tape: Any, constant: Any, x: Any) -> list[Any]:
    wide = tape.op("Cast", [x], {"to": ir.DataType.DOUBLE.value})
    product = tape.op("MatMul", [wide, constant("w", _weights(5).astype(np.float64))], name="node")
    return [tape.op("Cast", [product], {"to": ir.DataType.FLOAT.value})]


def _cube(tape: Any, constant: Any, x: Any) -> list[Any]:
    cube = _weights(5).reshape(1, SIZE, SIZE)
    return [tape.op("MatMul", [x, constant("w", cube)], name="node")]


def _columns(tape: Any, constant: Any, x: Any) -> list[Any]:
    ids = constant("ids", np.array([3, 1], dtype=np.int64))
    found = tape.op("Gather", [constant("w", _weights(5)), ids], {"axis": 1}, name="node")
    return [tape.op("MatMul", [x, found])]


@pytest.mark.parametrize(
    "build", [_small_weights, _two_inputs, _constant_first, _double, _cube, _columns]
)
def test_what_does_not_fit_is_left_alone(build: Build) -> None:
    """Attention's products, tiny matrices, other types and shapes, columns: exactly as before."""
    model = _graph(build)
    small, changed = quantize(model)
    assert changed.nodes == ()
    assert _kinds(small) == _kinds(model)
    assert np.array_equal(_run(small, _normal(6))[0], _run(model, _normal(6))[0])


def test_products_of_one_activation_round_it_once() -> None:
    """Query, key and value share their input: its rounding is work that is not done thrice."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        bent = tape.op("Gelu", [x])
        return [
            tape.op("MatMul", [bent, constant(f"w{k}", _weights(k))], name=f"m{k}")
            for k in range(3)
        ]

    model = _graph(build)
    small, changed = quantize(model)
    assert changed.nodes == ("m0", "m1", "m2")
    assert _kinds(small).count("DynamicQuantizeLinear") == 1
    for before, after in zip(_run(model, _normal(7)), _run(small, _normal(7)), strict=True):
        assert np.abs(after - before).max() < 0.02 * np.abs(before).max()


def test_nodes_may_share_their_weights() -> None:
    """A matrix of two products is stored once; that is a table, too, is right as both."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        w = constant("w", _weights(8))
        ids = constant("ids", np.arange(SIZE, dtype=np.int64))
        product = tape.op("MatMul", [x, w], name="product")
        bent = tape.op("Tanh", [product])
        return [
            tape.op("MatMul", [bent, w], name="again"),
            tape.op("Gather", [w, ids], name="table"),
        ]

    model = _graph(build)
    small, changed = quantize(model)
    assert changed.nodes == ("product", "again", "table")
    x = _normal(9) / 50
    for before, after in zip(_run(model, x), _run(small, x), strict=True):
        assert np.abs(after - before).max() < 0.02 * np.abs(before).max()
    assert len(ir.to_proto(small).SerializeToString()) < 4 * SIZE * SIZE


def test_an_output_keeps_its_name() -> None:
    """Who asks the graph for `out0` is answered, even where a product was the last node."""
    small, _ = quantize(_graph(_two_layers))
    assert [output.name for output in small.graph.outputs] == ["out0"]
    assert len(_run(small, _normal(0))) == 1
