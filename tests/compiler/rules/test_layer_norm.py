"""Layer normalisation spelt out becomes one node; a mean of something else does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    by,
    count,
    kinds,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.graph import array_of
from winnow.compiler.rules.layer_norm import RULES

# The kernel sums in another order; what it gives is of the size of its scale, about 1.
BOUND = 2e-6
STEP = by(*RULES)
BARE = Spelling(mask="none")
RULE = "SpeltOutLayerNorm"


@pytest.mark.parametrize("how", ["spelt out", "squared"])
@pytest.mark.parametrize("opset", [17, 18])
def test_nine_nodes_become_one(how: str, opset: int) -> None:
    """Axes may be an attribute or, from opset 18, an input; a square a power or a product."""
    spelling = replace(BARE, norm=how, opset=opset)
    outcome = proved(STEP, sketch(lambda to: to.norm(to.looked_up(), "n"), spelling), BOUND)
    assert [place.rule for place in outcome.fired] == [RULE]
    assert kinds(outcome.model) == ["Gather", "LayerNormalization"]
    node = outcome.model.graph[-1]
    assert node.attributes["axis"].value == -1
    assert node.attributes["epsilon"].value == pytest.approx(1e-12)
    assert [array_of(v).shape for v in node.inputs[1:]] == [(16,), (16,)]


def _norm(
    to: Writer,
    axes: tuple[int, ...] = (-1,),
    keep: int = 1,
    power: float = 2.0,
    epsilon: Any = None,
    size: tuple[int, ...] = (16,),
    shift: tuple[int, ...] = (16,),
) -> Any:
    x = to.looked_up()
    apart = to.Sub(x, to.ReduceMean(x, axes=list(axes), keepdims=keep))
    square = to.Pow(apart, to.number(power))
    variance = to.ReduceMean(square, axes=list(axes), keepdims=keep)
    root = to.Sqrt(to.Add(variance, to.number(0.25) if epsilon is None else epsilon(to)))
    scaled = to.Mul(to.Div(apart, root), to.weight("scale", *size, around=1.0))
    return to.Add(scaled, to.weight("shift", *shift))


def test_epsilon_is_kept() -> None:
    """A large one is seen in every number."""
    outcome = proved(STEP, sketch(_norm), BOUND)
    assert outcome.model.graph[-1].attributes["epsilon"].value == 0.25


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda to: _norm(to, axes=(1,)), "the mean is not that of the last axis"),
        (lambda to: _norm(to, axes=(1, 2)), "the mean is not that of the last axis"),
        (lambda to: _norm(to, power=4.0), "the power is not 2"),
        (
            lambda to: _norm(to, epsilon=lambda to: to.constant("e", np.full(16, 0.1, np.float32))),
            "epsilon is no constant number",
        ),
        (
            lambda to: _norm(to, epsilon=lambda to: to.Abs(to.ReduceMax(to.looked_up()))),
            "epsilon is no constant number",
        ),
        (lambda to: _norm(to, size=(1, 16)), "scale or shift is no constant vector"),
        (lambda to: _norm(to, size=(1,)), "scale or shift is no constant vector"),
        (lambda to: _norm(to, shift=(1, 16)), "scale or shift is no constant vector"),
        (lambda to: _norm(to, shift=(1,)), "scale or shift is no constant vector"),
    ],
)
def test_another_norm_stays(write: Any, reason: str) -> None:
    """Each part is looked at; the reason says which one differs."""
    outcome = left_alone(STEP, sketch(write))
    assert reasons(outcome, RULE) == {reason}


def test_a_mean_without_its_axis_stays() -> None:
    """Of one row of one message the axis may be dropped and the sum still be spread: no norm."""

    def write(to: Writer) -> Any:
        x = to.ReduceMean(to.looked_up(), axes=[0, 1], keepdims=0)
        apart = to.Sub(x, to.ReduceMean(x, axes=[-1], keepdims=0))
        variance = to.ReduceMean(to.Mul(apart, apart), axes=[-1], keepdims=0)
        root = to.Sqrt(to.Add(variance, to.number(0.25)))
        scaled = to.Mul(to.Div(apart, root), to.weight("scale", 16, around=1.0))
        return to.Add(scaled, to.weight("shift", 16))

    outcome = left_alone(STEP, sketch(write))
    assert reasons(outcome, RULE) == {"the mean is not that of the last axis"}


def test_the_mean_of_another_value_stays() -> None:
    """A difference of x and the mean of y is no layer normalisation of either."""

    def write(to: Writer) -> Any:
        x, y = to.looked_up(), to.Tanh(to.looked_up())
        apart = to.Sub(x, to.mean(y, -1))
        root = to.Sqrt(to.Add(to.mean(to.Mul(apart, apart), -1), to.number(0.25)))
        scaled = to.Mul(to.Div(apart, root), to.weight("scale", 16, around=1.0))
        return to.Add(scaled, to.weight("shift", 16))

    left_alone(STEP, sketch(write))


def test_a_graph_of_an_older_opset_stays() -> None:
    """Its operators do not know LayerNormalization; opening a file raises the opset (graph.py)."""
    spelling = replace(BARE, norm="spelt out", opset=16)
    outcome = left_alone(STEP, sketch(lambda to: to.norm(to.looked_up(), "n"), spelling))
    assert reasons(outcome, RULE) == {"LayerNormalization came with opset 17"}
    assert count(outcome.model, "LayerNormalization") == 0
