"""A bias goes into the product of integers before it: the same numbers, a node less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, assert_same, assert_settled, bert, count, fired
from tests.compiler.integers import SIZE, drawn, graph, kinds, normal, run
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize
from winnow.compiler.rules import integer_bias, integer_product
from winnow.compiler.rules.base import applied, refused


def apply(model: Any) -> Outcome:
    """The rule alone."""
    places = applied(model, integer_bias.RULES)
    return Outcome(model, places, refused(model, integer_bias.RULES))


def _products(model: Any) -> Any:
    """A graph whose products of integers are one node each."""
    small = quantize(model)[0]
    applied(small, integer_product.RULES)
    return small


def test_it_fires_and_is_equal() -> None:
    """All biases of an encoder, whichever operand they are."""
    for first in (False, True):
        model = _products(bert(Spelling(bias_first=first), width=64, inner=128, words=80))
        outcome = apply(model.clone())
        assert fired(outcome, "FuseIntegerBias") == 13
        assert count(outcome.model, "Add") == count(model, "Add") - 13
        assert_same(model, outcome.model, 1e-5)
        assert_settled(apply, outcome.model)


def _with(bias: Any, twice: bool = False) -> Any:
    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        product = tape.op("MatMul", [x, constant("w", drawn(1))])
        added = constant("b", bias) if bias is not None else x
        total = tape.op("Add", [product, added])
        if twice:
            total = tape.op("Add", [total, constant("c", np.ones(SIZE, np.float32))])
        return [total]

    return _products(graph(build))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (_with(None), "the bias is no constant vector"),
        (_with(np.float32(1.0)), "the bias is no constant vector"),
        (_with(np.ones((1, SIZE), np.float32)), "the bias is no constant vector"),
        (_with(np.ones(1, np.float32)), "the bias is not of one number for each column"),
    ],
)
def test_it_refuses_with_its_reason(model: Any, reason: str) -> None:
    """And leaves the graph as it was."""
    outcome = apply(model.clone())
    assert outcome.fired == ()
    assert [place.reason for place in outcome.refused] == [reason]
    assert kinds(outcome.model) == kinds(model)


def test_one_bias_is_all_that_goes_in() -> None:
    """A second one stays, and the reason is told."""
    model = _with(np.full(SIZE, 2.0, np.float32), twice=True)
    outcome = apply(model.clone())
    assert fired(outcome, "FuseIntegerBias") == 1
    assert [place.reason for place in outcome.refused] == ["the product has a bias already"]
    (before,), (after,) = run(model, normal(1)), run(outcome.model, normal(1))
    assert np.allclose(after, before, rtol=1e-5, atol=1e-5)
    assert not np.allclose(after, before - 2.0, rtol=1e-5, atol=1e-5)


def test_a_product_that_is_read_twice_keeps_its_sum() -> None:
    """Else it would be computed twice, or be another number for one of them."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        product = tape.op("MatMul", [x, constant("w", drawn(1))])
        return [
            tape.op("Add", [product, constant("b", normal(1, 1)[0])]),
            tape.op("Abs", [product]),
        ]

    model = _products(graph(build))
    outcome = apply(model.clone())
    assert outcome.fired == ()
    assert all(map(np.array_equal, run(outcome.model, normal(1)), run(model, normal(1))))
