"""Graph -> where its weights can be rounded, and why not elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import array_of
from winnow.compiler.passes import Refused

F32 = NDArray[np.float32]

PRODUCT, LOOK_UP = "product", "look-up"
RULE = "quantize"
# Below this many values a matrix is left as it is: nothing is saved and something is lost.
SMALLEST = 4_096
# Where the weights are: of these operators, this input.
_WEIGHTS = {"MatMul": 1, "Gemm": 1, "Gather": 0, "Slice": 0}
_FUSED = frozenset({"Attention", "EmbedLayerNormalization", "FusedMatMul"})


@dataclass(frozen=True, slots=True)
class Site:
    """A node whose weights can be rounded.

    Attributes:
        name: of the node; of its output where it has none, or another node has the same.
        kind: PRODUCT or LOOK_UP.
        node: itself.
        x: what a product multiplies; ids of a look-up.
        weights: of a product (i, o), whichever way it keeps them; of a look-up (rows, d).
    """

    name: str
    kind: str
    node: ir.Node
    x: ir.Value
    weights: F32

    @property
    def nbytes(self) -> int:
        """Of the weights in floats."""
        return self.weights.nbytes


def sites_of(model: ir.Model) -> tuple[list[Site], list[Refused]]:
    """Find products and look-ups, in the graph's order, and those that are left as they are."""
    names = Counter(node.name for node in model.graph)
    sites: list[Site] = []
    refused: list[Refused] = []
    for node in model.graph:
        if node.op_type not in _WEIGHTS and node.op_type not in _FUSED:
            continue
        own = node.name or ""
        name = own if own and names[own] == 1 else node.outputs[0].name or ""
        found = _site(node, name)
        if isinstance(found, Site):
            sites.append(found)
        elif found:
            refused.append(Refused(RULE, name, found))
    return sites, refused


def _site(node: ir.Node, name: str) -> Site | str:
    """A site, or why it is none; "" where nobody would ask."""
    if node.op_type in _FUSED:
        fused = any(array is not None and array.ndim == 2 for array in map(array_of, node.inputs))
        return "it is fused; quantize a model first and fuse it then" if fused else ""
    at = _WEIGHTS[node.op_type]
    value, x = node.inputs[at], node.inputs[1 - at]
    weights = array_of(value)
    if weights is None or x is None:
        return "both factors are computed" if at else ""
    if weights.dtype != np.float32:
        return "" if weights.dtype.kind != "f" else f"its weights are {weights.dtype}, not float32"
    if weights.ndim != 2:
        return "" if not at else f"its weights have {weights.ndim} axes, not two"
    if weights.size < SMALLEST:
        return f"below {SMALLEST:,} weights nothing is saved"
    if not np.isfinite(weights).all():
        return "a weight is no number"
    if at:
        return _product(node, name, x, weights)
    return _look_up(node, name, x, weights)


def _product(node: ir.Node, name: str, x: ir.Value, weights: F32) -> Site | str:
    if array_of(x) is not None:
        return "both factors are constants"
    if node.op_type == "Gemm":
        if _whole(node, "transA", 0):
            return "its first factor is transposed"
        if _whole(node, "transB", 0):
            weights = weights.T
        alpha = _number(node, "alpha", 1.0)
        weights = weights if alpha == 1.0 else weights * np.float32(alpha)
    return Site(name, PRODUCT, node, x, np.ascontiguousarray(weights))


def _look_up(node: ir.Node, name: str, ids: ir.Value, weights: F32) -> Site | str:
    if node.op_type == "Gather":
        if _whole(node, "axis", 0) not in (0, -2):
            return "it looks up columns"
    elif [_listed(value) for value in node.inputs[3:]] not in ([[0]], [[0], [1]]):
        return "it takes something else than rows"
    return Site(name, LOOK_UP, node, ids, weights)


def _listed(value: ir.Value | None) -> list[int] | None:
    array = array_of(value)
    return None if array is None else array.reshape(-1).tolist()


def _whole(node: ir.Node, name: str, default: int) -> int:
    found = node.attributes.get(name)
    return default if found is None else int(found.value)


def _number(node: ir.Node, name: str, default: float) -> float:
    found = node.attributes.get(name)
    return default if found is None else float(found.value)
