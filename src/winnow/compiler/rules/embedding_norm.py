"""Embeddings looked up, added and normalised -> one node.

LayerNormalization(words[ids] + types[kinds] + table[:t])  ->  EmbedLayerNormalization(ids, …)
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter._basics import MatchResult

from winnow.compiler.rules.base import Rule, attribute, fine, refuse, weight, whole_numbers
from winnow.compiler.verify import CONTRIBUTED

_EPSILON = 1e-5  # of LayerNormalization, where none is given


class _EmbedLayerNorm(Rule):
    """What both have in common."""

    def check(
        self, context: Any, words: ir.Value, table: ir.Value, start: ir.Value, end: ir.Value,
        axes: ir.Value, scale: ir.Value, shift: ir.Value, normal: ir.Value,
        types: ir.Value | None = None, **looked_up: Any,
    ) -> MatchResult:  # fmt: skip
        """Refuse tables and vectors that are computed, other axes and other rows."""
        tables = [weight(v) for v in (words, table, *([] if types is None else [types]))]
        if any(array is None or array.ndim != 2 for array in tables):
            return refuse("a table is no constant matrix of 32-bit floats", words, table)
        if any(v is None or v.ndim != 1 for v in (weight(scale), weight(shift))):
            return refuse("scale or shift is no constant vector", scale, shift)
        length = end.producer()
        if whole_numbers(start) != [0] or whole_numbers(axes) != [0] or length is None:
            return refuse("the rows are not the first ones", start)
        counted = length.op_type == "Shape" and length.inputs[0] is looked_up["ids"]
        if not counted or attribute(length, "start", 0) != 1:
            return refuse("there are not as many rows as tokens", end)
        gathers = [v.producer() for name, v in looked_up.items() if name in ("word", "kind")]
        for node in (*gathers, normal.producer()):
            wanted = 0 if node is not None and node.op_type == "Gather" else -1
            if node is None or attribute(node, "axis", wanted) not in (wanted, wanted % 3):
                return refuse("another axis", normal)
        return fine()

    def rewrite(
        self, op: Any, words: ir.Value, ids: ir.Value, table: ir.Value, scale: ir.Value,
        shift: ir.Value, normal: ir.Value, types: ir.Value | None = None,
        kinds: ir.Value | None = None, **_: Any,
    ) -> Any:  # fmt: skip
        """One node; the operator takes 32-bit integers."""
        node = normal.producer()
        assert node is not None
        as_int = ir.DataType.INT32.value
        inputs = [
            op.Cast(ids, to=as_int),
            None if kinds is None else op.Cast(kinds, to=as_int),
            words, table, types, scale, shift,
        ]  # fmt: skip
        epsilon = attribute(node, "epsilon", _EPSILON)
        kind = "EmbedLayerNormalization"
        return op.op(kind, *inputs, _domain=CONTRIBUTED, _outputs=2, epsilon=epsilon)[0]


class FuseEmbedLayerNorm(_EmbedLayerNorm):
    """Words and rows of one table (tables.py)."""

    def pattern(
        self, op: Any, words: Any, ids: Any, table: Any, start: Any, end: Any, axes: Any,
        scale: Any, shift: Any,
    ) -> Any:  # fmt: skip
        """Words plus first rows, normalised."""
        total = op.Add(op.Gather(words, ids, _outputs=["word"]), op.Slice(table, start, end, axes))
        return op.LayerNormalization(total, scale, shift, _outputs=["normal"])


class FuseTypedEmbedLayerNorm(_EmbedLayerNorm):
    """Words, types of tokens and rows of one table."""

    def pattern(
        self, op: Any, words: Any, ids: Any, types: Any, kinds: Any, table: Any, start: Any,
        end: Any, axes: Any, scale: Any, shift: Any,
    ) -> Any:  # fmt: skip
        """Words plus types plus first rows, normalised."""
        both = op.Add(
            op.Gather(words, ids, _outputs=["word"]), op.Gather(types, kinds, _outputs=["kind"])
        )
        total = op.Add(both, op.Slice(table, start, end, axes))
        return op.LayerNormalization(total, scale, shift, _outputs=["normal"])


RULES = [FuseTypedEmbedLayerNorm, FuseEmbedLayerNorm]
