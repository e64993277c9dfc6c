"""A head of one number a token, and the axis that is taken away from it -> a product with a vector.

Squeeze(x @ K + c, -1), K of (d, 1)  ->  x @ k + c, k of (d,)
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import (
    Rule,
    fine,
    graph_of,
    refuse,
    stored,
    weight,
    whole_numbers,
)


class VectorHead(Rule):
    """With its bias."""

    def pattern(self, op: Any, x: Any, kernel: Any, bias: Any, axes: Any) -> Any:
        """Product, bias, one axis less."""
        return op.Squeeze(op.Add(op.MatMul(x, kernel), bias), axes)

    def check(
        self, context: Any, kernel: ir.Value, bias: ir.Value, axes: ir.Value, **_: Any
    ) -> MatchResult:
        """Refuse more numbers than one, weights that are computed, and other axes."""
        column, number = weight(kernel), weight(bias)
        if column is None or column.ndim != 2 or column.shape[1] != 1:
            return refuse("the kernel is no constant column", kernel)
        if number is None or number.size != 1 or number.ndim > 1:
            return refuse("the bias is no constant number", bias)
        if whole_numbers(axes) not in ([-1], [2]):  # of (b, t, 1)
            return refuse("another axis is taken away", axes)
        return fine()

    def rewrite(self, op: Any, x: ir.Value, kernel: ir.Value, bias: ir.Value, **_: Any) -> Any:
        """The same numbers of which each has no axis of its own."""
        column, number = weight(kernel), weight(bias)
        assert column is not None
        assert number is not None
        graph = graph_of(x)
        vector = stored(graph, column[:, 0], f"{kernel.name}.vector")
        return op.Add(
            op.MatMul(x, vector), stored(graph, number.reshape(()), f"{bias.name}.number")
        )


RULES = [VectorHead]
