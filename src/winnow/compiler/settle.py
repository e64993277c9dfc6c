"""Algebra for when the widths are settled: after pruning, before quantization and fusing.

It spoils the one form that pruning reads (fold.py), so it comes after. Settling twice changes
nothing.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from winnow.compiler.graph import drop_unused
from winnow.compiler.passes import Outcome, Pass
from winnow.compiler.rules import vector_head
from winnow.compiler.rules.absorb_bias import absorbed_biases
from winnow.compiler.rules.base import applied, refused
from winnow.compiler.rules.head_bias import absorbed_head_bias
from winnow.compiler.rules.pooling import pooled_first

# Weights are changed by sums of theirs, which round.
TOLERANCE = 1e-5


def settle_pass() -> Pass:
    """Settling as a pass."""
    return Pass("settle", settled, TOLERANCE)


def settled(model: ir.Model) -> Outcome:
    """Compute only what is read, and add no bias twice.

    Args:
        model: changed, too.
    """
    fired = pooled_first(model)
    common.CommonSubexpressionEliminationPass()(model)
    absorbed, refusals = absorbed_biases(model)
    heads = applied(model, vector_head.RULES)
    beside, kept = absorbed_head_bias(model)
    drop_unused(model)
    common.TopologicalSortPass()(model)
    refusals += [*refused(model, vector_head.RULES), *kept]
    return Outcome(model, (*fired, *absorbed, *heads, *beside), tuple(refusals))
