"""The bias of a head of one number -> into the shift of the norm before it.

    (… * scale + shift) @ k + c  ->  (… * scale + shift') @ k,  shift' = shift + k c / |k|²

since (k c / |k|²) @ k = c. One addition over all tokens less, where nothing else reads the norm.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from winnow.compiler.passes import Fired, Refused
from winnow.compiler.rules.base import constant, weight

NAME = "AbsorbHeadBias"
# A larger change of the shift would be rounded more than the bias was.
_LARGEST = 1.0


def absorbed_head_bias(model: ir.Model) -> tuple[list[Fired], list[Refused]]:
    """Move the biases of heads of one number into shifts, in place."""
    fired: list[Fired] = []
    refused: list[Refused] = []
    for node in list(model.graph):
        found = _head(node)
        if found is None:
            continue
        product, bias = found
        norm = None if product.inputs[0] is None else product.inputs[0].producer()
        reason = _reason(product, norm)
        if norm is None or reason:
            refused.append(Refused(NAME, node.name or "", reason))
            continue
        kernel, shift = weight(product.inputs[1]), weight(norm.inputs[2])
        assert kernel is not None
        assert shift is not None
        column = kernel.reshape(-1).astype(np.float64)
        length = float(column @ column)
        if not np.abs(column * bias).max() < _LARGEST * length:
            refused.append(Refused(NAME, node.name or "", "the kernel is too small for its bias"))
            continue
        changed = (shift + column * bias / length).astype(np.float32)
        norm.replace_input_with(2, constant(model, changed, f"{norm.name}.shift"))
        _take_out(model.graph, node, product.outputs[0])
        fired.append(Fired(NAME, node.name or ""))
    return fired, refused


def _head(node: ir.Node) -> tuple[ir.Node, float] | None:
    """A product with one column, and the number that is added to it."""
    if node.op_type != "Add":
        return None
    for at in (0, 1):
        bias, value = weight(node.inputs[at]), node.inputs[1 - at]
        product = None if value is None else value.producer()
        if bias is None or bias.size != 1 or bias.ndim > 1 or product is None:
            continue
        kernel = weight(product.inputs[1]) if product.op_type == "MatMul" else None
        if kernel is not None and kernel.shape[1:] in ((), (1,)):
            return product, float(bias.reshape(()))
    return None


def _reason(product: ir.Node, norm: ir.Node | None) -> str:
    """Why a bias stays, "" where it need not."""
    x, y = product.inputs[0], product.outputs[0]
    if norm is None or norm.op_type != "LayerNormalization" or len(norm.inputs) < 3:
        return "the head reads no layer normalisation's output"
    kernel, shift = weight(product.inputs[1]), weight(norm.inputs[2])
    if kernel is None or shift is None or shift.shape != kernel.shape[:1]:
        return "the norm's shift is no constant vector"
    read = 0 if x is None else len(x.uses()) + bool(x.is_graph_output())
    if read != 1 or len(y.uses()) != 1 or y.is_graph_output():
        return "the norm or the product is read by something else, too"
    return ""


def _take_out(graph: ir.Graph, node: ir.Node, value: ir.Value) -> None:
    """Let a value stand for what a node made of it, also as an output."""
    old = node.outputs[0]
    value.shape, value.type = old.shape, old.type or value.type
    if old.is_graph_output():
        value.name, old.name = old.name, None
        graph.outputs[:] = [value if output is old else output for output in graph.outputs]
    ir.convenience.replace_all_uses_with(old, value)
    graph.remove(node, safe=True)
