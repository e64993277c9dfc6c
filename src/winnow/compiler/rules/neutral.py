"""Sums with nothing, products with one and choices of which one side is never taken -> gone.

    x + 0 -> x     x - 0 -> x     x * 1 -> x     x / 1 -> x     Where(true, x, y) -> x

where what is neutral is computed, from shapes alone. So a graph that is given every message at its
exact length loses its mask, which is all ones: the attention's, and that of a mean over tokens. A
mask of places, as of attention to a window, is neutral for short messages only, and stays.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from winnow.compiler.passes import Fired
from winnow.compiler.probe import SHAPE, Probe

NAME = "Neutral"
# Operator -> what is neutral in it, and the place where it may be, -1 for either side.
_NEUTRAL = {"Add": (0, -1), "Sub": (0, 1), "Mul": (1, -1), "Div": (1, 1)}


def neutral(probe: Probe) -> list[Fired]:
    """Take out what does nothing, in place."""
    fired = []
    for node in list(probe.model.graph):
        rest = _rest(probe, node)
        if rest is None or node.outputs[0].is_graph_output():
            continue
        if _same_shapes(probe, rest, node.outputs[0]):
            ir.convenience.replace_all_uses_with(node.outputs[0], rest)
            fired.append(Fired(NAME, node.name or ""))
    return fired


def _rest(probe: Probe, node: ir.Node) -> ir.Value | None:
    """What a node gives as it is."""
    if node.op_type == "Where":
        condition, yes, no = node.inputs
        for wanted, rest in ((1, yes), (0, no)):
            if _is_always(probe, condition, wanted):
                return rest
        return None
    number, place = _NEUTRAL.get(node.op_type, (0, None))
    for at in () if place is None else (0, 1) if place < 0 else (place,):
        if _is_always(probe, node.inputs[at], number):
            return node.inputs[1 - at]
    return None


def _is_always(probe: Probe, value: ir.Value | None, number: int) -> bool:
    """Whether a value is the same number everywhere, for messages of any length."""
    if value is None or value.const_value is not None or not probe.only(value, SHAPE):
        return False
    seen = probe.of(value)
    return bool(seen) and all(bool(np.all(array == number)) for array in seen or ())


def _same_shapes(probe: Probe, one: ir.Value, other: ir.Value) -> bool:
    """Whether two values have one type, and one shape for every probe: nothing was spread."""
    if one.const_value is not None:
        return False
    a, b = probe.of(one), probe.of(other)
    return bool(a and b) and all(
        x.shape == y.shape and x.dtype == y.dtype for x, y in zip(a or [], b or [], strict=False)
    )
