"""Queries, keys and values of integers as one product, with and without a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    assert_same,
    assert_settled,
    bert,
    count,
    fired,
    reasons,
)
from tests.compiler.integers import ir, kinds
from winnow.compiler.fold import folded
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize
from winnow.compiler.rules import attention, integer_bias, integer_product, integer_qkv
from winnow.compiler.rules.base import applied, refused
from winnow.recipe_compile import run_graph

BEFORE = [*integer_product.RULES, *integer_bias.RULES, *attention.RULES]
RULE = {"where": "PackMaskedIntegers", "none": "PackIntegers"}


def apply(model: Any) -> Outcome:
    """The rule alone."""
    places = applied(model, integer_qkv.RULES)
    return Outcome(model, places, refused(model, integer_qkv.RULES))


def _attended(mask: str = "none", keep: str = "", **sizes: int) -> Any:
    """An encoder in integers whose attention is one node; a layer may keep a product in floats."""
    whole = {"width": 64, "inner": 128, "words": 80} | sizes
    model = folded(bert(Spelling(mask=mask), **whole), run_graph).model
    names = {node.inputs[1].name: node.name for node in model.graph if len(node.inputs) > 1}
    small = quantize(model, keep=lambda node: bool(keep) and node == names[keep])[0]
    applied(small, BEFORE)
    return small


@pytest.mark.parametrize("mask", RULE)
def test_it_fires_and_is_equal(mask: str) -> None:
    """Of every layer, padding among the messages; the integers are the same ones."""
    model = _attended(mask)
    outcome = apply(model.clone())
    assert fired(outcome, RULE[mask]) == count(outcome.model, "QAttention") == 2
    assert count(outcome.model, "MatMulIntegerToFloat") == 7
    assert_same(model, outcome.model, 2e-5)
    assert_settled(apply, outcome.model)


def _first(model: Any, kind: str) -> Any:
    return next(node for node in model.graph if node.op_type == kind)


def _no_bias(model: Any) -> None:
    node = _first(model, "MatMulIntegerToFloat")
    node.replace_input_with(6, None)


def _zero(model: Any) -> None:
    node = _first(model, "MatMulIntegerToFloat")
    array = np.zeros(64, np.int8)
    value = ir.Value(name="zero64", const_value=ir.tensor(array, name="zero64"))
    model.graph.register_initializer(value)
    node.replace_input_with(5, value)


def _scale(model: Any) -> None:
    node = _first(model, "MatMulIntegerToFloat")
    value = ir.Value(name="two", const_value=ir.tensor(np.float32(0.02), name="two"))
    model.graph.register_initializer(value)
    node.replace_input_with(2, value)


def _width(model: Any) -> None:
    node = [n for n in model.graph if n.op_type == "MatMulIntegerToFloat"][2]
    for place, axis in ((1, 1), (3, 0), (6, 0)):
        array = node.inputs[place].const_value.numpy()
        half = np.take(array, np.arange(32), axis=axis)
        value = ir.Value(name=f"half{place}", const_value=ir.tensor(half, name=f"half{place}"))
        model.graph.register_initializer(value)
        node.replace_input_with(place, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_no_bias, "a product has no bias"),
        (_zero, "weights are not around 0"),
        (_scale, "products round x in different ways"),
        (_width, "products are of different widths: [32, 64]"),
    ],
)
def test_it_refuses_with_its_reason(change: Callable[[Any], None], reason: str) -> None:
    """And packs the other layer all the same."""
    model = _attended()
    change(model)
    outcome = apply(model.clone())
    assert count(outcome.model, "QAttention") == 1
    assert reasons(outcome, "PackIntegers") == {reason}
    assert count(outcome.model, "MultiHeadAttention") == 1


def test_a_product_in_floats_is_not_packed() -> None:
    """Where keys were too sensitive to round, queries and values stay beside them."""
    model = _attended(keep="layer0.k.kernel")
    outcome = apply(model.clone())
    assert count(outcome.model, "QAttention") == 1
    assert_same(model, outcome.model, 2e-5)


def test_layers_that_share_weights_share_them_packed() -> None:
    """As in ALBERT: two nodes, one matrix."""
    model = _attended()
    products = [node for node in model.graph if node.op_type == "MatMulIntegerToFloat"]
    shared = [node for node in products if "Attention" not in node.name][:3]
    second = [node for node in products if node not in shared][3:6]
    for ours, theirs in zip(shared, second, strict=True):
        for place in (1, 3, 6):
            theirs.replace_input_with(place, ours.inputs[place])
    outcome = apply(model.clone())
    nodes = [node for node in outcome.model.graph if node.op_type == "QAttention"]
    assert len(nodes) == 2
    assert nodes[0].inputs[1] is nodes[1].inputs[1]
    assert kinds(outcome.model)
    assert_same(model, outcome.model, 2e-5)
