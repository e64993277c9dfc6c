"""Where one token is read, the others are not computed; what is no token is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    answers,
    bert,
    count,
    fired,
    left_alone,
    proved,
    sketch,
)
from winnow.compiler.axes import axes_of
from winnow.compiler.fold import folded
from winnow.compiler.graph import drop_unused
from winnow.compiler.passes import Outcome
from winnow.compiler.rules.pooling import NAME, pooled_first
from winnow.recipe_compile import run_graph

# A product of one row is made by another kernel than that of many: another order of sums.
BOUND = 2e-6


def step(model: Any) -> Outcome:
    """The rule as a step."""
    fired = pooled_first(model)
    drop_unused(model)
    return Outcome(model, tuple(fired))


def _first(to: Writer, x: Any, index: int = 0) -> Any:
    return to.Gather(x, to.constant(f"place {index}", np.int64(index)), axis=1)


def _choices(model: Any) -> list[str]:
    """What a token is taken from."""
    return [
        n.inputs[0].producer().op_type
        for n in model.graph
        if n.op_type == "Gather" and "axis" in n.attributes and n.attributes["axis"].value == 1
    ]


def test_a_bert_computes_one_token_in_its_last_layer() -> None:
    """Up to what mixes tokens: attention's output, and the norm that goes around it."""
    model = folded(bert(), run_graph).model
    outcome = proved(step, model, BOUND)
    assert {place.rule for place in outcome.fired} == {NAME}
    assert sorted(_choices(outcome.model)) == ["LayerNormalization", "Reshape"]
    axes = axes_of(outcome.model)
    norms = [axes[n.outputs[0]] for n in outcome.model.graph if n.op_type == "LayerNormalization"]
    assert norms == [3, 3, 3, 2, 2]


@pytest.mark.parametrize("index", [0, -1])
@pytest.mark.parametrize(
    "layer",
    [
        lambda to, x: to.Tanh(x),
        lambda to, x: to.Gelu(x, domain="com.microsoft"),
        lambda to, x: to.norm(x, "n"),
        lambda to, x: to.MatMul(x, to.weight("kernel", 16, 8)),
        lambda to, x: to.Add(x, to.weight("bias", 16)),
        lambda to, x: to.Sub(to.number(1.0), x),
        lambda to, x: to.Mul(x, to.Sigmoid(to.looked_up())),
        lambda to, x: to.Div(x, to.Exp(x)),
    ],
    ids=["tanh", "gelu", "norm", "product", "bias", "difference", "gate", "itself"],
)
def test_what_works_on_each_token_alone(layer: Any, index: int) -> None:
    """The token is taken before it."""

    def write(to: Writer) -> Any:
        return to.Mul(_first(to, layer(to, to.looked_up()), index), to.number(2.0))

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) >= 1
    assert set(_choices(outcome.model)) <= {"Gather", "Exp"}


@pytest.mark.parametrize(
    "layer",
    [
        lambda to, x: to.Softmax(x, axis=1),
        lambda to, x: to.MatMul(to.MatMul(x, to.Transpose(x, perm=[0, 2, 1])), x),
        lambda to, x: to.Add(x, to.weight("table", 1, 1, 16)),
        lambda to, x: to.CumSum(x, to.constant("axis", np.int64(1))),
    ],
    ids=["softmax", "attention", "table", "sum"],
)
def test_what_mixes_tokens_stays(layer: Any) -> None:
    """Or does what is not known to leave each alone."""

    def write(to: Writer) -> Any:
        return to.Mul(_first(to, layer(to, to.looked_up())), to.number(2.0))

    left_alone(step, sketch(write))


@pytest.mark.parametrize("index", [0, -1])
def test_what_is_spread_over_all_tokens_has_a_first_and_a_last(index: int) -> None:
    """Of (b, 1, d) that is its only row."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        return to.Neg(_first(to, to.Add(x, to.Unsqueeze(to.weight("v", 16), to.ints(0, 1))), index))

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) == 1


def test_a_token_in_between_stays() -> None:
    """What is spread has no second row."""

    def write(to: Writer) -> Any:
        return to.Neg(_first(to, to.Tanh(to.Concat(*[to.looked_up()] * 2, axis=1)), 1))

    left_alone(step, sketch(write))


def test_a_column_of_logits_is_no_token() -> None:
    """(b, 2)[:, 1] is the second class, whatever is added to it before."""

    def write(to: Writer) -> Any:
        pooled = to.mean(to.looked_up(), 1, keepdims=0)  # (b, d)
        return _first(to, to.dense(pooled, "classifier", 16, 2), -1)

    left_alone(step, sketch(write))


def test_a_head_s_scores_are_no_token() -> None:
    """(b, h, t, t)[:, 0] is the first head's."""

    def write(to: Writer) -> Any:
        heads = to.Transpose(to.Reshape(to.looked_up(), to.ints(0, 0, 4, 4)), perm=[0, 2, 1, 3])
        return _first(to, to.Mul(to.Add(heads, to.weight("bias", 4)), to.number(2.0)))

    left_alone(step, sketch(write))


