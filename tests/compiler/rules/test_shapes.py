"""Targets of Reshape become constants where shapes alone decide them; what does nothing goes."""

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
from winnow.compiler.rules.shapes import NAME, constant_shapes, target_of
from winnow.recipe_compile import run_graph


def step(model: Any) -> Outcome:
    """The rule as a step."""
    fired = constant_shapes(probed(model, run_graph))
    drop_unused(model)
    return Outcome(model, tuple(fired))


def _targets(model: Any) -> list[list[int]]:
    return [array_of(n.inputs[1]).tolist() for n in model.graph if n.op_type == "Reshape"]


def test_every_target_of_a_network_is_a_constant() -> None:
    """Thirty nodes of arithmetic go; heads are [0, 0, heads, size], together [0, 0, width]."""
    outcome = proved(step, bert(layers=1), 0.0)
    assert {place.rule for place in outcome.fired} == {NAME}
    assert _targets(outcome.model) == [[0, 0, 4, 4]] * 3 + [[0, 0, 16]]
    assert all(v.name.startswith("shape.") for n in outcome.model.graph for v in n.inputs[1:2]
               if n.op_type == "Reshape")  # fmt: skip


def test_two_sizes_that_are_multiplied_are_what_is_left_over() -> None:
    """(b, t, d) -> (b t, d)."""

    def write(to: Writer) -> Any:
        whole = to.Shape(to.ids)
        both = to.Mul(to.Gather(whole, to.ints(0)), to.Gather(whole, to.ints(1)))
        return to.Reshape(to.looked_up(), to.Concat(both, to.ints(16), axis=0))

    assert _targets(proved(step, sketch(write), 0.0).model) == [[-1, 16]]


def test_sizes_that_need_two_unknowns_stay() -> None:
    """(b, t, d) -> (t, b, d): neither size is at its place, and one only may be left over."""

    def write(to: Writer) -> Any:
        whole = to.Shape(to.ids)
        swapped = to.Concat(
            to.Gather(whole, to.ints(1)), to.Gather(whole, to.ints(0)), to.ints(16), axis=0
        )
        return to.Reshape(to.looked_up(), swapped)

    left_alone(step, sketch(write))


def test_a_target_that_depends_on_a_token_stays() -> None:
    """What it will be is not known, whatever it was."""
    outcome = left_alone(step, bert(Spelling(shapes="opaque", mask="none"), layers=1))
    assert count(outcome.model, "ReduceMin") == 8


def test_a_constant_is_written_as_all_others_are() -> None:
    """[-1, 0, 4, 4] and [0, -1, 16] mean [0, 0, 4, 4] and [0, 0, 16]."""

    def write(to: Writer) -> Any:
        apart = to.Reshape(to.looked_up(), to.ints(-1, 0, 4, 4))
        turned = to.Transpose(to.Tanh(apart), perm=[0, 1, 3, 2])
        return to.Reshape(turned, to.ints(0, -1, 16))

    assert _targets(proved(step, sketch(write), 0.0).model) == [[0, 0, 4, 4], [0, 0, 16]]


def test_zeros_that_mean_zero_do_not_come_to_mean_copies() -> None:
    """With allowzero a 0 is an empty axis: where one stood for a copy, the attribute goes."""

    def write(to: Writer) -> Any:
        whole = to.Shape(to.ids)
        target = to.Concat(whole, to.ints(4, 4), axis=0)
        return to.Reshape(to.looked_up(), target, allowzero=1)

    outcome = proved(step, sketch(write), 0.0)
    assert _targets(outcome.model) == [[0, 0, 4, 4]]
    assert "allowzero" not in outcome.model.graph[-1].attributes


@pytest.mark.parametrize("kind", ["Reshape", "Expand"])
def test_what_does_nothing_goes(kind: str) -> None:
    """A Reshape to the shape that is there, an Expand that spreads nothing."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        return to.Neg(getattr(to, kind)(x, to.Concat(to.Shape(to.ids), to.ints(16), axis=0)))

    outcome = proved(step, sketch(write), 0.0)
    assert len(outcome.fired) >= 1
    assert count(outcome.model, kind) == 0


def test_what_spreads_stays() -> None:
    """An Expand over the messages of a batch does something for all batches but one."""

    def write(to: Writer) -> Any:
        one = to.Unsqueeze(to.ReduceMax(to.looked_up(), axes=[0], keepdims=0), to.ints(0))
        return to.Expand(one, to.Concat(to.Shape(to.ids), to.ints(16), axis=0))

    left_alone(step, sketch(write))


def test_an_output_stays() -> None:
    """What does nothing but is asked for keeps its name."""

    def write(to: Writer) -> Any:
        return to.Expand(to.looked_up(), to.ints(1, 1, 16))

    left_alone(step, sketch(write))


@pytest.mark.parametrize("shapes", ["arithmetic", "constants"])
@pytest.mark.parametrize("keys", ["one", "three"])
def test_no_arithmetic_is_left_of_what_shapes_decide(shapes: str, keys: str) -> None:
    """What stays is what a constant cannot say: (b h, t, d), and back."""
    outcome = proved(step, bert(Spelling(shapes=shapes, keys=keys), layers=1), 0.0)
    computed = [n for n in outcome.model.graph if n.op_type == "Reshape"
                and array_of(n.inputs[1]) is None]  # fmt: skip
    assert len(computed) == (2 if keys == "three" else 0)


@pytest.mark.parametrize(
    ("before", "after", "target"),
    [
        ([(2, 5, 16), (3, 7, 16)], [(2, 5, 4, 4), (3, 7, 4, 4)], [0, 0, 4, 4]),
        ([(2, 5, 16), (3, 7, 16)], [(10, 16), (21, 16)], [-1, 16]),
        ([(10, 16), (21, 16)], [(2, 5, 16), (3, 7, 16)], None),
        ([(1, 5, 16), (1, 7, 16)], [(1, 5, 4, 4), (1, 7, 4, 4)], [0, 0, 4, 4]),
        ([(5, 2), (7, 3)], [(2, 5), (3, 7)], None),
        ([(2, 5, 7), (3, 5, 9)], [(2, 5, 7), (3, 5, 9)], [0, 0, 0]),
    ],
)
def test_targets(before: Any, after: Any, target: list[int] | None) -> None:
    """Copied, constant, left over, or none of them."""
    assert target_of(before, after) == target
    if target is not None:
        for one, other in zip(before, after, strict=True):
            sizes = [one[n] if size == 0 else size for n, size in enumerate(target)]
            assert np.zeros(one).reshape(sizes).shape == other
