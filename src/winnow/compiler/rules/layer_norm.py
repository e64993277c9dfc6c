"""Layer normalisation spelt out (Ba et al. 2016, arXiv 1607.06450) -> one node.

d = x - mean(x);  d / sqrt(mean(d^2) + e) * scale + shift  ->  LayerNormalization(x)
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult
from onnxscript.rewriter.pattern import OrValue

from winnow.compiler.rules.base import (
    Rule,
    attribute,
    fine,
    graph_of,
    refuse,
    scalar,
    weight,
    whole_numbers,
)
from winnow.compiler.verify import NORM_OPSET


class SpeltOutLayerNorm(Rule):
    """Nine nodes of a graph that was exported for an opset before LayerNormalization."""

    def pattern(self, op: Any, x: Any, two: Any, epsilon: Any, scale: Any, shift: Any) -> Any:
        """Mean, difference, variance, quotient, scale, shift."""
        apart = op.Sub(x, op.ReduceMean(x, _allow_other_inputs=True, _outputs=["mean"]))
        square = OrValue([op.Pow(apart, two), op.Mul(apart, apart)])
        variance = op.ReduceMean(square, _allow_other_inputs=True, _outputs=["variance"])
        scaled = op.Div(apart, op.Sqrt(op.Add(variance, epsilon)))
        return op.Add(op.Mul(scaled, scale), shift)

    def check(
        self,
        context: Any,
        x: ir.Value,
        mean: ir.Value,
        variance: ir.Value,
        epsilon: ir.Value,
        scale: ir.Value,
        shift: ir.Value,
        two: ir.Value | None = None,
        **_: Any,
    ) -> MatchResult:
        """Refuse other axes, other powers, weights that are no vectors, and too old a graph."""
        if graph_of(mean).opset_imports.get("", 0) < NORM_OPSET:
            return refuse(f"LayerNormalization came with opset {NORM_OPSET}", mean)
        for value in (mean, variance):
            node = value.producer()
            assert node is not None
            axes = attribute(node, "axes")
            if axes is None and len(node.inputs) > 1:
                axes = whole_numbers(node.inputs[1])
            if list(axes or []) != [-1] or attribute(node, "keepdims", 1) != 1:
                return refuse("the mean is not that of the last axis", node)
        if two is not None and scalar(two) != 2.0:
            return refuse("the power is not 2", two)
        if scalar(epsilon) is None:
            return refuse("epsilon is no constant number", epsilon)
        vectors = [weight(scale), weight(shift)]
        if any(v is None or v.ndim != 1 or v.size == 1 for v in vectors):
            return refuse("scale or shift is no constant vector", scale, shift)
        return fine()

    def rewrite(
        self, op: Any, x: ir.Value, epsilon: ir.Value, scale: ir.Value, shift: ir.Value, **_: Any
    ) -> Any:
        """One node."""
        return op.LayerNormalization(x, scale, shift, axis=-1, epsilon=scalar(epsilon))


RULES = [SpeltOutLayerNorm]