def test_rows_of_a_table_have_no_messages() -> None:
    """Added to (b, t, d), a table's (t, d) has its tokens on another axis."""

    def write(to: Writer) -> Any:
        rows = to.Slice(to.weight("p", 24, 16), to.ints(0), to.Shape(to.ids, start=1), to.ints(0))
        return _first(to, to.Add(to.looked_up(), rows))

    left_alone(step, sketch(write))


def test_two_readers_of_one_token_share_it() -> None:
    """Both take the first: the layer before is moved once."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        return to.Sub(to.Neg(_first(to, x)), to.Exp(_first(to, x)))

    outcome = proved(step, sketch(write), BOUND)
    assert _choices(outcome.model) == ["Gather"]


@pytest.mark.parametrize(
    "other",
    [
        lambda to, x: _first(to, x, -1),
        lambda to, x: to.mean(x, 1, keepdims=0),
        lambda to, x: to.Gather(x, to.constant("0", np.int64(0)), axis=0),
    ],
    ids=["another token", "all tokens", "a message"],
)
def test_a_layer_whose_other_tokens_are_read_stays(other: Any) -> None:
    """They have to be computed anyway."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        return to.Neg(_first(to, x)), to.Neg(other(to, x))

    left_alone(step, sketch(write))


def test_hidden_states_that_are_outputs_stay() -> None:
    """All tokens are asked for."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        return to.Neg(_first(to, x)), x

    left_alone(step, sketch(write))


def test_a_token_that_is_the_output_keeps_its_name() -> None:
    """An encoder that gives its first token's vector."""

    def write(to: Writer) -> Any:
        return _first(to, to.norm(to.looked_up(), "n"))

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) == 1
    [output] = outcome.model.graph.outputs
    assert (output.name, output.dtype.name) == ("out0", "FLOAT")
    assert output.producer().op_type == "LayerNormalization"


def test_an_axis_that_was_the_last_of_three_is_the_last_of_two() -> None:
    """Axis 2 of (b, t, d) is none of (b, d)."""

    def write(to: Writer) -> Any:
        scale, shift = to.weight("s", 16, around=1.0), to.weight("b", 16)
        return to.Neg(_first(to, to.LayerNormalization(to.looked_up(), scale, shift, axis=2)))

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) == 1
    assert outcome.model.graph[-2].attributes["axis"].value == -1


def test_a_norm_over_tokens_stays() -> None:
    """Of axis 1, it is made of all of them."""

    def write(to: Writer) -> Any:
        one = to.mean(to.looked_up(), 1)
        scale = to.weight("s", 1, 16, around=1.0)
        return to.Neg(_first(to, to.LayerNormalization(to.Tanh(one), scale, axis=1)))

    left_alone(step, sketch(write))


def test_a_norm_whose_mean_is_read_stays() -> None:
    """Its second output would have another shape."""

    def write(to: Writer) -> Any:
        normal = to.norm(to.looked_up(), "n")
        node = normal.producer()
        node.resize_outputs(2)
        node.outputs[1].name = "mean"
        return to.Neg(_first(to, normal)), to.Neg(node.outputs[1])

    left_alone(step, sketch(write))


def test_places_that_are_a_list_are_no_choice() -> None:
    """A list of one token keeps its axis: (b, 1, d)."""

    def write(to: Writer) -> Any:
        return to.Neg(to.Gather(to.Tanh(to.looked_up()), to.ints(0), axis=1))

    left_alone(step, sketch(write))


def test_a_mean_over_tokens_stays() -> None:
    """All tokens are read."""
    model = bert(Spelling(pooled="mean", mask="none"))
    before = answers(model)
    assert step(model).fired == ()
    assert count(model, "ReduceMean") == 1
    assert len(before) == 4
