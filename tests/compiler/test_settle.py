"""Settled, a graph computes only what is read and adds no bias twice; settling twice is once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    assert_same,
    bert,
    count,
    fired,
    left_alone,
    names,
    proved,
    reader,
    reasons,
    sketch,
)
from winnow.compiler.fold import folded
from winnow.compiler.inputs import feeds_of
from winnow.compiler.passes import Proof, apply_passes
from winnow.compiler.settle import TOLERANCE, settle_pass, settled
from winnow.recipe_compile import run_graph

BOUND = 5e-6  # biases become sums of weights; logits are below 3 here


def _folded(spelling: Spelling, **sizes: int) -> Any:
    return folded(bert(spelling, **sizes), run_graph).model


@pytest.mark.parametrize(
    "spelling",
    [
        Spelling(),
        Spelling(bias_first=True),
        Spelling(kinds="input", gelu="tanh"),
        Spelling(gelu="node", opset=20),
        Spelling(mask="none"),
    ],
    ids=str,
)
def test_a_bert_is_settled(spelling: Spelling) -> None:
    """Both biases of each layer go; the first token is taken before the last layer's products."""
    model = _folded(spelling)
    outcome = proved(settled, model, BOUND)
    assert names(outcome.fired) == {"PoolBeforeLastLayer", "AbsorbSkipBias"}
    assert fired(outcome, "AbsorbSkipBias") == 4
    assert outcome.refused == ()
    assert count(outcome.model, "Add") == count(model, "Add") - 4
    assert count(outcome.model, "Gather") == count(model, "Gather") + 1


def test_a_mean_over_tokens_keeps_all_of_them() -> None:
    """Only the biases go."""
    outcome = proved(settled, _folded(Spelling(pooled="mean")), BOUND)
    assert names(outcome.fired) == {"AbsorbSkipBias"}


def test_a_reader_s_head_is_settled() -> None:
    """A number a token: no axis of its own, no bias; both outputs keep their names."""
    model = folded(reader(50, 24), run_graph).model
    outcome = proved(settled, model, BOUND)
    assert names(outcome.fired) == {"AbsorbSkipBias", "VectorHead", "AbsorbHeadBias"}
    assert count(outcome.model, "Squeeze") == 0
    assert len(list(outcome.model.graph)) == len(list(model.graph)) - 4 - 2
    assert [output.name for output in outcome.model.graph.outputs] == ["log_odds", "shares"]


def test_two_choices_of_one_token_are_one() -> None:
    """Of a sum both terms are chosen from; what is chosen twice is chosen once."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        total = to.Add(to.Add(x, to.Neg(x)), x)
        return to.Gather(total, to.constant("0", 0), axis=1)

    model = sketch(write)
    outcome = settled(model)
    assert fired(outcome, "PoolBeforeLastLayer") == 2
    chosen = [n.inputs[0].name for n in outcome.model.graph if n.op_type == "Gather"][1:]
    assert len(chosen) == len(set(chosen))


def test_a_norm_that_comes_first_keeps_its_biases() -> None:
    """With the reason for each place."""

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        inner = to.dense(to.norm(x, "n1"), "up", 16, 16)
        return to.norm(to.Add(inner, x), "n2")

    outcome = left_alone(settled, sketch(write))
    assert reasons(outcome, "AbsorbSkipBias") == {"what is skipped is no layer normalisation's"}


def test_hidden_states_that_are_asked_for_stay_as_they_are() -> None:
    """An output of every layer."""
    model = _folded(replace(Spelling(), mask="none"))
    norms = [n.outputs[0] for n in model.graph if n.op_type == "LayerNormalization"]
    for value in norms:
        value.type = model.graph.outputs[0].type
    model.graph.outputs.extend(norms)
    outcome = left_alone(settled, model)
    assert reasons(outcome, "AbsorbSkipBias") == {
        "what is skipped is read by more than products with weights"
    }


def test_the_pass_is_proved_with_a_stated_bound() -> None:
    """As folding is."""
    step = settle_pass()
    assert (step.name, step.tolerance) == ("settle", TOLERANCE)
    model = _folded(Spelling(), layers=1)
    proof = Proof(run_graph, (feeds_of(model, 2, 9, 1),))
    after, [report] = apply_passes(model, [step], proof)
    assert report.undone == ""
    assert report.fired
    assert_same(model, after, BOUND)
