"""A folded graph -> fewer nodes that do the same: what is computed together becomes one node."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from winnow.compiler.passes import Outcome, Pass
from winnow.compiler.rules import (
    attention,
    bias_gelu,
    dynamic_product,
    embedding_norm,
    integer_bias,
    integer_product,
    integer_qkv,
    qkv,
    skip_norm,
)
from winnow.compiler.rules.base import applied, refused

# Fused kernels add in another order.
TOLERANCE = 1e-5
RULES = [
    *integer_product.RULES,
    *integer_bias.RULES,
    *attention.RULES,
    *qkv.RULES,
    *integer_qkv.RULES,
    *bias_gelu.RULES,
    *dynamic_product.RULES,
]
# Fewer nodes, and fewer launches where a launch costs; but on the processor ONNX Runtime's kernels
# for them take three to six times as long as what they replace (docs/decisions/0009).
LAUNCHES = [*embedding_norm.RULES, *skip_norm.RULES]


def fuse_pass(*, launches: bool) -> Pass:
    """Fusing as a pass; see `fused`."""
    return Pass("fuse", lambda model: fused(model, launches=launches), TOLERANCE)


def fused(model: ir.Model, *, launches: bool) -> Outcome:
    """Group nodes.

    Args:
        model: changed, too; folded, else little matches.
        launches: whether fewer nodes count for more than the processor's time: for accelerators.
    """
    rules = [*RULES, *LAUNCHES] if launches else RULES
    fired = applied(model, rules)
    common.CommonSubexpressionEliminationPass()(model)
    common.TopologicalSortPass()(model)
    return Outcome(model, fired, refused(model, rules))
