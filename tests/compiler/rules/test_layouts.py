"""A chain that only moves numbers about becomes one Transpose, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    bert,
    count,
    fired,
    kinds,
    left_alone,
    proved,
    sketch,
)
from winnow.compiler.graph import drop_unused
from winnow.compiler.passes import Outcome
from winnow.compiler.probe import probed
from winnow.compiler.rules.layouts import NAME, one_transpose, permutation
from winnow.recipe_compile import run_graph


def step(model: Any) -> Outcome:
    """The rule as a step."""
    places = one_transpose(probed(model, run_graph))
    drop_unused(model)
    return Outcome(model, tuple(places))


def _orders(model: Any) -> list[list[int]]:
    return [list(n.attributes["perm"].value) for n in model.graph if n.op_type == "Transpose"]


@pytest.mark.parametrize("mask", ["none", "bare"])
def test_keys_turned_in_four_moves_are_turned_in_one(mask: str) -> None:
    """(b, t, h, d) -> (b, h, d, t) by way of (b h, t, d); rows without a key are no obstacle."""
    spelling = Spelling(mask=mask, keys="three", shapes="constants")
    outcome = proved(step, bert(spelling), 0.0)
    assert fired(outcome, NAME) == len(outcome.fired) == 2
    assert _orders(outcome.model).count([0, 2, 3, 1]) == 2
    assert count(outcome.model, "Reshape") == 2 * 4


def test_moves_that_undo_each_other_go() -> None:
    """A Transpose there and back again is nothing."""

    def write(to: Writer) -> Any:
        there = to.Transpose(to.Tanh(to.looked_up()), perm=[0, 2, 1])
        return to.Neg(to.Transpose(there, perm=[0, 2, 1]))

    outcome = proved(step, sketch(write), 0.0)
    assert fired(outcome, NAME) == 1
    assert kinds(outcome.model) == ["Gather", "Tanh", "Neg"]


def test_squeezing_and_stretching_count_as_moves() -> None:
    """An axis that comes and goes."""

    def write(to: Writer) -> Any:
        wide = to.Unsqueeze(to.looked_up(), to.ints(1))
        turned = to.Transpose(wide, perm=[0, 1, 3, 2])
        return to.Neg(to.Squeeze(turned, to.ints(1)))

    outcome = proved(step, sketch(write), 0.0)
    assert _orders(outcome.model) == [[0, 2, 1]]
    assert len(kinds(outcome.model)) == 3


def test_one_move_stays() -> None:
    """It is one already."""
    spelling = Spelling(mask="none", shapes="constants")
    outcome = left_alone(step, bert(spelling))
    assert count(outcome.model, "Transpose") == 8


def test_heads_that_are_taken_apart_stay() -> None:
    """A Reshape that makes another number of axes is no permutation."""

    def write(to: Writer) -> Any:
        apart = to.Reshape(to.looked_up(), to.ints(0, 0, 4, 4))
        return to.Neg(to.Reshape(to.Transpose(apart, perm=[0, 1, 3, 2]), to.ints(0, 0, 16)))

    left_alone(step, sketch(write))


def test_a_value_in_between_that_is_read_stays() -> None:
    """What else reads it would be computed twice; whoever asks for its shape reads no number."""

    def write(to: Writer, read: str) -> Any:
        there = to.Transpose(to.looked_up(), perm=[0, 2, 1])
        back = to.Neg(to.Transpose(there, perm=[0, 2, 1]))
        if read == "shape":
            return to.Add(back, to.Cast(to.ReduceMax(to.Shape(there), keepdims=0), to=1))
        return back, to.Neg(there) if read == "numbers" else there

    left_alone(step, sketch(lambda to: write(to, "numbers")))
    left_alone(step, sketch(lambda to: write(to, "output")))
    outcome = proved(step, sketch(lambda to: write(to, "shape")), 0.0)
    assert fired(outcome, NAME) == 1


def test_a_chain_whose_end_is_moved_on_twice_is_one() -> None:
    """Each of two readers takes its numbers apart in another way."""

    def write(to: Writer) -> Any:
        there = to.Transpose(to.Tanh(to.looked_up()), perm=[1, 0, 2])
        end = to.Transpose(there, perm=[1, 2, 0])
        one, other = to.Reshape(end, to.ints(0, 4, 4, -1)), to.Reshape(end, to.ints(0, 2, 8, -1))
        return to.Neg(one), to.Neg(other)

    outcome = proved(step, sketch(write), 0.0)
    assert _orders(outcome.model) == [[0, 2, 1]]


def test_a_chain_that_ends_as_an_output_stays() -> None:
    """The output keeps its name."""

    def write(to: Writer) -> Any:
        there = to.Transpose(to.Tanh(to.looked_up()), perm=[0, 2, 1])
        return to.Transpose(there, perm=[0, 2, 1])

    left_alone(step, sketch(write))


def test_the_longest_chain_is_found() -> None:
    """Four moves in a row become one, not two."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        for axes in ([1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 0, 2]):
            x = to.Transpose(x, perm=axes)
        return to.Neg(x)

    outcome = proved(step, sketch(write), 0.0)
    assert len(_orders(outcome.model)) == 1


def _arrays(*shapes: tuple[int, ...]) -> list[Any]:
    chance = np.random.default_rng(1)
    return [chance.normal(size=shape).astype(np.float32) for shape in shapes]


def test_permutations() -> None:
    """The order of the axes, for every pair; None where there is none."""
    some = _arrays((2, 3, 4), (5, 3, 2))
    assert permutation(some, [a.transpose(2, 0, 1) for a in some]) == [2, 0, 1]
    assert permutation(some, some) == [0, 1, 2]
    assert permutation(some, [a + 1 for a in some]) is None
    assert permutation(some, [some[0].transpose(2, 0, 1), some[1]]) is None
    assert permutation(some, [a.reshape(a.shape[0], -1) for a in some]) is None
    assert permutation(some, [a.reshape(a.transpose(1, 0, 2).shape) for a in some]) is None
    assert permutation(_arrays((2, 3, 4, 5, 6)), _arrays((2, 3, 4, 5, 6))) is None
    assert permutation([np.arange(6).reshape(2, 3)], [np.arange(6).reshape(2, 3)]) is None
    flat = _arrays((3, 4), (5, 2))
    assert permutation(flat, [a.T for a in flat]) == [1, 0]
    assert permutation(_arrays((3,)), _arrays((3,))) is None
    assert permutation(None, some) is None
    assert permutation(some, None) is None
    holes = [np.where(a > 1, np.nan, a) for a in some]
    assert permutation(holes, [a.transpose(1, 0, 2) for a in holes]) == [1, 0, 2]


def test_a_network_whose_shapes_are_computed_is_moved_as_well() -> None:
    """The chain's own targets are arithmetic on the shapes of what is moved."""
    spelling = replace(Spelling(mask="none"), keys="three")
    assert fired(proved(step, bert(spelling, layers=1), 0.0), NAME) == 1
