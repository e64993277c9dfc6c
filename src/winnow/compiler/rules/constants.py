"""What does not depend on any input, and what only seems to -> a constant.

A value that depends on shapes and is the same for every shape, as sqrt(Shape(q)[-1]) is, counts.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from winnow.compiler.passes import Fired
from winnow.compiler.probe import SHAPE, Probe
from winnow.compiler.rules.base import constant

NAME = "Constant"


def constants(probe: Probe) -> list[Fired]:
    """Replace values that are always the same, in place."""
    found = []
    for node in list(probe.model.graph):
        for value in node.outputs:
            if not value.uses() or value.is_graph_output() or not _is_edge(probe, value):
                continue
            seen = probe.of(value)
            if seen is None or not all(_same(seen[0], array) for array in seen):
                continue
            made = constant(probe.model, np.asarray(seen[0]), f"{value.name}.constant")
            ir.convenience.replace_all_uses_with(value, made)
            found.append(Fired(NAME, made.name or ""))
    return found


def _is_edge(probe: Probe, value: ir.Value) -> bool:
    """Whether a value depends on shapes at most, and something that uses it depends on more."""
    if not probe.only(value, SHAPE):
        return False
    return any(not probe.only(o, SHAPE) for use in value.uses() for o in use.node.outputs)


def _same(one: object, other: object) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    return a.shape == b.shape and a.dtype == b.dtype and bool(np.array_equal(a, b))
