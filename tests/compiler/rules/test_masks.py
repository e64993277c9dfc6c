"""A mask is three nodes that all layers share, whatever it was; what is no mask of keys stays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    FAR,
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
from winnow.compiler.graph import array_of, copied, drop_unused
from winnow.compiler.passes import Outcome
from winnow.compiler.probe import probed
from winnow.compiler.rules.attention import mask_of
from winnow.compiler.rules.masks import NAME, masked_by, shared_mask
from winnow.recipe_compile import run_graph

MASKED = Spelling()
BOUND = 0.0  # what is added is the same, but for minus infinity, whose softmax is
NOT_KEYS = "what is added does not say which keys are padding"


def step(model: Any) -> Outcome:
    """The rule as a step."""
    places, refused = shared_mask(probed(model, run_graph))
    drop_unused(model)
    return Outcome(model, tuple(places), tuple(refused))


def _masks(model: Any) -> list[Any]:
    """What is added to scores, by layer."""
    return [
        value
        for node in model.graph
        if node.op_type == "Add"
        for value in node.inputs
        if mask_of(value) is not None
    ]


@pytest.mark.parametrize(
    ("how", "far"),
    [("where", FAR), ("product", -10_000.0), ("infinite", FAR), ("bare", FAR)],
)
def test_each_spelling_becomes_the_same_nodes(how: str, far: float) -> None:
    """Where(mask, 0, c), made once; minus infinity is the least number then."""
    outcome = proved(step, bert(replace(MASKED, mask=how)), BOUND)
    assert fired(outcome, NAME) == len(outcome.fired) == 2
    one, other = _masks(outcome.model)
    assert one is other
    mask, found = mask_of(one)
    assert mask.name == "attention_mask"
    assert found == pytest.approx(far)
    assert count(outcome.model, "Expand") == 0


def test_a_mask_of_that_form_stays() -> None:
    """It is not made again."""
    outcome = step(bert(MASKED))
    assert left_alone(step, outcome.model).refused == ()


def test_layers_of_different_masks_share_what_is_alike() -> None:
    """Two numbers for padding are two choices; neither takes the other's name."""

    def write(to: Writer) -> Any:
        there = to.Cast(to.Unsqueeze(to.inputs[1], to.ints(1, 2)), to=1)
        x = to.Unsqueeze(to.looked_up(), to.ints(1))  # (b, 1, t, d)
        scores = to.MatMul(x, to.Transpose(x, perm=[0, 1, 3, 2]))
        once, twice = (
            to.Mul(to.Sub(to.number(1.0), there), to.number(far)) for far in (-10_000.0, -20_000.0)
        )
        return to.Add(to.Softmax(to.Add(scores, once)), to.Softmax(to.Add(twice, scores)))

    outcome = proved(step, sketch(write, MASKED), BOUND)
    assert fired(outcome, NAME) == 2
    assert {mask_of(value)[1] for value in _masks(outcome.model)} == {-10_000.0, -20_000.0}
    names = [node.name for node in outcome.model.graph]
    assert len(set(names)) == len(names)


def _added(to: Writer, added: Any) -> Any:
    x = to.Unsqueeze(to.looked_up(), to.ints(1))
    scores = to.MatMul(x, to.Transpose(x, perm=[0, 1, 3, 2]))  # (b, 1, t, t)
    return to.Softmax(to.Add(scores, added))


def _keys(to: Writer) -> Any:
    return to.Cast(to.Unsqueeze(to.inputs[1], to.ints(1, 2)), to=9)


def _where(to: Writer, keep: Any, far: float = FAR, zero: float = 0.0) -> Any:
    return to.Where(keep, to.number(zero), to.number(far))


def _window(to: Writer, reach: int) -> Any:
    """Whether a key is within reach of a query: (1, 1, t, t)."""
    tokens = to.Squeeze(to.Slice(to.Shape(to.ids), to.ints(1), to.ints(2), to.ints(0)), to.ints(0))
    order = to.Range(to.constant("0", np.int64(0)), tokens, to.constant("1", np.int64(1)))
    apart = to.Abs(to.Sub(to.Unsqueeze(order, to.ints(0)), to.Unsqueeze(order, to.ints(1))))
    return to.Unsqueeze(to.LessOrEqual(apart, to.ints(reach)), to.ints(0, 1))


@pytest.mark.parametrize(
    "added",
    [
        lambda to: _where(to, to.Not(_keys(to))),
        lambda to: _where(to, _keys(to), far=-5.0),
        lambda to: _where(to, _keys(to), zero=1.0),
        lambda to: _where(to, _keys(to), far=-FAR),
        lambda to: _where(to, to.And(_keys(to), _window(to, 3))),
        lambda to: _where(to, to.And(_keys(to), _window(to, 30))),
        lambda to: _where(to, to.And(_keys(to), to.Transpose(_keys(to), perm=[0, 1, 3, 2]))),
        lambda to: to.Mul(to.Cast(_keys(to), to=1), to.number(-10_000.0)),
        lambda to: to.Add(_where(to, _keys(to), -10_000.0), to.weight("bias", 1, 1, 1, 1)),
    ],
    ids=["inverted", "weak", "one", "positive", "near", "far", "both", "tokens", "biased"],
)
def test_what_is_no_mask_of_keys_stays(added: Any) -> None:
    """Inverted, too weak, of queries, of a window that short messages fit into, with a bias."""
    outcome = left_alone(step, sketch(lambda to: _added(to, added(to)), MASKED))
    assert reasons(outcome, NAME) == {NOT_KEYS}


