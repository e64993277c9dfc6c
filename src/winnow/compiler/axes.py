"""How many axes values have, as far as a graph's structure tells.

ONNX's own shape inference stops at the contributed operators, which a folded graph has.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from winnow.compiler.graph import array_of

_AS_FIRST = frozenset(
    {"Abs", "Cast", "Clip", "CumSum", "Erf", "Exp", "FastGelu", "Gelu", "Identity",
     "LayerNormalization", "Neg", "Not", "Relu", "Sigmoid", "Slice", "Softmax", "Sqrt", "Tanh",
     "Transpose"}
)  # fmt: skip
_SPREAD = frozenset({"Add", "Div", "Equal", "MatMul", "Mul", "Sub", "Where"})
_MORE = {"Unsqueeze": 1, "Squeeze": -1}
_MATRIX = 2


def axes_of(model: ir.Model) -> dict[ir.Value | None, int]:
    """Number of axes of each value of which it is known."""
    known: dict[ir.Value | None, int] = {}
    for value in model.graph.initializers.values():
        if value.const_value is not None:
            known[value] = len(value.const_value.shape)
    known |= {v: len(v.shape) for v in model.graph.inputs if v.shape is not None}
    for node in model.graph:
        count = _after(node, [known.get(value) for value in node.inputs if value is not None])
        if count is not None:
            known[node.outputs[0]] = count
    return known


def _after(node: ir.Node, read: Sequence[int | None]) -> int | None:
    """Axes of what a node makes of values of so many axes."""
    if node.op_type == "Reshape":
        target = array_of(node.inputs[1])
        return None if target is None else target.size
    if node.op_type == "GatherElements":  # both have the same
        return next((count for count in read if count is not None), None)
    first = read[0] if read else None
    if first is None:
        return None
    if node.op_type in _AS_FIRST:
        return first
    if node.op_type == "Gather":
        return None if read[1] is None else first + read[1] - 1
    if node.op_type in _MORE and len(node.inputs) > 1:
        moved = array_of(node.inputs[1])
        return None if moved is None else first + _MORE[node.op_type] * moved.size
    return _spread(node, read)


def _spread(node: ir.Node, read: Sequence[int | None]) -> int | None:
    """Axes of what is made of several values, of which the smaller are spread over the larger."""
    sizes = [count for count in read if count is not None]
    if node.op_type not in _SPREAD or len(sizes) < len(read):
        return None
    return None if node.op_type == "MatMul" and min(sizes) < _MATRIX else max(sizes)
