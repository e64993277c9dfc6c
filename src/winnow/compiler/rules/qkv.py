"""Queries, keys and values of one x, each a product with weights -> packed into one product.

MultiHeadAttention(x Wq + bq, x Wk + bk, x Wv + bv, mask)  ->  Attention(x, [Wq Wk Wv], …)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, fine, graph_of, refuse, stored, weight
from winnow.compiler.verify import CONTRIBUTED


class _PackQueryKeyValue(Rule):
    """What both have in common."""

    @staticmethod
    def three(op: Any, x: Any, wq: Any, bq: Any, wk: Any, bk: Any, wv: Any, bv: Any) -> list[Any]:
        """Queries, keys and values."""
        pairs = ((wq, bq), (wk, bk), (wv, bv))
        return [op.Add(op.MatMul(x, kernel), bias) for kernel, bias in pairs]

    def check(
        self, context: Any, wq: ir.Value, bq: ir.Value, wk: ir.Value, bk: ir.Value,
        wv: ir.Value, bv: ir.Value, **_: Any,
    ) -> MatchResult:  # fmt: skip
        """Refuse weights that are computed or do not fit."""
        kernels, biases = [weight(w) for w in (wq, wk, wv)], [weight(b) for b in (bq, bk, bv)]
        if any(w is None or w.ndim != 2 for w in kernels):
            return refuse("a kernel is no constant matrix of 32-bit floats", wq, wk, wv)
        if any(b is None or b.ndim != 1 for b in biases):
            return refuse("a bias is no constant vector of 32-bit floats", bq, bk, bv)
        for w, b in zip(kernels, biases, strict=True):
            assert w is not None
            assert b is not None
            if w.shape[1] != b.shape[0]:
                return refuse("kernel and bias are of different widths", wq)
        return fine()

    def rewrite(
        self, op: Any, x: ir.Value, wq: ir.Value, bq: ir.Value, wk: ir.Value, bk: ir.Value,
        wv: ir.Value, bv: ir.Value, mixed: ir.Value, mask: ir.Value | None = None,
    ) -> Any:  # fmt: skip
        """One node with one kernel, (i, q + k + v)."""
        kernels = [array for w in (wq, wk, wv) if (array := weight(w)) is not None]
        biases = [array for b in (bq, bk, bv) if (array := weight(b)) is not None]
        node = mixed.producer()
        assert node is not None
        options = {name: found.value for name, found in node.attributes.items()}
        options["qkv_hidden_sizes"] = [w.shape[1] for w in kernels]
        graph = graph_of(x)
        inputs = [  # layers that share their weights share these
            x,
            stored(graph, np.concatenate(kernels, axis=1), f"{wq.name}.packed"),
            stored(graph, np.concatenate(biases), f"{bq.name}.packed"),
            *([] if mask is None else [mask]),
        ]
        return op.op("Attention", *inputs, _domain=CONTRIBUTED, **options)


class PackQueryKeyValue(_PackQueryKeyValue):
    """Attention without a mask."""

    def pattern(self, op: Any, x: Any, wq: Any, bq: Any, wk: Any, bk: Any, wv: Any, bv: Any) -> Any:
        """Three products of the same x."""
        return op.MultiHeadAttention(
            *self.three(op, x, wq, bq, wk, bk, wv, bv),
            _domain=CONTRIBUTED,
            _allow_other_inputs=False,
            _outputs=["mixed"],
        )


class PackMaskedQueryKeyValue(_PackQueryKeyValue):
    """Attention with a mask."""

    def pattern(
        self, op: Any, x: Any, wq: Any, bq: Any, wk: Any, bk: Any, wv: Any, bv: Any, mask: Any
    ) -> Any:
        """Three products of the same x, and who is there."""
        return op.MultiHeadAttention(
            *self.three(op, x, wq, bq, wk, bk, wv, bv),
            None,
            mask,
            _domain=CONTRIBUTED,
            _allow_other_inputs=False,
            _outputs=["mixed"],
        )


RULES = [PackMaskedQueryKeyValue, PackQueryKeyValue]
