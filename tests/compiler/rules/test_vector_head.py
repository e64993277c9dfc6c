"""A head of one number a token is a product with a vector; other heads are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Writer,
    by,
    count,
    fired,
    kinds,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.graph import array_of
from winnow.compiler.rules.vector_head import RULES

BOUND = 2e-6  # a product with a vector sums in another order
STEP = by(*RULES)
RULE = "VectorHead"


def _head(to: Writer, axis: int = -1, kernel: Any = None, bias: Any = None, x: Any = None) -> Any:
    column = to.weight("head.kernel", 16, 1) if kernel is None else kernel
    number = to.weight("head.bias", 1) if bias is None else bias
    product = to.MatMul(to.looked_up() if x is None else x, column)
    return to.Squeeze(to.Add(product, number), to.ints(axis))


@pytest.mark.parametrize("axis", [-1, 2])
def test_an_axis_less_is_a_node_less(axis: int) -> None:
    """The vector is the column, the number has no axis; the output keeps its name."""
    model = sketch(lambda to: _head(to, axis))
    outcome = proved(STEP, model, BOUND)
    assert fired(outcome, RULE) == len(outcome.fired) == 1
    assert kinds(outcome.model) == ["Gather", "MatMul", "Add"]
    product, add = outcome.model.graph[1], outcome.model.graph[2]
    column = array_of(model.graph.initializers["head.kernel"])
    assert np.array_equal(array_of(product.inputs[1]), column[:, 0])
    assert array_of(add.inputs[1]).shape == ()
    assert outcome.model.graph.outputs[0].name == "out0"


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (
            lambda to: _head(to, kernel=to.Tanh(to.weight("k", 16, 1))),
            "the kernel is no constant column",
        ),
        (
            lambda to: _head(to, kernel=to.weight("k", 1, 16, 1)),
            "the kernel is no constant column",
        ),
        (
            lambda to: _head(to, bias=to.Tanh(to.weight("b", 1))),
            "the bias is no constant number",
        ),
        (
            lambda to: _head(to, bias=to.weight("b", 1, 1)),
            "the bias is no constant number",
        ),
        (
            lambda to: _head(to, axis=1, x=to.mean(to.looked_up(), 1)),
            "another axis is taken away",
        ),
    ],
    ids=["computed", "stacked", "bias", "matrix", "axis"],
)
def test_another_head_stays(write: Any, reason: str) -> None:
    """The reason says which part differs."""
    outcome = left_alone(STEP, sketch(write))
    assert reasons(outcome, RULE) == {reason}


def test_two_numbers_a_token_stay() -> None:
    """There is no axis to take away."""

    def write(to: Writer) -> Any:
        two = to.dense(to.looked_up(), "head", 16, 2)
        return to.Squeeze(to.Slice(two, to.ints(0), to.ints(1), to.ints(2)), to.ints(2))

    left_alone(STEP, sketch(write))


def test_a_head_that_is_read_with_its_axis_stays() -> None:
    """What else reads it would have an axis too few."""

    def write(to: Writer) -> Any:
        shares = _head(to)
        return shares, shares.producer().inputs[0]

    outcome = left_alone(STEP, sketch(write))
    assert count(outcome.model, "Squeeze") == 1
