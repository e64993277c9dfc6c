"""How attention's scores are scaled -> one product after them.

Div(q @ k, 8)  ->  Mul(q @ k, 1/8)
(q * a) @ (k * b), (q * a) @ k, (q / a) @ k  ->  Mul(q @ k, a b)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, fine, graph_of, refuse, scalar, stored, weight


class DivToMul(Rule):
    """Scores that are divided by a number."""

    def pattern(self, op: Any, q: Any, k: Any, by: Any) -> Any:
        """Product, then quotient."""
        return op.Div(op.MatMul(q, k), by)

    def check(self, context: Any, by: ir.Value, **_: Any) -> MatchResult:
        """Refuse what is no number, and 0."""
        return fine() if _factor(by) else refuse("the divisor is no constant number", by)

    def rewrite(self, op: Any, q: ir.Value, k: ir.Value, by: ir.Value) -> Any:
        """Multiply by the inverse: the same in 32 bits where it is a power of two."""
        return op.Mul(op.MatMul(q, k), _number(1.0 / (scalar(by) or 1.0), q))


class ScaleBothAfter(Rule):
    """Scores of two factors that are scaled each."""

    def pattern(self, op: Any, q: Any, k: Any, a: Any, b: Any) -> Any:
        """Products with numbers, then the product."""
        return op.MatMul(op.Mul(q, a), op.Mul(k, b))

    def check(self, context: Any, a: ir.Value, b: ir.Value, **_: Any) -> MatchResult:
        """Refuse what is no number."""
        if _factor(a) is None or _factor(b) is None:
            return refuse("a factor is no constant number", a, b)
        return fine()

    def rewrite(self, op: Any, q: ir.Value, k: ir.Value, a: ir.Value, b: ir.Value) -> Any:
        """One factor, after."""
        return op.Mul(op.MatMul(q, k), _number((scalar(a) or 0.0) * (scalar(b) or 0.0), q))


class ScaleAfter(Rule):
    """Scores whose query is scaled."""

    def pattern(self, op: Any, q: Any, k: Any, a: Any) -> Any:
        """Query times a number, then the product."""
        return op.MatMul(op.Mul(q, a), k)

    def check(self, context: Any, a: ir.Value, k: ir.Value, **_: Any) -> MatchResult:
        """Refuse what is no number, and products with weights, which are no scores."""
        if _factor(a) is None:
            return refuse("the factor is no constant number", a)
        if k.const_value is not None:
            return refuse("a product with weights, not with keys", k)
        return fine()

    def rewrite(self, op: Any, q: ir.Value, k: ir.Value, a: ir.Value) -> Any:
        """One factor, after."""
        return op.Mul(op.MatMul(q, k), _number(scalar(a) or 0.0, q))


class ScaleOfDivAfter(ScaleAfter):
    """Scores whose query is divided."""

    def pattern(self, op: Any, q: Any, k: Any, a: Any) -> Any:
        """Query over a number, then the product."""
        return op.MatMul(op.Div(q, a), k)

    def check(self, context: Any, a: ir.Value, k: ir.Value, **_: Any) -> MatchResult:
        """Refuse what is no number, and 0."""
        return super().check(context, a, k) if _factor(a) else refuse("no constant divisor", a)

    def rewrite(self, op: Any, q: ir.Value, k: ir.Value, a: ir.Value) -> Any:
        """One factor, after."""
        return op.Mul(op.MatMul(q, k), _number(1.0 / (scalar(a) or 1.0), q))


RULES = [DivToMul, ScaleBothAfter, ScaleAfter, ScaleOfDivAfter]


def _factor(value: ir.Value) -> float | None:
    """A constant number of 32 bits, as what replaces it is."""
    return None if weight(value) is None else scalar(value)


def _number(value: float, of: ir.Value) -> ir.Value:
    return stored(graph_of(of), np.float32(value), f"{of.name}.scale")
