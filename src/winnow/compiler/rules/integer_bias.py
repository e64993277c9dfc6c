"""The bias of a product of integers -> into the product.

    MatMulIntegerToFloat(steps, W, …) + bias  ->  MatMulIntegerToFloat(steps, W, …, bias)

It is added while the sums are scaled, and costs nothing there. So it comes before biases that go
into a GELU, which is 3% slower.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.graph import array_of
from winnow.compiler.rules.base import Rule, fine, refuse, weight
from winnow.compiler.verify import CONTRIBUTED

_BIAS = 6  # place among the inputs


class FuseIntegerBias(Rule):
    """After `integer_product`."""

    def pattern(self, op: Any, steps: Any, weights: Any, bias: Any) -> Any:
        """A product, then a sum."""
        product = op.MatMulIntegerToFloat(
            steps, weights, _allow_other_inputs=True, _domain=CONTRIBUTED, _outputs=["product"]
        )
        return op.Add(product, bias)

    def check(
        self, context: Any, weights: ir.Value, bias: ir.Value, product: ir.Value, **_: Any
    ) -> MatchResult:
        """Refuse a second bias, and one that is no constant for each column."""
        if _inputs(product)[_BIAS] is not None:
            return refuse("the product has a bias already", product)
        vector, matrix = weight(bias), array_of(weights)
        if vector is None or vector.ndim != 1:
            return refuse("the bias is no constant vector", bias)
        if matrix is None or vector.shape[0] != matrix.shape[1]:
            return refuse("the bias is not of one number for each column", bias)
        return fine()

    def rewrite(self, op: Any, bias: ir.Value, product: ir.Value, **_: Any) -> Any:
        """The product with its bias."""
        inputs = [*_inputs(product)[:_BIAS], bias]
        return op.op("MatMulIntegerToFloat", *inputs, _domain=CONTRIBUTED)


RULES = [FuseIntegerBias]


def _inputs(product: ir.Value) -> list[ir.Value | None]:
    """All inputs that the operator may have."""
    node = product.producer()
    assert node is not None
    return [*node.inputs, *([None] * (_BIAS + 1 - len(node.inputs)))]
