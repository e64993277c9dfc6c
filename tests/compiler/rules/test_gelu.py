"""GELU in any spelling becomes one node; another function does not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    by,
    count,
    fired,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.rules.gelu import RULES

# The kernel's polynomial for erf is not that of the node Erf: a few units in the last place.
BOUND = 1e-6
STEP = by(*RULES)
BARE = Spelling(mask="none")
ROOT, INVERSE, SLOPE = math.sqrt(2), math.sqrt(0.5), math.sqrt(2 / math.pi)


def _spelt(how: str, opset: int = 17) -> Any:
    spelling = replace(BARE, gelu=how, opset=opset)
    return sketch(lambda to: to.gelu(to.Mul(to.looked_up(), to.number(4.0))), spelling)


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ("erf", "ErfGelu"),
        ("product", "ErfGelu"),
        ("half first", "ErfGeluOfHalf"),
        ("halved", "ErfGeluHalved"),
        ("tanh", "TanhGelu"),
    ],
)
@pytest.mark.parametrize("opset", [17, 20])
def test_each_spelling_becomes_one_node(how: str, rule: str, opset: int) -> None:
    """ONNX's own from opset 20, before that ONNX Runtime's; each of its form."""
    outcome = proved(STEP, _spelt(how, opset), BOUND)
    assert fired(outcome, rule) == len(outcome.fired) == 1
    [node] = [n for n in outcome.model.graph if n.op_type in ("Gelu", "FastGelu")]
    fast = how == "tanh"
    if opset >= 20:
        assert (node.domain, node.op_type) == ("", "Gelu")
        assert node.attributes["approximate"].value == ("tanh" if fast else "none")
    else:
        assert node.domain == "com.microsoft"
        assert node.op_type == ("FastGelu" if fast else "Gelu")
    assert len(list(outcome.model.graph)) == 3


def test_half_in_between_of_the_tangent() -> None:
    """Half may be at the other factor: x (0.5 (1 + tanh ...))."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        cube = to.Mul(to.number(0.044715), to.Pow(x, to.number(3.0)))
        rest = to.Add(to.number(1.0), to.Tanh(to.Mul(to.number(SLOPE), to.Add(cube, x))))
        return to.Mul(x, to.Mul(to.number(0.5), rest))

    outcome = proved(STEP, sketch(write), BOUND)
    assert fired(outcome, "TanhGeluHalved") == 1
    assert count(outcome.model, "FastGelu") == 1


def _erf(half: float = 0.5, one: float = 1.0, root: float = ROOT) -> Any:
    def write(to: Writer) -> Any:
        x = to.looked_up()
        rest = to.Add(to.Erf(to.Div(x, to.number(root))), to.number(one))
        return to.Mul(to.Mul(x, rest), to.number(half))

    return sketch(write)


def _tanh(slope: float = SLOPE, cubic: float = 0.044715, three: float = 3.0) -> Any:
    def write(to: Writer) -> Any:
        x = to.Abs(to.looked_up())
        cube = to.Mul(to.Pow(x, to.number(three)), to.number(cubic))
        rest = to.Add(to.Tanh(to.Mul(to.Add(x, cube), to.number(slope))), to.number(1.0))
        return to.Mul(to.Mul(x, to.number(0.5)), rest)

    return sketch(write)


@pytest.mark.parametrize(
    ("model", "rule", "reason"),
    [
        (_erf(half=0.4), "ErfGelu", "half is 0.4"),
        (_erf(one=1.5), "ErfGelu", "one is 1.5, not 1"),
        (_erf(root=1.5), "ErfGelu", "root is 1.5, not 1.41421"),
        (_tanh(slope=0.9), "TanhGelu", "slope is 0.9"),
        (_tanh(cubic=0.05), "TanhGelu", "cubic is 0.05"),
        (_tanh(three=2.0), "TanhGelu", "three is 2, not 3"),
    ],
)
def test_another_function_stays(model: Any, rule: str, reason: str) -> None:
    """One constant that differs is another function, and the reason says which."""
    outcome = left_alone(STEP, model)
    [why] = reasons(outcome, rule)
    assert why.startswith(reason)


@pytest.mark.parametrize(("root", "fires"), [(1.4141, True), (1.4144, False)])
def test_constants_may_be_cut_off_after_four_digits(root: float, fires: bool) -> None:
    """Some were typed by hand; answers are compared by whoever applies the rule."""
    assert bool(STEP(_erf(root=root)).fired) == fires


def test_inverse_of_another_root_stays() -> None:
    """A quotient, x / sqrt 2, is not x * sqrt 2."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        rest = to.Add(to.Erf(to.Mul(x, to.number(ROOT))), to.number(1.0))
        return to.Mul(to.Mul(x, rest), to.number(0.5))

    outcome = left_alone(STEP, sketch(write))
    assert {why[:18] for why in reasons(outcome, "ErfGelu")} == {"inverse is 1.41421"}


def test_a_vector_of_halves_stays() -> None:
    """What is one number for each dimension is no constant of GELU."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        rest = to.Add(to.Erf(to.Div(x, to.number(ROOT))), to.number(1.0))
        return to.Mul(to.Mul(x, rest), to.constant("halves", np.full(16, 0.5, np.float32)))

    outcome = left_alone(STEP, sketch(write))
    assert reasons(outcome, "ErfGelu") == {"half is no constant number"}


def test_two_arguments_are_no_gelu() -> None:
    """Something times a gate of something else is a gated unit."""

    def write(to: Writer) -> Any:
        x, y = to.looked_up(), to.Tanh(to.looked_up())
        rest = to.Add(to.Erf(to.Div(y, to.number(ROOT))), to.number(1.0))
        return to.Mul(to.Mul(x, rest), to.number(0.5))

    left_alone(STEP, sketch(write))


def test_a_gate_that_is_read_elsewhere_stays() -> None:
    """What else reads 1 + erf would have nothing to read."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        rest = to.Add(to.Erf(to.Div(x, to.number(ROOT))), to.number(1.0))
        return to.Mul(to.Mul(x, rest), to.number(0.5)), rest

    outcome = left_alone(STEP, sketch(write))
    assert any("other uses" in why for why in reasons(outcome, "ErfGelu"))
