"""A bias and GELU after it -> one node.

Gelu(x + bias)  ->  BiasGelu(x, bias);  by the hyperbolic tangent  ->  FastGelu(x, bias)
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, attribute, fine, refuse, weight
from winnow.compiler.verify import CONTRIBUTED


class FuseBiasGelu(Rule):
    """ONNX's GELU, from opset 20."""

    def pattern(self, op: Any, x: Any, bias: Any) -> Any:
        """Bias, then GELU."""
        return op.Gelu(op.Add(x, bias), _outputs=["y"])

    def check(self, context: Any, x: ir.Value, bias: ir.Value, **_: Any) -> MatchResult:
        """Refuse a bias that is no constant vector."""
        vector = weight(bias)
        if vector is None or vector.ndim != 1 or vector.size == 1:
            return refuse("the bias is no constant vector", bias)
        return fine()

    def rewrite(self, op: Any, x: ir.Value, bias: ir.Value, y: ir.Value) -> Any:
        """One node of the same form of GELU."""
        node = y.producer()
        fast = node is not None and attribute(node, "approximate", "none") == "tanh"
        fast = fast or (node is not None and node.op_type == "FastGelu")
        return op.op("FastGelu" if fast else "BiasGelu", x, bias, _domain=CONTRIBUTED)


class FuseBiasContributedGelu(FuseBiasGelu):
    """ONNX Runtime's GELU."""

    def pattern(self, op: Any, x: Any, bias: Any) -> Any:
        """Bias, then GELU."""
        return op.Gelu(op.Add(x, bias), _domain=CONTRIBUTED, _outputs=["y"])


class FuseBiasFastGelu(FuseBiasGelu):
    """ONNX Runtime's GELU by the hyperbolic tangent."""

    def pattern(self, op: Any, x: Any, bias: Any) -> Any:
        """Bias, then GELU."""
        return op.FastGelu(
            op.Add(x, bias), _domain=CONTRIBUTED, _allow_other_inputs=False, _outputs=["y"]
        )


RULES = [FuseBiasGelu, FuseBiasContributedGelu, FuseBiasFastGelu]
