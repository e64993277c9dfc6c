"""A guard against rows of scores that are all minus infinity -> nothing, where none can be.

p = Softmax(scores + added);  Where(IsNaN(p), 0, p)  ->  p
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, fine, refuse, scalar


class DropNanGuard(Rule):
    """Scores are finite, so a softmax of them is a number as long as what is added is finite."""

    def pattern(self, op: Any, scores: Any, zero: Any) -> Any:
        """Softmax, looked at."""
        p = op.Softmax(scores, _outputs=["p"])
        return op.Where(op.IsNaN(p), zero, p)

    def check(self, context: Any, scores: ir.Value, **_: Any) -> MatchResult:
        """Refuse a mask of minus infinity: a message of padding alone would be no number."""
        added = scores.producer()
        if added is None or added.op_type != "Add":
            return fine()
        for value in added.inputs:
            mask = None if value is None else value.producer()
            if mask is None or mask.op_type != "Where":
                continue
            far = [scalar(v) for v in mask.inputs[1:]]
            if any(f is None or not np.isfinite(f) for f in far):
                return refuse("the mask adds minus infinity", mask)
        return fine()

    def rewrite(self, op: Any, scores: ir.Value, p: ir.Value, **_: Any) -> Any:
        """Softmax alone."""
        node = p.producer()
        axis = -1 if node is None else node.attributes.get_int("axis", -1)
        return op.Softmax(scores, axis=axis)


RULES = [DropNanGuard]
