"""A rounding that one product of integers alone needs -> into the product.

    MatMulIntegerToFloat(DynamicQuantizeLinear(x), W, …)  ->  DynamicQuantizeMatMul(x, W, …)

Where several products share the rounding it stays by itself: else it would be done for each.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, fine, refuse
from winnow.compiler.verify import CONTRIBUTED

_STEPS, _X_SCALE, _ZERO = 0, 2, 4


class FuseDynamicProduct(Rule):
    """After `integer_product` and `integer_bias`."""

    def pattern(self, op: Any, steps: Any) -> Any:
        """A product of what was rounded."""
        return op.MatMulIntegerToFloat(
            steps, _allow_other_inputs=True, _domain=CONTRIBUTED, _outputs=["product"]
        )

    def check(self, context: Any, steps: ir.Value, product: ir.Value) -> MatchResult:
        """Refuse roundings by a range found beforehand, and those that are shared."""
        rounding, node = steps.producer(), product.producer()
        assert node is not None
        if rounding is None or rounding.op_type != "DynamicQuantizeLinear":
            return refuse("what is multiplied is not rounded as it comes", steps)
        given = [node.inputs[place] for place in (_STEPS, _X_SCALE, _ZERO)]
        if any(ours is not theirs for ours, theirs in zip(given, rounding.outputs, strict=True)):
            return refuse("scale or zero is of something else", node)
        users = {use.node for value in rounding.outputs for use in value.uses()}
        if len(users) > 1 or any(value.is_graph_output() for value in rounding.outputs):
            return refuse(f"{len(users)} nodes share the rounding", rounding)
        return fine()

    def rewrite(self, op: Any, steps: ir.Value, product: ir.Value) -> Any:
        """One node that rounds by itself."""
        rounding, node = steps.producer(), product.producer()
        assert rounding is not None
        assert node is not None
        inputs = [*node.inputs, *([None] * (7 - len(node.inputs)))]
        given = [rounding.inputs[0], inputs[1], inputs[3], inputs[5], inputs[6]]
        while given[-1] is None:
            given.pop()
        return op.op("DynamicQuantizeMatMul", *given, _domain=CONTRIBUTED)


RULES = [FuseDynamicProduct]