def test_a_mask_that_depends_on_tokens_stays() -> None:
    """What it was for these tokens is no proof of what it will be."""

    def write(to: Writer) -> Any:
        words = to.Cast(to.GreaterOrEqual(to.ReduceMin(to.ids, keepdims=0), to.ints(0)), to=1)
        return _added(to, to.Mul(_where(to, _keys(to), -20_000.0), words))

    assert left_alone(step, sketch(write, MASKED)).refused == ()


@pytest.mark.parametrize(("far", "fires"), [(-1000.0, 1), (-999.0, 0)])
def test_how_far_below_is_far(far: float, fires: int) -> None:
    """From there on nothing of attention is left."""
    outcome = step(sketch(lambda to: _added(to, _where(to, _keys(to), far)), MASKED))
    assert fired(outcome, NAME) == fires


def test_a_refusal_names_the_sum() -> None:
    """Where it was added."""
    model = sketch(lambda to: _added(to, to.Neg(_where(to, _keys(to)))), MASKED)
    [refusal] = step(model).refused
    assert refusal.node == next(n.name for n in model.graph if n.op_type == "Add")


def test_the_query_s_mask_stays() -> None:
    """A whole row that is padding is not a column."""
    outcome = left_alone(step, bert(replace(MASKED, mask="query's")))
    assert reasons(outcome, NAME) == {NOT_KEYS}


def test_keys_masked_beside_a_bias_are_masked_by_the_same_nodes() -> None:
    """A bias that is added to the scores first is no business of the mask's."""

    def write(to: Writer) -> Any:
        x = to.Unsqueeze(to.looked_up(), to.ints(1))
        scores = to.MatMul(x, to.Transpose(x, perm=[0, 1, 3, 2]))
        near = to.Cast(_window(to, 2), to=1)
        return to.Softmax(to.Add(to.Add(scores, near), _where(to, _keys(to), -20_000.0)))

    outcome = proved(step, sketch(write, MASKED), BOUND)
    assert fired(outcome, NAME) == 1
    [added] = _masks(outcome.model)
    assert mask_of(added)[1] == -20_000.0
    assert count(outcome.model, "Add") == 2


def test_a_mask_of_another_type_stays() -> None:
    """Of 16 bits: a sum takes two values of one type."""

    def write(to: Writer) -> Any:
        x = to.Cast(to.Unsqueeze(to.looked_up(), to.ints(1)), to=10)
        scores = to.MatMul(x, to.Transpose(x, perm=[0, 1, 3, 2]))
        far = to.constant("far", np.float16(-20_000.0))
        added = to.Where(_keys(to), to.constant("zero", np.float16(0.0)), far)
        spread = to.Expand(added, to.ints(1, 1, 1, 1))
        return to.Cast(to.Softmax(to.Add(scores, spread)), to=1)

    model = sketch(write, MASKED)
    assert step(copied(model)).fired == ()


def test_a_mask_that_spreads_the_scores_stays() -> None:
    """Added to scores of one message for all, it makes as many as there are messages."""

    def write(to: Writer) -> Any:
        x = to.Unsqueeze(to.ReduceMax(to.looked_up(), axes=[0]), to.ints(1))
        scores = to.MatMul(x, to.Transpose(x, perm=[0, 1, 3, 2]))  # (1, 1, t, t)
        there = to.Cast(_keys(to), to=1)
        return to.Softmax(
            to.Add(scores, to.Mul(to.Sub(to.number(1.0), there), to.number(-10_000.0)))
        )

    assert step(sketch(write, MASKED)).fired == ()


def test_without_a_mask_there_is_nothing_to_do() -> None:
    """Our own readers are given messages at their exact length."""
    assert left_alone(step, bert(Spelling(mask="none"))).refused == ()


def test_what_is_no_number_is_no_mask() -> None:
    """0 times minus infinity, where a token is."""

    def write(to: Writer) -> Any:
        absent = to.Sub(to.number(1.0), to.Cast(_keys(to), to=1))
        return _added(to, to.Mul(absent, to.number(-math.inf)))

    model = sketch(write, MASKED)
    outcome = step(model)
    assert outcome.fired == ()
    assert reasons(outcome, NAME) == {NOT_KEYS}


def test_a_mask_of_padding_that_is_no_number() -> None:
    """Looked at number by number."""
    model = bert(MASKED, layers=1)
    probe = probed(model, run_graph)
    [where] = [node for node in model.graph if node.op_type == "Where"]
    value = where.outputs[0]
    assert masked_by(probe, value) == pytest.approx(FAR)
    probe.seen[value.name] = [np.where(a < 0, np.nan, a) for a in probe.seen[value.name]]
    assert masked_by(probe, value) is None
    probe.seen[value.name] = [np.zeros_like(a) for a in probe.seen[value.name]]
    assert masked_by(probe, value) is None
    probe.seen[value.name] = [a[:, :, :, :1] for a in probe.seen[value.name]]
    assert masked_by(probe, value) is None
    assert array_of(where.inputs[2]) == np.float32(FAR)
