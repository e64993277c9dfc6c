"""Queries, keys and values of one x, each a product of integers -> packed into one product.

    MultiHeadAttention(q Wq + bq, q Wk + bk, q Wv + bv, mask)  ->  QAttention(q, [Wq Wk Wv], …)

q is x in 8-bit integers, rounded once. As `qkv`, which does it for floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.graph import array_of
from winnow.compiler.rules.base import Rule, fine, graph_of, refuse, stored
from winnow.compiler.verify import CONTRIBUTED

_WEIGHTS, _SCALES, _WEIGHTS_ZERO, _BIAS = 1, 3, 5, 6
# The operator has no others.
_OPTIONS = ("num_heads", "scale", "mask_filter_value", "unidirectional")


class _PackIntegers(Rule):
    """What both have in common."""

    @staticmethod
    def three(op: Any, steps: Any) -> list[Any]:
        """Queries, keys and values."""
        return [
            op.MatMulIntegerToFloat(
                steps, _allow_other_inputs=True, _domain=CONTRIBUTED, _outputs=[name]
            )
            for name in ("q", "k", "v")
        ]

    def check(
        self, context: Any, steps: ir.Value, q: ir.Value, k: ir.Value, v: ir.Value, **_: Any
    ) -> MatchResult:
        """Refuse products of other widths or without biases, and zeros of their own."""
        nodes = [node for value in (q, k, v) if (node := value.producer()) is not None]
        if any(len(node.inputs) <= _BIAS or node.inputs[_BIAS] is None for node in nodes):
            return refuse("a product has no bias", q, k, v)
        if any(node.inputs[_WEIGHTS_ZERO] is not None for node in nodes):
            return refuse("weights are not around 0", q, k, v)
        arrays = [array_of(node.inputs[at]) for node in nodes for at in (_WEIGHTS, _SCALES, _BIAS)]
        if any(array is None for array in arrays):
            return refuse("weights, scales or a bias are computed", q, k, v)
        widths = {array.shape[-1] if array.ndim else 0 for array in arrays if array is not None}
        if len(widths) != 1:
            return refuse(f"products are of different widths: {sorted(widths)}", q, k, v)
        for place in (2, 4):
            if len({node.inputs[place] for node in nodes}) != 1:
                return refuse("products round x in different ways", q, k, v)
        return fine()

    def rewrite(
        self, op: Any, steps: ir.Value, q: ir.Value, k: ir.Value, v: ir.Value, mixed: ir.Value,
        mask: ir.Value | None = None,
    ) -> Any:  # fmt: skip
        """One node with one matrix, (i, q + k + v)."""
        nodes = [node for value in (q, k, v) if (node := value.producer()) is not None]
        attention = mixed.producer()
        assert attention is not None
        graph = graph_of(steps)

        def packed(place: int, name: str) -> ir.Value:
            arrays = [array for n in nodes if (array := array_of(n.inputs[place])) is not None]
            return stored(graph, np.concatenate(arrays, axis=-1), name)

        first = nodes[0]
        kernel = first.inputs[_WEIGHTS]
        assert kernel is not None
        name = f"{kernel.name}.packed"
        inputs = [
            steps,
            packed(_WEIGHTS, name),
            packed(_BIAS, f"{name}.bias"),
            first.inputs[2],
            packed(_SCALES, f"{name}.scales"),
            mask,
            first.inputs[4],
        ]
        options = {at: a.value for at, a in attention.attributes.items() if at in _OPTIONS}
        return op.op("QAttention", *inputs, _domain=CONTRIBUTED, **options)


class PackIntegers(_PackIntegers):
    """Attention without a mask."""

    def pattern(self, op: Any, steps: Any) -> Any:
        """Three products of the same steps."""
        return op.MultiHeadAttention(
            *self.three(op, steps),
            _domain=CONTRIBUTED,
            _allow_other_inputs=False,
            _outputs=["mixed"],
        )


class PackMaskedIntegers(_PackIntegers):
    """Attention with a mask."""

    def pattern(self, op: Any, steps: Any, mask: Any) -> Any:
        """Three products of the same steps, and who is there."""
        return op.MultiHeadAttention(
            *self.three(op, steps),
            None,
            mask,
            _domain=CONTRIBUTED,
            _allow_other_inputs=False,
            _outputs=["mixed"],
        )


RULES = [PackMaskedIntegers, PackIntegers]
