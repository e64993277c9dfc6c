"""Algebra that changes weights and spelling, not answers: any exporter's graph -> one form.

What is left when all rules have fired: looked-up words plus the first rows of a table; Q, K and V
as MatMul + Add -> Reshape [0, 0, heads, size] -> Transpose; scores times one number plus one shared
mask, Softmax, MatMul, Transpose, Reshape [0, 0, width]; LayerNormalization and Gelu as one node
each. Pruning, quantization, fusing and splitting are written for that form alone.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from winnow.compiler.graph import drop_unused
from winnow.compiler.passes import Fired, Outcome, Pass, Refused, Run
from winnow.compiler.probe import probed
from winnow.compiler.rules import gelu, layer_norm, nan_guard, scale
from winnow.compiler.rules.base import applied, refused
from winnow.compiler.rules.constants import constants
from winnow.compiler.rules.layouts import one_transpose
from winnow.compiler.rules.masks import shared_mask
from winnow.compiler.rules.neutral import neutral
from winnow.compiler.rules.shapes import constant_shapes
from winnow.compiler.rules.tables import tabulated
from winnow.compiler.spell_out import spelt_out

# Sums in another order: differences of logits of 10^0 to 10^1 seen on real mail are below 2e-6.
TOLERANCE = 1e-5
_SPELLINGS = [*layer_norm.RULES, *gelu.RULES, *scale.RULES, *nan_guard.RULES]


def fold_pass(run: Run) -> Pass:
    """Folding as a pass."""
    return Pass("fold", lambda model: folded(model, run), TOLERANCE)


def folded(model: ir.Model, run: Run) -> Outcome:
    """Bring a graph into the one form.

    Args:
        model: changed, too.
        run: runs a graph.

    Raises:
        InputError: it is no text model, or does not run.
    """
    fired: list[Fired] = spelt_out(model)
    common.IdentityEliminationPass()(model)
    common.CommonSubexpressionEliminationPass()(model)
    drop_unused(model)
    refusals: list[Refused] = []
    probe = probed(model, run)
    fired += constants(probe)
    fired += constant_shapes(probe)
    fired += neutral(probe)
    for changes, unchanged in (tabulated(probe, run), shared_mask(probe)):
        fired += changes
        refusals += unchanged
    drop_unused(model)
    fired += one_transpose(probe)
    drop_unused(model)
    fired += applied(model, _SPELLINGS)
    refusals += refused(model, _SPELLINGS)
    common.TopologicalSortPass()(model)
    return Outcome(model, tuple(fired), tuple(refusals))
