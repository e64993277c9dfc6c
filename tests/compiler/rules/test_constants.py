"""What is always the same becomes a constant; what only was so for the probes does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    bert,
    count,
    left_alone,
    proved,
    sketch,
)
from winnow.compiler.graph import array_of, drop_unused
from winnow.compiler.passes import Outcome
from winnow.compiler.probe import probed
from winnow.compiler.rules.constants import NAME, constants
from winnow.recipe_compile import run_graph

MASKED = Spelling()


def step(model: Any) -> Outcome:
    """The rule as a step."""
    fired = constants(probed(model, run_graph))
    drop_unused(model)
    return Outcome(model, tuple(fired))


def _tokens(to: Writer) -> Any:
    return to.Slice(to.Shape(to.ids), to.ints(1), to.ints(2), to.ints(0))


def test_a_root_of_a_shape_becomes_a_number() -> None:
    """sqrt(d) of a vector's width depends on shapes, and is the same for all."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        width = to.Slice(to.Shape(x), to.ints(2), to.ints(3), to.ints(0))
        return to.Div(x, to.Sqrt(to.Cast(width, to=1)))

    outcome = proved(step, sketch(write), 0.0)
    assert [place.rule for place in outcome.fired] == [NAME]
    assert count(outcome.model, "Shape") == count(outcome.model, "Sqrt") == 0
    assert array_of(outcome.model.graph[-1].inputs[1]) == pytest.approx([4.0])


def test_arithmetic_of_weights_becomes_a_weight() -> None:
    """A transposed kernel is turned once."""

    def write(to: Writer) -> Any:
        kernel = to.Transpose(to.weight("kernel", 8, 16), perm=[1, 0])
        return to.MatMul(to.looked_up(), kernel)

    outcome = proved(step, sketch(write), 2e-6)  # weights are packed
    assert len(outcome.fired) == 1
    assert count(outcome.model, "Transpose") == 0
    assert array_of(outcome.model.graph[-1].inputs[1]).shape == (16, 8)


def test_numbers_without_axes_keep_none() -> None:
    """A place in a list has no axis, or a token would be taken with one too many."""

    def write(to: Writer) -> Any:
        zero = to.Sub(to.constant("one", np.int64(1)), to.constant("another", np.int64(1)))
        return to.Gather(to.looked_up(), zero, axis=1)

    outcome = proved(step, sketch(write), 0.0)
    assert array_of(outcome.model.graph[-1].inputs[1]).shape == ()


@pytest.mark.parametrize("limit", [20, 100, 511])
def test_a_switch_at_a_number_of_tokens_stays(limit: int) -> None:
    """Short messages are all on one side of it."""

    def write(to: Writer) -> Any:
        long = to.Greater(_tokens(to), to.ints(limit))
        x = to.looked_up()
        return to.Where(long, to.Neg(x), x)

    left_alone(step, sketch(write))


def test_a_switch_at_a_number_of_messages_stays() -> None:
    """One message and three are not the same batch."""

    def write(to: Writer) -> Any:
        batch = to.Slice(to.Shape(to.ids), to.ints(0), to.ints(1), to.ints(0))
        x = to.looked_up()
        return to.Where(to.Greater(batch, to.ints(2)), to.Neg(x), x)

    left_alone(step, sketch(write))


def test_what_differs_by_shape_stays() -> None:
    """The number of tokens, and zeros for each of them."""

    def write(to: Writer) -> Any:
        count = to.Cast(_tokens(to), to=1)
        spread = to.Expand(to.number(0.0), to.Shape(to.ids))
        return to.Add(to.Div(to.looked_up(), count), to.Unsqueeze(spread, to.ints(2)))

    left_alone(step, sketch(write))


def test_what_depends_on_tokens_stays_even_if_it_never_differs() -> None:
    """0 times a token is 0 for these; that is no proof, and infinity would be another."""

    def write(to: Writer) -> Any:
        zero = to.ReduceMax(to.Mul(to.Cast(to.ids, to=1), to.number(0.0)), keepdims=0)
        return to.Add(to.looked_up(), zero)

    left_alone(step, sketch(write))


def test_what_depends_on_the_mask_stays() -> None:
    """The largest of a mask is 1 for every message that has a token."""

    def write(to: Writer) -> Any:
        largest = to.ReduceMax(to.inputs[1], keepdims=0)
        return to.Add(to.looked_up(), to.Cast(largest, to=1))

    left_alone(step, sketch(write, MASKED))


def test_chance_stays() -> None:
    """What is drawn anew is no constant, though it needs no input."""

    def write(to: Writer) -> Any:
        drawn = to.RandomUniform(shape=[16], seed=1.0, low=0.5, high=0.5000001)
        return to.Add(to.looked_up(), drawn)

    model = sketch(write)
    assert step(model).fired == ()
    assert count(model, "RandomUniform") == 1


def test_an_output_stays_an_output() -> None:
    """A constant that is asked for keeps its name and its maker."""

    def write(to: Writer) -> Any:
        number = to.Add(to.number(1.0), to.number(2.0))
        return to.Mul(to.looked_up(), number), number

    left_alone(step, sketch(write))


def test_a_network_of_constants_has_none_left() -> None:
    """Nothing to find in a graph whose shapes are written out, nor a second time."""
    model = bert(Spelling(shapes="constants", mask="none", positions="sliced"), layers=1)
    left_alone(step, model)
