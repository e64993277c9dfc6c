"""Arithmetic on shapes -> constants: Reshape's targets with 0 and -1; what does nothing goes.

Reshape(x, Concat(Shape(ids)[0], Shape(ids)[1], 4, 64))  ->  Reshape(x, [0, 0, 4, 64])
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from winnow.compiler.passes import Fired
from winnow.compiler.probe import SHAPE, Probe
from winnow.compiler.rules.base import attribute, constant, whole_numbers

NAME = "ConstantShapes"
_COPIED = 2


def constant_shapes(probe: Probe) -> list[Fired]:
    """Replace targets that depend on shapes alone, in place."""
    found = []
    for node in list(probe.model.graph):
        if node.op_type not in ("Reshape", "Expand"):
            continue
        if node.op_type == "Reshape" and _target(probe, node):
            found.append(Fired(NAME, node.name or ""))
        if _does_nothing(probe, node):
            ir.convenience.replace_all_uses_with(node.outputs[0], node.inputs[0])
            found.append(Fired(NAME, node.name or ""))
    return found


def _target(probe: Probe, node: ir.Node) -> bool:
    x, wanted = node.inputs
    if wanted is None or not probe.only(wanted, SHAPE):
        return False
    before, after = probe.of(x), probe.of(node.outputs[0])
    if before is None or after is None:
        return False
    target = target_of([a.shape for a in before], [a.shape for a in after])
    if target is None or target == whole_numbers(wanted):
        return False
    sizes = constant(probe.model, np.array(target, dtype=np.int64), f"shape.{_spelt(target)}")
    node.replace_input_with(1, sizes)
    if attribute(node, "allowzero", 0):
        node.attributes.pop("allowzero")
    return True


def target_of(before: list[tuple[int, ...]], after: list[tuple[int, ...]]) -> list[int] | None:
    """A constant target that reshapes each of some shapes as was seen, or None.

    Sizes of the first two axes, messages and tokens, are copied where they are the same before.

    Args:
        before: shapes that were reshaped.
        after: what became of each.
    """
    rank = len(after[0])
    target: list[int] = []
    for axis in range(rank):
        sizes = {shape[axis] for shape in after}
        pairs = zip(before, after, strict=False)
        same = all(axis < len(a) and a[axis] == b[axis] for a, b in pairs)
        if same and (axis < _COPIED or len(sizes) > 1):
            target.append(0)
        elif len(sizes) == 1:
            target.append(sizes.pop())
        elif -1 not in target:
            target.append(-1)
        else:
            return None
    return target


def _does_nothing(probe: Probe, node: ir.Node) -> bool:
    before, after = probe.of(node.inputs[0]), probe.of(node.outputs[0])
    if before is None or after is None or not probe.only(node.inputs[1], SHAPE):
        return False
    if node.outputs[0].is_graph_output():
        return False
    return all(a.shape == b.shape for a, b in zip(before, after, strict=False))


def _spelt(target: list[int]) -> str:
    return "x".join(map(str, target))
