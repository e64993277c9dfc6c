"""Small graphs of products and look-ups to round, and ways to run and to judge them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")
pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from onnx_ir.tape import Tape  # noqa: E402

from winnow.compiler.verify import fault_of  # noqa: E402
from winnow.recipe_compile import run_graph  # noqa: E402

F32 = NDArray[np.float32]
SIZE = 64  # SIZE * SIZE values are just enough to be rounded
Build = Callable[[Any, Callable[[str, Any], Any], Any], list[Any]]


def drawn(seed: int, rows: int = SIZE, columns: int = SIZE) -> F32:
    """Columns and rows of very different size, as trained ones have."""
    random = np.random.default_rng(seed)
    scale = np.exp(random.normal(0, 2, columns))
    return (random.normal(size=(rows, columns)) * scale).astype(np.float32)


def normal(seed: int, rows: int = 9, columns: int = SIZE) -> F32:
    """Activations of one size."""
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def graph(
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
    for place, node in enumerate(tape.nodes):
        for index, output in enumerate(node.outputs):
            output.name = output.name or f"{node.op_type}{place}" + f":{index}" * bool(index)
    made = ir.Graph(
        [x],
        outputs,
        nodes=list(tape.nodes),
        initializers=list(tape.initializers),
        opset_imports={"": 20},
        name="test",
    )
    return ir.Model(made, ir_version=10)


def product(weights: F32) -> Any:
    """A model of x @ weights, by one node of the name "product"."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("MatMul", [x, constant("w", weights)], name="product")]

    return graph(build, shape=("n", len(weights)))


def table(weights: F32) -> Any:
    """A model of weights[x], by one node of the name "pieces"."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("Gather", [constant("table", weights), x], name="pieces")]

    return graph(build, "INT64", ("n", "t"))


def two_layers(tape: Any, constant: Any, x: Any) -> list[Any]:
    """Return x @ w + b, then GELU, then @ v: what a transformer's layers are made of."""
    first = tape.op("MatMul", [x, constant("w", drawn(1) / 50)], name="first")
    moved = tape.op("Add", [first, constant("b", np.full(SIZE, 0.5, np.float32))], name="bias")
    bent = tape.op("Gelu", [moved], name="gelu")
    return [tape.op("MatMul", [bent, constant("v", drawn(2))], name="second")]


def run(model: Any, x: Any) -> list[NDArray[Any]]:
    """Outputs for one input; the graph is well-formed."""
    assert fault_of(model) == ""
    names = [output.name for output in model.graph.outputs]
    (found,) = run_graph(model, [{"x": x}], names)
    return found


def kinds(model: Any) -> list[str]:
    """Operators, in order."""
    return [node.op_type for node in model.graph]


def rounded_as_it_comes(x: F32) -> NDArray[np.float64]:
    """What DynamicQuantizeLinear keeps of x, by the words of its specification."""
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    scale = np.float32((np.float32(high) - np.float32(low)) / np.float32(255))
    zero = np.clip(np.rint(-np.float32(low) / scale), 0, 255)
    return (np.clip(np.rint(x / scale) + zero, 0, 255) - zero).astype(np.float64) * scale


def reader(pieces: int, limit: int, width: int = 64, seed: int = 0) -> Any:
    """A graph with the contract of a reader: rows of two tables, two products, the mean of all."""
    chance = np.random.default_rng(seed)
    tape = Tape()

    def weight(name: str, *shape: int) -> Any:
        array = chance.normal(0, 1 / np.sqrt(shape[0]), shape).astype(np.float32)
        return tape.initializer(ir.tensor(array, name=name))

    def ints(value: int) -> Any:
        return tape.initializer(ir.tensor(np.array([value]), name=f"int{value}"))

    def op(kind: str, *inputs: Any, **attributes: Any) -> Any:
        name = attributes.pop("name", f"{kind.lower()}{len(tape.nodes)}")
        return tape.op(
            kind, inputs, attributes or None, name=name, output=ir.Value(name=f"{name}:0")
        )

    ids, fields = (ir.val(name, ir.DataType.INT64, ["batch", "tokens"]) for name in INPUTS)
    looked_up = op("Gather", weight("pieces", pieces, width), ids, name="pieces.gather")
    x = op("Add", looked_up, op("Gather", weight("kinds", 5, width), fields))
    inner = op("Gelu", op("MatMul", x, weight("up", width, 2 * width), name="up.matmul"))
    x = op("MatMul", inner, weight("down", 2 * width, width), name="down.matmul")
    shares = op("Squeeze", op("MatMul", x, weight("head", width, 1), name="head.matmul"), ints(2))
    answer = op("ReduceMean", shares, ints(1), keepdims=0)
    for value, name, shape in ((answer, "log_odds", ["batch"]), (shares, "shares", ["batch", "t"])):
        value.name, value.shape = name, ir.Shape(shape)
        value.type = ir.TensorType(ir.DataType.FLOAT)
    made = ir.Graph(
        [ids, fields],
        [answer, shares],
        nodes=list(tape.nodes),
        initializers=list(tape.initializers),
        opset_imports={"": 20},
        name="reader",
    )
    sizes = {"pieces": str(pieces), "positions": str(limit)}
    return ir.Model(made, ir_version=10, metadata_props=sizes)


INPUTS = ("ids", "fields")
