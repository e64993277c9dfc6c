"""A bias around a skip goes into the norm's shift and the biases beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    bert,
    count,
    fired,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.fold import folded
from winnow.compiler.graph import array_of, drop_unused
from winnow.compiler.passes import Outcome
from winnow.compiler.rules.absorb_bias import NAME, absorbed_biases
from winnow.recipe_compile import run_graph

# Sums of weights are rounded once, in 64 bits; what is added in another order is of about 10.
BOUND = 1e-5
MORE = "what is skipped is read by more than products with weights"


def step(model: Any) -> Outcome:
    """The rule as a step."""
    fired, refused = absorbed_biases(model)
    drop_unused(model)
    return Outcome(model, tuple(fired), tuple(refused))


def _block(to: Writer, x: Any, name: str = "up") -> Any:
    """A layer around which x goes, normalised after it."""
    up = to.Tanh(to.dense(x, name, 16, 32))
    return to.norm(to.Add(to.dense(up, f"{name}.down", 32, 16), x), f"{name}.after")


def test_a_layer_loses_its_addition() -> None:
    """By hand: shift' = shift + b and c' = c - b W."""
    model = sketch(lambda to: _block(to, to.norm(to.looked_up(), "before")))
    weights = {name: array_of(v).astype(np.float64) for name, v in model.graph.initializers.items()}
    outcome = proved(step, model, BOUND)
    assert [place.rule for place in outcome.fired] == [NAME]
    assert count(outcome.model, "Add") == count(model, "Add") - 1
    norm = next(n for n in outcome.model.graph if n.op_type == "LayerNormalization")
    bias = weights["up.down.bias"]
    assert np.allclose(array_of(norm.inputs[2]), weights["before.shift"] + bias, atol=1e-6)
    first = next(n for n in outcome.model.graph if n.op_type == "Add")
    wanted = weights["up.bias"] - bias @ weights["up.kernel"]
    assert np.allclose(array_of(first.inputs[1]), wanted, atol=1e-6)


@pytest.mark.parametrize("first", [False, True])
def test_both_biases_of_every_layer_go(first: bool) -> None:
    """In a BERT, whichever side of the sum the bias is on; Q, K, V and the next layer pay back."""
    model = folded(bert(Spelling(bias_first=first)), run_graph).model
    outcome = proved(step, model, BOUND)
    assert fired(outcome, NAME) == 4
    assert count(outcome.model, "Add") == count(model, "Add") - 4
    assert outcome.refused == ()


def test_one_token_of_what_is_skipped_counts() -> None:
    """After pooling the last layer's skip is the first token's row of the norm."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        first = to.Gather(x, to.constant("0", np.int64(0)), axis=1)
        beside = to.mean(to.Tanh(to.dense(x, "other", 16, 16)), 1, keepdims=0)
        return to.Add(_block(to, first), beside)

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) == 1


def test_weights_that_two_layers_share_are_not_changed_for_the_other() -> None:
    """Each gets its own bias and shift; the kernel stays one."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        for _ in range(2):
            x = _block(to, x)
        shared = to.norm(to.Tanh(to.looked_up()), "before")
        return to.Add(x, to.dense(to.Tanh(to.dense(shared, "up", 16, 32)), "up.down", 32, 16))

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) == 2
    kernels = {n.inputs[1].name for n in outcome.model.graph if n.op_type == "MatMul"}
    assert kernels == {"up.kernel", "up.down.kernel"}


def _refused(write: Any) -> set[str]:
    return reasons(left_alone(step, sketch(write)), NAME)


def test_a_skip_around_what_is_no_norm_stays() -> None:
    """As where the norm comes first: there is no shift to put the bias into."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        inner = to.dense(to.norm(x, "first"), "up", 16, 16)
        return to.norm(to.Add(inner, x), "after")

    assert _refused(write) == {"what is skipped is no layer normalisation's"}


def test_a_norm_without_a_shift_stays() -> None:
    """The bias would need a weight that is not there."""

    def write(to: Writer) -> Any:
        x = to.LayerNormalization(to.looked_up(), to.weight("s", 16, around=1.0))
        return _block(to, x)

    assert _refused(write) == {"what is skipped is no layer normalisation's"}


@pytest.mark.parametrize(
    "beside",
    [
        lambda to, x: to.Tanh(x),
        lambda to, x: to.MatMul(x, to.Transpose(x, perm=[0, 2, 1])),
        lambda to, x: to.MatMul(x, to.weight("bare", 16, 16)),
        lambda to, x: to.Mul(to.MatMul(x, to.weight("bare", 16, 16)), to.number(2.0)),
        lambda to, x: to.Add(to.MatMul(x, to.weight("bare", 16, 16)), to.weight("m", 1, 16)),
        lambda to, x: to.MatMul(to.weight("before", 16, 16), to.Transpose(x, perm=[0, 2, 1])),
        lambda to, x: to.Neg(to.Gather(x, to.constant("0", np.int64(0)), axis=0)),
        lambda to, x: to.Neg(to.Gather(x, to.constant("0", np.int64(0)), axis=1)),
    ],
    ids=["tanh", "itself", "output", "scaled", "matrix", "turned", "message", "token"],
)
def test_what_else_reads_the_skip_keeps_it_as_it_is(beside: Any) -> None:
    """It would see the bias and could not give it back."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        return _block(to, x), beside(to, x)

    assert _refused(write) == {MORE}


def test_a_skip_that_is_an_output_stays() -> None:
    """A model that gives its hidden states away gives them unchanged."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        return _block(to, x), x

    assert _refused(write) == {MORE}


def test_a_product_that_is_an_output_stays() -> None:
    """The product without its bias, asked for, would change."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        product = to.MatMul(x, to.weight("kernel", 16, 16))
        up = to.Tanh(to.Add(product, to.weight("bias", 16)))
        return to.norm(to.Add(to.dense(up, "down", 16, 16), x), "after"), product

    assert _refused(write) == {MORE}


def test_a_product_read_twice_stays() -> None:
    """Two sums would each have to give the bias back."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        product = to.MatMul(x, to.weight("kernel", 16, 16))
        up = to.Add(to.Tanh(to.Add(product, to.weight("bias", 16))), to.Neg(product))
        return to.norm(to.Add(to.dense(up, "down", 16, 16), x), "after")

    assert _refused(write) == {MORE}


def test_one_product_around_which_its_own_input_goes_stays() -> None:
    """norm(x + x W + b): the sum that would give the bias back is the one that is taken out."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        return to.norm(to.Add(to.dense(x, "only", 16, 16), x), "after")

    assert _refused(write) == {MORE}


@pytest.mark.parametrize("output", [False, True])
def test_an_inner_sum_that_is_read_elsewhere_is_no_place(output: bool) -> None:
    """What else reads it needs the bias in it."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "before")
        inner = to.dense(to.Tanh(to.dense(x, "up", 16, 32)), "down", 32, 16)
        return to.norm(to.Add(inner, x), "after"), inner if output else to.Neg(inner)

    assert _refused(write) == set()
