"""A chain that only moves numbers about -> one Transpose.

Reshape(Transpose(Reshape(x, [-1, t, 64]), 0 2 1), [b, h, 64, t])  ->  Transpose(x, 0 1 3 2)
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.passes import Fired, Values
from winnow.compiler.probe import Probe

NAME = "OneTranspose"
_MOVES = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_MOST_AXES = 4


def one_transpose(probe: Probe) -> list[Fired]:
    """Replace chains of two or more moves that are one permutation of the axes, in place."""
    found = []
    for node in list(probe.model.graph):
        if node.graph is None or not _is_last(node):
            continue
        chain = _chain(node)
        for first in chain[:-1]:  # the longest that is a permutation
            x, y = first.inputs[0], node.outputs[0]
            order = permutation(probe.of(x), probe.of(y))
            if x is None or order is None:
                continue
            found.append(Fired(NAME, _replace(probe, node, x, order)))
            break
    return found


def permutation(before: Values | None, after: Values | None) -> list[int] | None:
    """The order of the axes that makes one array of the other for each pair, or None."""
    if not before or not after or before[0].ndim != after[0].ndim:
        return None
    rank = before[0].ndim
    if not 1 < rank <= _MOST_AXES or before[0].dtype.kind != "f":
        return None
    for order in permutations(range(rank)):
        if all(_equal(a.transpose(order), b) for a, b in zip(before, after, strict=False)):
            return list(order)
    return None


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether all is the same; what is no number, as a row without a key may be, is so in both."""
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=True)


def _chain(node: ir.Node) -> list[ir.Node]:
    """Moves that lead to a node, the first one first, with the node; each feeds only the next."""
    found = [node]
    while True:
        x = found[0].inputs[0]
        before = None if x is None else x.producer()
        if before is None or before.op_type not in _MOVES or _readers(before.outputs[0]) != 1:
            return found
        found.insert(0, before)


def _readers(value: ir.Value) -> int:
    """How often a value's numbers are read; its shape alone does not count."""
    read: int = sum(use.node.op_type != "Shape" for use in value.uses())
    return read + int(bool(value.is_graph_output()))


def _is_last(node: ir.Node) -> bool:
    y = node.outputs[0]
    if node.op_type not in _MOVES or y.is_graph_output():
        return False
    uses = y.uses()
    return len(uses) != 1 or uses[0].node.op_type not in _MOVES


def _replace(probe: Probe, node: ir.Node, x: ir.Value, order: list[int]) -> str:
    y = node.outputs[0]
    name = f"{node.name}.transpose"
    if order == list(range(len(order))):
        ir.convenience.replace_all_uses_with(y, x)
        return name
    made = ir.node("Transpose", [x], {"perm": order}, name=name)
    made.outputs[0].name = f"{name}:0"
    probe.model.graph.insert_after(node, made)
    probe.seen[f"{name}:0"] = probe.of(y) or []
    ir.convenience.replace_all_uses_with(y, made.outputs[0])
    return name
