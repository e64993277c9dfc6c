"""The way back from fusing: the same numbers, and the one form that pruning reads."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.exports import Spelling, assert_same, bert, count, kinds

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from winnow.compiler.anatomy import anatomy_of  # noqa: E402
from winnow.compiler.fold import folded  # noqa: E402
from winnow.compiler.fuse import fused  # noqa: E402
from winnow.compiler.graph import serialised  # noqa: E402
from winnow.compiler.rules.base import constant  # noqa: E402
from winnow.compiler.spell_out import NAME, spelt_out  # noqa: E402
from winnow.compiler.verify import CONTRIBUTED  # noqa: E402
from winnow.recipe_compile import run_graph  # noqa: E402

SPELLINGS = [
    Spelling(),
    Spelling(mask="none"),
    Spelling(kinds="input"),
    Spelling(gelu="node", opset=20),
    Spelling(gelu="tanh"),
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
@pytest.mark.parametrize("launches", [False, True])
def test_what_was_fused_is_spelt_out_and_is_equal(spelling: Spelling, launches: bool) -> None:
    """Nothing contributed is left but GELU of an old opset, and the answers are the same."""
    before = bert(spelling)
    together = fused(folded(before.clone(), run_graph).model, launches=launches).model
    assert count(together, "Attention") == 2
    places = spelt_out(together)
    assert {place.rule for place in places} == {NAME}
    left = {node.op_type for node in together.graph if node.domain == CONTRIBUTED}
    assert left <= {"Gelu", "FastGelu"}
    assert_same(before, together, 2e-6)
    assert spelt_out(together) == []


@pytest.mark.parametrize("launches", [False, True])
def test_folding_begins_with_it(launches: bool) -> None:
    """A fused graph folds into the form that it was fused from, and can be pruned."""
    once = folded(bert(), run_graph).model
    together = fused(once.clone(), launches=launches).model
    again = folded(together, run_graph).model
    assert sorted(kinds(again)) == sorted(kinds(once))
    assert len(anatomy_of(again).layers) == 2


@pytest.mark.parametrize("beyond", ["unidirectional", "past", "mask of its own"])
def test_what_computes_more_stays(beyond: str) -> None:
    """A node with past keys, with a direction or with an unknown mask is left as it is."""
    model = fused(folded(bert(), run_graph).model, launches=False).model
    for node in [node for node in model.graph if node.op_type == "Attention"]:
        if beyond == "unidirectional":
            node.attributes["unidirectional"] = ir.AttrInt64("unidirectional", 1)
        elif beyond == "past":
            past = constant(model, np.zeros((2, 1, 4, 1, 4), np.float32), "past")
            node.resize_inputs(5)
            node.replace_input_with(4, past)
        else:
            node.replace_input_with(3, constant(model, np.ones((1, 4), np.int32), "own"))
    written = serialised(model)
    assert {place.made.split(":")[0] for place in spelt_out(model)} == {"BiasGelu"}
    assert count(model, "Attention") == 2
    assert written != serialised(model)


def test_what_stays_leaves_no_reader_behind() -> None:
    """A node that was begun and not put in would still read the values around it."""
    model = fused(folded(bert(), run_graph).model, launches=False).model
    for node in [node for node in model.graph if node.op_type == "Attention"]:
        other = ir.Node("", "Identity", [node.inputs[3]], name=f"{node.name}.other")
        model.graph.insert_before(node, other)
        node.replace_input_with(3, other.outputs[0])
    spelt_out(model)
    there = set(model.graph)
    values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
    assert all(use.node in there for value in values for use in value.uses())
    assert count(model, "Attention") == 2


@pytest.mark.parametrize("kind", ["SkipLayerNormalization", "EmbedLayerNormalization"])
def test_the_epsilon_that_a_node_leaves_out_is_the_contributed_one(kind: str) -> None:
    """Which is less than that of LayerNormalization: seen where numbers are small."""
    model = fused(folded(bert(), run_graph).model, launches=True).model
    for node in model.graph:
        if node.op_type == kind:
            node.attributes.pop("epsilon")
    for name in ("words.table", "position.table"):
        value = model.graph.initializers.get(name)
        if value is not None:
            array = value.const_value.numpy() * np.float32(1e-3)
            value.const_value = ir.tensor(array, name=name)
    before = model.clone()
    assert spelt_out(model)
    assert_same(before, model, 2e-6)
