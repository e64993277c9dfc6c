"""GELU in its spellings (Hendrycks and Gimpel 2016, arXiv 1606.08415) -> one node.

x * 0.5 * (1 + erf(x / sqrt 2))                                        -> Gelu
x * 0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))                -> Gelu, "tanh"
"""

from __future__ import annotations

import math
from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult
from onnxscript.rewriter.pattern import OrValue

from winnow.compiler.rules.base import Rule, fine, graph_of, refuse, scalar
from winnow.compiler.verify import CONTRIBUTED

GELU_OPSET = 20
_CLOSE = 1e-4


class _Gelu(Rule):
    approximate = "none"

    def check(self, context: Any, **values: Any) -> MatchResult:
        """Refuse other constants: it would be another function."""
        for name, wanted in _NUMBERS.items():
            value = values.get(name)
            found = scalar(value)
            if value is not None and found is None:
                return refuse(f"{name} is no constant number", value)
            if found is not None and abs(found - wanted) > _CLOSE * wanted:
                return refuse(f"{name} is {found:.6g}, not {wanted:.6g}", value)
        return fine()

    def rewrite(self, op: Any, x: ir.Value, **_: Any) -> Any:
        """One node: ONNX's own from opset 20, before that ONNX Runtime's."""
        if graph_of(x).opset_imports.get("", 0) >= GELU_OPSET:
            return op.Gelu(x, approximate=self.approximate)
        if self.approximate == "tanh":
            return op.FastGelu(x, _domain=CONTRIBUTED)
        return op.Gelu(x, _domain=CONTRIBUTED)


class ErfGelu(_Gelu):
    """GELU by the error function; x times its other factor, then half."""

    def pattern(self, op: Any, x: Any, half: Any, one: Any, root: Any, inverse: Any) -> Any:
        """Half comes last."""
        return op.Mul(op.Mul(x, _one_plus_erf(op, x, one, root, inverse)), half)


class ErfGeluOfHalf(_Gelu):
    """GELU by the error function; half of x first."""

    def pattern(self, op: Any, x: Any, half: Any, one: Any, root: Any, inverse: Any) -> Any:
        """Half comes first."""
        return op.Mul(op.Mul(x, half), _one_plus_erf(op, x, one, root, inverse))


class ErfGeluHalved(_Gelu):
    """GELU by the error function; half of its other factor, then x."""

    def pattern(self, op: Any, x: Any, half: Any, one: Any, root: Any, inverse: Any) -> Any:
        """Half comes in between."""
        return op.Mul(x, op.Mul(_one_plus_erf(op, x, one, root, inverse), half))


class TanhGelu(_Gelu):
    """GELU by the hyperbolic tangent; half of x first."""

    approximate = "tanh"

    def pattern(
        self, op: Any, x: Any, half: Any, one: Any, slope: Any, cubic: Any, three: Any
    ) -> Any:
        """Half comes first."""
        return op.Mul(op.Mul(x, half), _one_plus_tanh(op, x, one, slope, cubic, three))


class TanhGeluHalved(_Gelu):
    """GELU by the hyperbolic tangent; half of its other factor, then x."""

    approximate = "tanh"

    def pattern(
        self, op: Any, x: Any, half: Any, one: Any, slope: Any, cubic: Any, three: Any
    ) -> Any:
        """Half comes in between."""
        return op.Mul(x, op.Mul(_one_plus_tanh(op, x, one, slope, cubic, three), half))


RULES = [ErfGelu, ErfGeluOfHalf, ErfGeluHalved, TanhGelu, TanhGeluHalved]

_NUMBERS = {
    "half": 0.5,
    "one": 1.0,
    "root": math.sqrt(2.0),
    "inverse": math.sqrt(0.5),
    "slope": math.sqrt(2.0 / math.pi),
    "cubic": 0.044715,
    "three": 3.0,
}


def _one_plus_erf(op: Any, x: Any, one: Any, root: Any, inverse: Any) -> Any:
    return op.Add(op.Erf(OrValue([op.Div(x, root), op.Mul(x, inverse)])), one)


def _one_plus_tanh(op: Any, x: Any, one: Any, slope: Any, cubic: Any, three: Any) -> Any:
    cube = op.Mul(op.Pow(x, three), cubic)
    return op.Add(op.Tanh(op.Mul(op.Add(x, cube), slope)), one)
