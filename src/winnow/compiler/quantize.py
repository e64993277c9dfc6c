"""32-bit floats -> 8-bit integers: a graph's weights, and what they are multiplied with.

Every product of an activation with a constant matrix becomes one of integers: the matrix is kept
as 8 bits with a scale for each column, the activation is rounded to 8 bits with one scale when it
comes (`DynamicQuantizeLinear`). An embedding is kept as 8 bits with a scale for each row. Only
standard ONNX operators are written, so that any runtime can read the graph.

Weights are stored unsigned, with zero at 128: signed ones overflow the 16-bit sums of processors
without VNNI (ONNX Runtime's documentation, "Quantize ONNX models", on U8S8 and saturation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.tape import Tape

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_ZERO = 128
_LARGEST = 127
# Below this many values a matrix is left as it is: nothing is saved and something is lost.
SMALLEST = 4_096


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantization changed.

    Attributes:
        nodes: names of the products and look-ups that are of integers now.
        errors: largest relative error of each one's weights: |w' - w| against the largest |w|.
    """

    nodes: tuple[str, ...]
    errors: tuple[float, ...]


def quantize(
    model: ir.Model, *, keep: Callable[[str], bool] = lambda node: False
) -> tuple[ir.Model, Quantized]:
    """Return a quantized copy of a graph.

    Args:
        model: left as it is.
        keep: names of nodes to leave in floats.
    """
    copy = ir.from_proto(ir.to_proto(model))
    changed: dict[str, float] = {}
    for node in list(copy.graph):
        if keep(node.name or ""):
            continue
        if node.op_type == "MatMul":
            error = _product(copy.graph, node)
        elif node.op_type == "Gather":
            error = _look_up(copy.graph, node)
        else:
            continue
        if error is not None:
            changed[node.name or ""] = error
    _drop_unused(copy.graph)
    return copy, Quantized(tuple(changed), tuple(changed.values()))


def rounded(weights: F32, axis: int) -> tuple[U8, F32]:
    """Round a matrix to 8 bits around 128, with a scale for each slice along an axis.

    Args:
        weights: (i, o).
        axis: 1 for a scale for each column, 0 for one for each row.

    Returns:
        The bytes, (i, o), and the scales, (o,) or (i,): weight = (byte - 128) * scale.
    """
    largest = np.abs(weights).max(axis=1 - axis, keepdims=True)
    scale = np.where(largest > 0, largest / _LARGEST, 1.0).astype(np.float32)
    steps = np.clip(np.rint(weights / scale), -_LARGEST, _LARGEST)
    return (steps + _ZERO).astype(np.uint8), scale.reshape(-1)


def _constant(value: ir.Value | None) -> F32 | None:
    """A weight matrix worth rounding, or None."""
    if value is None or value.const_value is None:
        return None
    array: F32 = value.const_value.numpy()
    if array.dtype != np.float32 or array.ndim != 2 or array.size < SMALLEST:
        return None
    return array


def _error(weights: F32, steps: U8, scale: F32) -> float:
    back = (steps.astype(np.float32) - _ZERO) * scale
    return float(np.abs(back - weights).max() / max(float(np.abs(weights).max()), 1e-30))


def _product(graph: ir.Graph, node: ir.Node) -> float | None:
    """X @ w -> integers; bias and what follows stay."""
    x, w = node.inputs
    weights = _constant(w)
    if x is None or w is None or weights is None:
        return None
    steps, scale = rounded(weights, 1)
    tape = Tape()
    name = node.name or w.name or "product"
    q, x_scale, x_zero = _dynamic(graph, x, node)
    kernel = _weight(tape, f"{w.name}.steps", steps)
    zero = _weight(tape, f"{w.name}.zero", np.full(weights.shape[1], _ZERO, dtype=np.uint8))
    scales = _weight(tape, f"{w.name}.scales", scale)
    summed = tape.op("MatMulInteger", [q, kernel, x_zero, zero], name=f"{name}.integer")
    as_float = tape.op("Cast", [summed], {"to": ir.DataType.FLOAT.value}, name=f"{name}.cast")
    both = tape.op("Mul", [x_scale, scales], name=f"{name}.scales")
    result = tape.op("Mul", [as_float, both], name=f"{name}.rescale")
    _replace(graph, node, tape, result)
    return _error(weights, steps, scale[None, :])


def _look_up(graph: ir.Graph, node: ir.Node) -> float | None:
    """table[ids] -> bytes and a scale for each row."""
    table, ids = node.inputs
    weights = _constant(table)
    if ids is None or table is None or weights is None:
        return None
    axis = node.attributes.get("axis")
    if axis is not None and axis.value != 0:
        return None
    steps, scale = rounded(weights, 0)
    tape = Tape()
    name = node.name or "look_up"
    rows = tape.op(
        "Gather", [_weight(tape, f"{table.name}.row_steps", steps), ids], name=f"{name}.row"
    )
    scales = _weight(tape, f"{table.name}.row_scales", scale[:, None])
    found = tape.op("Gather", [scales, ids], name=f"{name}.scale")
    as_float = tape.op("Cast", [rows], {"to": ir.DataType.FLOAT.value}, name=f"{name}.cast")
    zero = _weight(tape, "zero.float", np.float32(_ZERO))
    centred = tape.op("Sub", [as_float, zero], name=f"{name}.centre")
    result = tape.op("Mul", [centred, found], name=f"{name}.rescale")
    _replace(graph, node, tape, result)
    return _error(weights, steps, scale[:, None])


def _dynamic(graph: ir.Graph, x: ir.Value, before: ir.Node) -> tuple[ir.Value, ...]:
    """Rounded x, its scale and its zero; products that share x share the rounding."""
    for use in x.uses():
        if use.node.op_type == "DynamicQuantizeLinear":
            return tuple(use.node.outputs)
    node = ir.node("DynamicQuantizeLinear", [x], num_outputs=3, name=f"{x.name}.round")
    for output, part in zip(node.outputs, ("steps", "scale", "zero"), strict=True):
        output.name = f"{x.name}.{part}"
    producer = x.producer()
    if producer is not None:
        graph.insert_after(producer, node)
    else:
        graph.insert_before(before, node)
    return tuple(node.outputs)


def _weight(tape: Tape, name: str, value: Any) -> ir.Value:
    return tape.initializer(ir.tensor(value, name=name))


def _replace(graph: ir.Graph, node: ir.Node, tape: Tape, result: ir.Value) -> None:
    for value in tape.initializers:
        if value.name in graph.initializers:  # one constant that several nodes use
            ir.convenience.replace_all_uses_with(value, graph.initializers[value.name])
        else:
            graph.register_initializer(value)
    graph.insert_after(node, list(tape.nodes))
    old = node.outputs[0]
    result.shape, result.type = old.shape, old.type
    if old.is_graph_output():
        result.name, old.name = old.name, None
        graph.outputs[:] = [result if output is old else output for output in graph.outputs]
    ir.convenience.replace_all_uses_with(old, result)
    graph.remove(node, safe=True)


def _drop_unused(graph: ir.Graph) -> None:
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        del graph.initializers[name]
