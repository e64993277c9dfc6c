"""A sum and its layer normalisation -> one node.

LayerNormalization((x + bias) + skip)  ->  SkipLayerNormalization(x, skip, scale, shift, bias)
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, attribute, fine, refuse, weight
from winnow.compiler.verify import CONTRIBUTED

_EPSILON = 1e-5  # of LayerNormalization, where none is given


class _SkipLayerNorm(Rule):
    """What both have in common."""

    def check(
        self, context: Any, x: ir.Value, skip: ir.Value, scale: ir.Value, shift: ir.Value,
        normal: ir.Value, bias: ir.Value | None = None, **_: Any,
    ) -> MatchResult:  # fmt: skip
        """Refuse another axis, sums with constants or with fewer axes, and foreign weights."""
        node = normal.producer()
        assert node is not None
        if attribute(node, "axis", -1) not in (-1, 2):
            return refuse("the normalisation is not of the last axis", node)
        vectors = [weight(v) for v in (scale, shift, *([] if bias is None else [bias]))]
        if any(v is None or v.ndim != 1 for v in vectors):
            return refuse("scale, shift or bias is no constant vector", scale, shift)
        for value in (x, skip):
            if value.const_value is not None:
                return refuse("a constant is added, not what came before", value)
            producer = value.producer()
            looked_up = producer is not None and producer.op_type in ("Gather", "Slice")
            if producer is not None and looked_up and weight(producer.inputs[0]) is not None:
                return refuse("what is added is rows of a table", value)
        return fine()

    def rewrite(
        self, op: Any, x: ir.Value, skip: ir.Value, scale: ir.Value, shift: ir.Value,
        normal: ir.Value, bias: ir.Value | None = None, **_: Any,
    ) -> Any:  # fmt: skip
        """One node."""
        node = normal.producer()
        assert node is not None
        inputs = [x, skip, scale, shift, *([] if bias is None else [bias])]
        epsilon = attribute(node, "epsilon", _EPSILON)
        return op.op("SkipLayerNormalization", *inputs, _domain=CONTRIBUTED, epsilon=epsilon)


class FuseSkipLayerNorm(_SkipLayerNorm):
    """Without a bias."""

    def pattern(self, op: Any, x: Any, skip: Any, scale: Any, shift: Any) -> Any:
        """A sum, normalised."""
        return op.LayerNormalization(op.Add(x, skip), scale, shift, _outputs=["normal"])


class FuseBiasSkipLayerNorm(_SkipLayerNorm):
    """With the bias of the product before."""

    def pattern(self, op: Any, x: Any, bias: Any, skip: Any, scale: Any, shift: Any) -> Any:
        """A product, its bias and what went around it, normalised."""
        total = op.Add(op.Add(x, bias), skip)
        return op.LayerNormalization(total, scale, shift, _outputs=["normal"])


RULES = [FuseBiasSkipLayerNorm, FuseSkipLayerNorm]
