"""Scores are scaled after their product, by one number, however the exporter spelt it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    bert,
    by,
    count,
    fired,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.graph import array_of, copied
from winnow.compiler.rules.scale import (
    RULES,
    DivToMul,
    ScaleAfter,
    ScaleBothAfter,
    ScaleOfDivAfter,
)

# One product is rounded in another place: 32-bit floats have 7 digits, scores here are below 100.
BOUND = 2e-5
STEP = by(*RULES)


def _scores(to: Writer, q: Any = None, k: Any = None) -> tuple[Any, Any]:
    """Vectors of tokens, and their transpose: (b, t, d), (b, d, t)."""
    x = to.looked_up() if q is None else q
    return x, to.Transpose(to.Tanh(x) if k is None else k, perm=[0, 2, 1])


def _factor(model: Any) -> float:
    """The one number that scores are multiplied with."""
    [mul] = [node for node in model.graph if node.op_type == "Mul"]
    [number] = [array_of(v) for v in mul.inputs if v.const_value is not None]
    assert mul.inputs[0].producer().op_type == "MatMul"
    return float(number)


def test_quotients_become_products() -> None:
    """Div(q k, 8) -> Mul(q k, 1/8)."""

    def write(to: Writer) -> Any:
        return to.Div(to.MatMul(*_scores(to)), to.number(8.0))

    outcome = proved(STEP, sketch(write), BOUND)
    assert fired(outcome, "DivToMul") == 1
    assert count(outcome.model, "Div") == 0
    assert _factor(outcome.model) == 0.125


def test_two_factors_become_one() -> None:
    """(q a) (k b) -> (q k) a b."""

    def write(to: Writer) -> Any:
        q, k = _scores(to)
        return to.MatMul(to.Mul(q, to.number(0.5)), to.Mul(to.number(0.25), k))

    outcome = proved(STEP, sketch(write), BOUND)
    assert fired(outcome, "ScaleBothAfter") == 1
    assert _factor(outcome.model) == 0.125


def test_the_query_s_factor_comes_after() -> None:
    """(q a) k -> (q k) a."""

    def write(to: Writer) -> Any:
        q, k = _scores(to)
        return to.MatMul(to.Mul(q, to.number(0.3)), k)

    outcome = proved(STEP, sketch(write), BOUND)
    assert fired(outcome, "ScaleAfter") == 1
    assert _factor(outcome.model) == pytest.approx(0.3)


def test_the_query_s_divisor_comes_after() -> None:
    """(q / a) k -> (q k) / a, as a product."""

    def write(to: Writer) -> Any:
        q, k = _scores(to)
        return to.MatMul(to.Div(q, to.number(4.0)), k)

    outcome = proved(STEP, sketch(write), BOUND)
    assert fired(outcome, "ScaleOfDivAfter") == 1
    assert _factor(outcome.model) == 0.25


@pytest.mark.parametrize("how", ["divided", "both", "query", "query divided"])
def test_a_whole_network_has_one_spelling(how: str) -> None:
    """Each layer's scores end as Mul(MatMul, number)."""
    outcome = proved(STEP, bert(Spelling(scale=how)), BOUND)
    assert len(outcome.fired) == 2
    scaled = [node for node in outcome.model.graph if node.op_type == "Mul"]
    after = [n for n in scaled if n.inputs[0].producer().op_type == "MatMul"]
    assert [float(array_of(n.inputs[1])) for n in after] == pytest.approx([0.5, 0.5])


