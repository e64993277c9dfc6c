"""A product of integers and its way back to floats -> one node.

    Cast(MatMulInteger(steps, W, zero)) * (x_scale * scales)  ->  MatMulIntegerToFloat(steps, W, …)

The standard has no operator for it; ONNX Runtime's (com.microsoft) scales while it stores.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.graph import array_of
from winnow.compiler.rules.base import Rule, fine, refuse, weight
from winnow.compiler.verify import CONTRIBUTED


class FuseIntegerProduct(Rule):
    """As quantization writes it."""

    def pattern(self, op: Any, steps: Any, weights: Any, zero: Any, one: Any, other: Any) -> Any:
        """A product, as floats, times both scales."""
        summed = op.MatMulInteger(
            steps, weights, zero, _allow_other_inputs=True, _outputs=["summed"]
        )
        as_float = op.Cast(summed, to=ir.DataType.FLOAT.value)
        return op.Mul(as_float, op.Mul(one, other))

    def check(
        self, context: Any, steps: ir.Value, weights: ir.Value, one: ir.Value,
        other: ir.Value, summed: ir.Value, **_: Any,
    ) -> MatchResult:  # fmt: skip
        """Refuse weights and scales that are computed, and a scale of something else."""
        x_scale, scales = _told_apart(one, other, steps)
        matrix, factors = array_of(weights), weight(scales)
        if matrix is None or matrix.ndim != 2:
            return refuse("the weights are no constant matrix", weights)
        if factors is None or factors.shape not in ((1,), (), (matrix.shape[1],)):
            return refuse("the scales are no constant, one for each column", scales)
        if x_scale not in _own(steps):
            return refuse("the scale is not that of what is multiplied", x_scale)
        if _zero_of(summed) is not None and array_of(_zero_of(summed)) is None:
            return refuse("the zero of the weights is computed", summed)
        return fine()

    def rewrite(
        self, op: Any, steps: ir.Value, weights: ir.Value, zero: ir.Value, one: ir.Value,
        other: ir.Value, summed: ir.Value,
    ) -> Any:  # fmt: skip
        """One node; the zero of the weights is there where it was."""
        x_scale, scales = _told_apart(one, other, steps)
        inputs = [steps, weights, x_scale, scales, zero, _zero_of(summed)]
        return op.op("MatMulIntegerToFloat", *inputs, _domain=CONTRIBUTED)


RULES = [FuseIntegerProduct]


def _own(steps: ir.Value) -> tuple[ir.Value | None, ...]:
    """What the node that rounds gives, and the scale that it is given, if it is."""
    rounding = steps.producer()
    return () if rounding is None else (*rounding.outputs, *rounding.inputs[1:2])


def _told_apart(one: ir.Value, other: ir.Value, steps: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The scale of what is rounded, and those of the weights, whichever comes first."""
    if one in _own(steps):
        return one, other
    if other in _own(steps):
        return other, one
    return (one, other) if weight(other) is not None else (other, one)


def _zero_of(summed: ir.Value) -> ir.Value | None:
    """The zero of the weights, None where that is 0."""
    node = summed.producer()
    assert node is not None
    return node.inputs[3] if len(node.inputs) > 3 else None
