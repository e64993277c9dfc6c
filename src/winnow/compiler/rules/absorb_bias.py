"""A bias that is added around a skip -> into weights that are there already.

    x = norm(…) * scale + shift;  y = (M + b) + x, and x feeds products x W + c beside
    ->  shift' = shift + b,  c' = c - b W,  y = M + x

Each x is larger by b and each product of it smaller by b W, which its own bias takes back: the same
numbers, one addition over all tokens less. In a BERT it goes for both biases of every layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.passes import Fired, Refused
from winnow.compiler.rules.base import attribute, constant, weight

NAME = "AbsorbSkipBias"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a bias is added around a skip: total = (product + bias) + skip."""

    total: ir.Node
    inner: ir.Node
    product: ir.Value
    bias: NDArray[np.float32]


def absorbed_biases(model: ir.Model) -> tuple[list[Fired], list[Refused]]:
    """Move biases into shifts and other biases, in place."""
    fired: list[Fired] = []
    refused: list[Refused] = []
    for node in list(model.graph):
        place = _place(node)
        if place is None:
            continue
        name = node.name or ""
        skip = next(v for v in node.inputs if v is not place.inner.outputs[0])
        norm = None if skip is None else _norm_of(skip)
        if norm is None:
            refused.append(Refused(NAME, name, "what is skipped is no layer normalisation's"))
            continue
        beside = _beside(norm.outputs[0], node)
        if beside is None or place.inner in beside:
            reason = "what is skipped is read by more than products with weights"
            refused.append(Refused(NAME, name, reason))
            continue
        _absorb(model, place, norm, beside)
        fired.append(Fired(NAME, name))
    return fired, refused


def _place(node: ir.Node) -> _Place | None:
    if node.op_type != "Add" or not any(
        u.node.op_type == "LayerNormalization" for u in _uses(node)
    ):
        return None
    for value in node.inputs:
        inner = None if value is None else value.producer()
        if inner is None or inner.op_type != "Add" or not _only_used(inner):
            continue
        for at in (0, 1):
            bias, product = weight(inner.inputs[at]), inner.inputs[1 - at]
            before = None if product is None else product.producer()
            if bias is not None and bias.ndim == 1 and before is not None and product is not None:
                return _Place(node, inner, product, bias)
    return None


def _uses(node: ir.Node) -> Sequence[ir.Usage]:
    return tuple(node.outputs[0].uses())


def _only_used(node: ir.Node) -> bool:
    """Whether one node reads what a node makes, and nobody else."""
    return len(_uses(node)) == 1 and not node.outputs[0].is_graph_output()


def _norm_of(skip: ir.Value) -> ir.Node | None:
    """The normalisation that makes a value, or of which it is one token's row."""
    node = skip.producer()
    if node is not None and node.op_type == "Gather" and attribute(node, "axis", 0) == 1:
        node = None if node.inputs[0] is None else node.inputs[0].producer()
    if node is None or node.op_type != "LayerNormalization" or len(node.inputs) < 3:
        return None
    return node if weight(node.inputs[2]) is not None else None


def _beside(x: ir.Value, total: ir.Node) -> list[ir.Node] | None:
    """Sums that take back what products of x gain, or None where x is read by something else."""
    if x.is_graph_output():
        return None
    found: list[ir.Node] = []
    for use in x.uses():
        node = use.node
        if node is total:
            continue
        if node.op_type == "Gather" and attribute(node, "axis", 0) == 1:
            rest = _beside(node.outputs[0], total)
            if rest is None:
                return None
            found += rest
            continue
        kernel = weight(node.inputs[1]) if node.op_type == "MatMul" else None
        after = [u.node for u in _uses(node)]
        if kernel is None or kernel.ndim != 2 or use.idx != 0 or not _only_used(node):
            return None
        biases = [weight(v) for v in after[0].inputs] if after[0].op_type == "Add" else []
        if not any(b is not None and b.ndim == 1 for b in biases):
            return None
        found.append(after[0])
    return found


def _absorb(model: ir.Model, place: _Place, norm: ir.Node, beside: list[ir.Node]) -> None:
    shift = weight(norm.inputs[2])
    assert shift is not None
    moved = (shift.astype(np.float64) + place.bias).astype(np.float32)
    norm.replace_input_with(2, constant(model, moved, f"{norm.name}.shift"))
    for add in beside:
        at = next(n for n, v in enumerate(add.inputs) if weight(v) is not None)
        product = add.inputs[1 - at]
        node = None if product is None else product.producer()
        bias, kernel = weight(add.inputs[at]), None if node is None else weight(node.inputs[1])
        assert bias is not None
        assert kernel is not None
        back = place.bias.astype(np.float64) @ kernel.astype(np.float64)
        left = (bias - back).astype(np.float32)
        add.replace_input_with(at, constant(model, left, f"{add.name}.bias"))
    at = list(place.total.inputs).index(place.inner.outputs[0])
    place.total.replace_input_with(at, place.product)
    model.graph.remove(place.inner, safe=True)
