"""A guard against a softmax of nothing goes where there is none, and only there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    FAR,
    Spelling,
    Writer,
    by,
    count,
    fired,
    ir,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.rules.nan_guard import RULES

BOUND = 0.0  # the same nodes compute the same
STEP = by(*RULES)
RULE = "DropNanGuard"
MASKED = Spelling()


def _guarded(to: Writer, scores: Any) -> Any:
    p = to.Softmax(scores, axis=-1)
    return to.Where(to.IsNaN(p), to.number(0.0), p)


def _product(to: Writer) -> Any:
    x = to.looked_up()
    return to.MatMul(x, to.Transpose(x, perm=[0, 2, 1]))


def _keys(to: Writer) -> Any:
    return to.Cast(to.Unsqueeze(to.inputs[1], to.ints(1)), to=9)  # (b, 1, t), bool


@pytest.mark.parametrize(
    "added",
    [
        None,
        lambda to: to.Where(_keys(to), to.number(0.0), to.number(FAR)),
        lambda to: to.constant("number", np.full((1, 1, 1), -2.0, np.float32)),
    ],
)
def test_a_guard_of_what_is_always_a_number_goes(added: Any) -> None:
    """Scores alone, with a finite mask, with a constant."""

    def write(to: Writer) -> Any:
        scores = to.Mul(_product(to), to.number(0.5))
        return _guarded(to, scores if added is None else to.Add(scores, added(to)))

    outcome = proved(STEP, sketch(write, MASKED), BOUND)
    assert fired(outcome, RULE) == 1
    assert count(outcome.model, "IsNaN") == 0
    assert count(outcome.model, "Softmax") == 1
    assert outcome.model.graph[-1].attributes["axis"].value == -1


@pytest.mark.parametrize(("told", "axis"), [({"axis": 1}, 1), ({}, -1)])
def test_the_softmax_s_axis_is_kept(told: Any, axis: int) -> None:
    """A softmax over queries stays one; where nothing is told it is over the last axis."""

    def write(to: Writer) -> Any:
        p = to.Softmax(_product(to), **told)
        return to.Where(to.IsNaN(p), to.number(0.0), p)

    outcome = proved(STEP, sketch(write, MASKED), BOUND)
    assert outcome.model.graph[-1].attributes["axis"].value == axis


def _infinite(to: Writer) -> Any:
    return to.Where(_keys(to), to.number(0.0), to.number(-math.inf))


@pytest.mark.parametrize(
    "scores",
    [
        lambda to: to.Add(_product(to), _infinite(to)),
        lambda to: to.Add(_product(to), to.Expand(_infinite(to), to.ints(1, 1, 1))),
        lambda to: to.Add(to.Add(_product(to), _infinite(to)), to.number(1.0)),
        lambda to: to.Where(_keys(to), _product(to), to.number(-math.inf)),
        lambda to: to.Add(_product(to), to.Log(to.Cast(_keys(to), to=1))),
        lambda to: to.Mul(_product(to), to.Log(to.Cast(_keys(to), to=1))),
        lambda to: to.Add(_product(to), to.constant("c", np.array([-math.inf], np.float32))),
    ],
    ids=["where", "spread", "inner", "chosen", "logarithm", "factor", "constant"],
)
def test_a_guard_that_may_be_needed_stays(scores: Any) -> None:
    """Minus infinity for every key of a message of padding: zeros, not "no number"."""
    outcome = left_alone(STEP, sketch(lambda to: _guarded(to, scores(to)), MASKED))
    assert reasons(outcome, RULE) == {"what is added to the scores may be minus infinity"}


def test_a_guard_of_what_is_infinite_for_one_head_stays() -> None:
    """All numbers of a constant count."""

    def write(to: Writer) -> Any:
        scores = to.Unsqueeze(_product(to), to.ints(1))
        each = np.array([0.0, 1.0, -np.inf, 2.0], np.float32).reshape(1, 4, 1, 1)
        return _guarded(to, to.Add(scores, to.constant("heads", each)))

    left_alone(STEP, sketch(write, MASKED))


def test_a_guard_of_what_is_given_stays() -> None:
    """A caller may give anything."""

    def write(to: Writer) -> Any:
        to.inputs.append(ir.val("reflex", ir.DataType.FLOAT, ["b"]))
        return _guarded(to, to.Add(to.MatMul(to.looked_up(), to.weight("k", 16, 16)),
                                   to.inputs[-1]))  # fmt: skip

    outcome = STEP(sketch(write))
    assert outcome.fired == ()
    assert len(outcome.refused) == 1


def test_a_guard_of_something_else_stays() -> None:
    """Where another value is looked at, the softmax is not what is guarded."""

    def write(to: Writer) -> Any:
        p = to.Softmax(_product(to), axis=-1)
        return to.Where(to.IsNaN(to.Neg(p)), to.number(0.0), p)

    left_alone(STEP, sketch(write, MASKED))