def test_two_scores_of_one_query_keep_their_own_numbers() -> None:
    """The second one's number must not take the place of the first one's, which has its name."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        q, k = _scores(to, x)
        other = to.Transpose(to.Sigmoid(x), perm=[0, 2, 1])
        ours = to.Div(to.MatMul(q, k), to.number(4.0))
        return to.Add(ours, to.Div(to.MatMul(q, other), to.number(0.5)))

    outcome = proved(STEP, sketch(write), BOUND)
    numbers = {float(array_of(n.inputs[1])) for n in outcome.model.graph if n.op_type == "Mul"}
    assert numbers == {0.25, 2.0}


def _divided(by_what: Any) -> Any:
    def write(to: Writer) -> Any:
        return to.Div(to.MatMul(*_scores(to)), by_what(to))

    return sketch(write)


@pytest.mark.parametrize(
    "divisor",
    [
        lambda to: to.constant("vector", np.full(1, 2.0, np.float32).reshape(1, 1, 1, 1)),
        lambda to: to.constant("column", np.full((1, 1, 1), 2.0, np.float32)),
        lambda to: to.Add(to.ReduceMax(to.looked_up(), keepdims=0), to.number(1.0)),
    ],
)
def test_other_divisors_stay(divisor: Any) -> None:
    """A number with axes may spread the scores, and one that is computed is not known."""
    outcome = left_alone(by(DivToMul), _divided(divisor))
    assert reasons(outcome, "DivToMul") == {"the divisor is no constant number"}


def test_zero_and_less_precise_numbers_stay() -> None:
    """Infinity is no factor; a number of another type would not fit beside the scores."""

    def half(to: Writer) -> Any:
        low = to.Cast(to.looked_up(), to=10)
        scores = to.MatMul(low, to.Transpose(low, perm=[0, 2, 1]))
        return to.Cast(to.Div(scores, to.constant("two", np.float16(2.0))), to=1)

    outcome = left_alone(by(DivToMul), sketch(half))
    assert reasons(outcome, "DivToMul") == {"the divisor is no constant number"}
    zero = _divided(lambda to: to.number(0.0))
    outcome = by(DivToMul)(copied(zero))
    assert reasons(outcome, "DivToMul") == {"the divisor is no constant number"}


def test_a_vector_of_factors_stays() -> None:
    """Each of a query's numbers times its own: no number for all scores."""

    def after(to: Writer) -> Any:
        q, k = _scores(to)
        return to.MatMul(to.Mul(q, to.weight("each", 16)), k)

    def both(to: Writer) -> Any:
        q, k = _scores(to)
        return to.MatMul(to.Mul(q, to.weight("each", 16)), to.Mul(k, to.number(0.5)))

    def divided(to: Writer) -> Any:
        q, k = _scores(to)
        return to.MatMul(to.Div(q, to.weight("each", 16, around=2.0)), k)

    outcome = left_alone(by(ScaleAfter), sketch(after))
    assert reasons(outcome, "ScaleAfter") == {"the factor is no constant number"}
    outcome = left_alone(by(ScaleBothAfter), sketch(both))
    assert reasons(outcome, "ScaleBothAfter") == {"a factor is no constant number"}
    outcome = left_alone(by(ScaleOfDivAfter), sketch(divided))
    assert reasons(outcome, "ScaleOfDivAfter") == {"no constant divisor"}


@pytest.mark.parametrize("kind", ["Mul", "Div"])
def test_products_with_weights_are_no_scores(kind: str) -> None:
    """The product x / 2 @ W is a layer whose input is scaled, nothing of attention."""

    def write(to: Writer) -> Any:
        half = getattr(to, kind)(to.looked_up(), to.number(2.0))
        return to.MatMul(half, to.weight("kernel", 16, 16))

    outcome = left_alone(STEP, sketch(write))
    rule = "ScaleAfter" if kind == "Mul" else "ScaleOfDivAfter"
    assert reasons(outcome, rule) == {"a product with weights, not with keys"}


def test_a_scaled_query_that_is_read_elsewhere_stays() -> None:
    """What else reads it would get it without its factor."""

    def write(to: Writer) -> Any:
        q, k = _scores(to)
        scaled = to.Mul(q, to.number(0.5))
        return to.MatMul(scaled, k), scaled

    left_alone(STEP, sketch(write))


def test_the_factor_is_right_to_the_last_digit() -> None:
    """1 / sqrt(d) is made in 64 bits and rounded once."""
    for size in (3.0, 7.0, math.sqrt(48)):
        model = _divided(lambda to, size=size: to.number(size))
        outcome = STEP(model)
        assert np.float32(_factor(outcome.model)) == np.float32(1.0 / float(np.float32(size)))
