"""A guard against rows of scores that are all minus infinity -> nothing, where none can be.

p = Softmax(scores + added);  Where(IsNaN(p), 0, p)  ->  p
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.graph import array_of
from winnow.compiler.rules.base import Rule, fine, refuse, scalar


class DropNanGuard(Rule):
    """Products are finite, so a softmax of them is a number if all that is added to them is."""

    def pattern(self, op: Any, scores: Any, zero: Any) -> Any:
        """Softmax, looked at."""
        p = op.Softmax(scores, _outputs=["p"])
        return op.Where(op.IsNaN(p), zero, p)

    def check(self, context: Any, scores: ir.Value, **_: Any) -> MatchResult:
        """Refuse what may add minus infinity: a message of padding alone would be no number."""
        for value in _summands(scores):
            if not _is_finite(value):
                return refuse("what is added to the scores may be minus infinity", value)
        return fine()

    def rewrite(self, op: Any, scores: ir.Value, p: ir.Value, **_: Any) -> Any:
        """Softmax alone."""
        node = p.producer()
        axis = -1 if node is None else node.attributes.get_int("axis", -1)
        return op.Softmax(scores, axis=axis)


RULES = [DropNanGuard]


def _summands(value: ir.Value) -> list[ir.Value]:
    """What a value is the sum of."""
    node = value.producer()
    if node is None or node.op_type != "Add":
        return [value]
    return [part for v in node.inputs if v is not None for part in _summands(v)]


def _is_finite(value: ir.Value) -> bool:
    """Whether a value is a product, scaled or not, a choice of two numbers, or a weight."""
    array, node = array_of(value), value.producer()
    if array is not None:
        return bool(np.isfinite(array).all())
    if node is None:
        return False
    if node.op_type == "Where":
        return all(n is not None and np.isfinite(n) for n in map(scalar, node.inputs[1:]))
    if node.op_type in ("Mul", "Div"):
        return all(v is not None and _is_finite(v) for v in node.inputs)
    return node.op_type in ("MatMul", "FusedMatMul")
