"""Attention of several heads (Vaswani et al. 2017, arXiv 1706.03762) -> one node.

    softmax(q k^T scale + mask) v, between the Reshapes and Transposes that take heads apart and
    together again  ->  MultiHeadAttention(q, k, v, mask)

Shapes: q, k, v (b, t, h d); mask (b, t) of integers, 1 where a token is. The operator is ONNX
Runtime's (com.microsoft).
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, attribute, fine, refuse, scalar, whole_numbers
from winnow.compiler.verify import CONTRIBUTED

_APART, _TURNED = (0, 2, 1, 3), (0, 2, 3, 1)
# Spellings of the first two sizes of a Reshape that leave them as they are.
_KEPT = ([0, 0], [0, -1], [-1, 0])


class _Attention(Rule):
    """What both have in common."""

    @staticmethod
    def scores(op: Any, q: Any, k: Any, q_shape: Any, k_shape: Any, scale: Any) -> Any:
        """Products of queries and keys, scaled."""
        queries = op.Transpose(op.Reshape(q, q_shape), perm=_APART)
        keys = op.Transpose(op.Reshape(k, k_shape), perm=_TURNED)
        return op.Mul(op.MatMul(queries, keys), scale)

    @staticmethod
    def rest(op: Any, scores: Any, v: Any, v_shape: Any, shape: Any) -> Any:
        """Softmax, product with the values, heads together."""
        values = op.Transpose(op.Reshape(v, v_shape), perm=_APART)
        mixed = op.MatMul(op.Softmax(scores, _outputs=["attended"]), values)
        return op.Reshape(op.Transpose(mixed, perm=_APART), shape)

    def check(
        self,
        context: Any,
        q_shape: ir.Value,
        k_shape: ir.Value,
        v_shape: ir.Value,
        scale: ir.Value,
        shape: ir.Value,
        attended: ir.Value,
        added: ir.Value | None = None,
        **_: Any,
    ) -> MatchResult:
        """Refuse heads of other shapes, a scale that is no number, another axis or mask."""
        apart = [whole_numbers(s) for s in (q_shape, k_shape, v_shape)]
        heads = heads_of(apart[0])
        if heads is None or apart[1] != apart[0] or heads_of(apart[2]) != heads:
            return refuse(f"heads are taken apart in another way: {apart}", q_shape)
        together = whole_numbers(shape)
        if together is None or len(together) != 3 or together[:2] not in _KEPT:
            return refuse(f"heads are put together in another way: {together}", shape)
        if not scalar(scale):  # the operator takes 0 for one over the root of the size
            return refuse("the scale is no constant number", scale)
        softmax = attended.producer()
        assert softmax is not None
        if attribute(softmax, "axis", -1) not in (-1, 3):
            return refuse("the softmax is not over keys", softmax)
        if added is not None and mask_of(added) is None:
            return refuse("what is added to the scores is no mask of keys", added)
        return fine()

    def rewrite(
        self,
        op: Any,
        q: ir.Value,
        k: ir.Value,
        v: ir.Value,
        q_shape: ir.Value,
        scale: ir.Value,
        added: ir.Value | None = None,
        **_: Any,
    ) -> Any:
        """One node, and the mask as integers where there is one."""
        heads = heads_of(whole_numbers(q_shape))
        options: dict[str, Any] = {"num_heads": heads, "scale": scalar(scale)}
        inputs = [q, k, v]
        found = None if added is None else mask_of(added)
        if found is not None:
            mask, far = found
            options["mask_filter_value"] = far
            inputs += [None, op.Cast(mask, to=ir.DataType.INT32.value)]
        return op.op("MultiHeadAttention", *inputs, _domain=CONTRIBUTED, **options)


class FuseAttention(_Attention):
    """Scores without a mask."""

    def pattern(
        self, op: Any, q: Any, k: Any, v: Any, q_shape: Any, k_shape: Any, v_shape: Any,
        scale: Any, shape: Any,
    ) -> Any:  # fmt: skip
        """Heads apart, scores, softmax, heads together."""
        scores = self.scores(op, q, k, q_shape, k_shape, scale)
        return self.rest(op, scores, v, v_shape, shape)


class FuseMaskedAttention(_Attention):
    """Scores with the mask that folding leaves (masks.py)."""

    def pattern(
        self, op: Any, q: Any, k: Any, v: Any, q_shape: Any, k_shape: Any, v_shape: Any,
        scale: Any, shape: Any, added: Any,
    ) -> Any:  # fmt: skip
        """Heads apart, scores, mask, softmax, heads together."""
        scores = self.scores(op, q, k, q_shape, k_shape, scale)
        return self.rest(op, op.Add(scores, added), v, v_shape, shape)


RULES = [FuseMaskedAttention, FuseAttention]


def heads_of(target: list[int] | None) -> int | None:
    """Number of heads that a Reshape of (b, t, w) to (b, t, h, d) makes, or None."""
    if target is None or len(target) != 4 or target[3] < 1 or target[:2] not in _KEPT:
        return None
    return target[2] if target[2] > 0 else None


def mask_of(added: ir.Value) -> tuple[ir.Value, float] | None:
    """The input that a folded mask is made of and what it adds to padding, or None."""
    where = added.producer()
    if where is None or where.op_type != "Where" or scalar(where.inputs[1]) != 0.0:
        return None
    keys = None if where.inputs[0] is None else where.inputs[0].producer()
    if keys is None or keys.op_type != "Unsqueeze" or whole_numbers(keys.inputs[1]) != [1, 2]:
        return None
    keep = None if keys.inputs[0] is None else keys.inputs[0].producer()
    far = scalar(where.inputs[2])
    if keep is None or keep.op_type != "Cast" or far is None:
        return None
    mask = keep.inputs[0]
    return (mask, far) if mask is not None and mask.is_graph_input() else None
