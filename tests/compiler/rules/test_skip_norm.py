"""A sum and its normalisation are one node, where both terms are of each token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Writer,
    by,
    fired,
    kinds,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.graph import array_of
from winnow.compiler.rules.skip_norm import RULES, FuseSkipLayerNorm

BOUND = 2e-6  # another order of sums; the outputs are of the size of the scale, about 1
STEP = by(*RULES)


def _terms(to: Writer) -> tuple[Any, Any]:
    x = to.looked_up()
    return to.MatMul(x, to.weight("kernel", 16, 16)), to.Tanh(x)


def test_two_nodes_become_one() -> None:
    """A sum of two values."""
    outcome = proved(STEP, sketch(lambda to: to.norm(to.Add(*_terms(to)), "n")), BOUND)
    assert fired(outcome, "FuseSkipLayerNorm") == len(outcome.fired) == 1
    assert kinds(outcome.model) == ["Gather", "MatMul", "Tanh", "SkipLayerNormalization"]
    node = outcome.model.graph[-1]
    assert node.domain == "com.microsoft"
    assert len(node.inputs) == 4
    assert node.attributes["epsilon"].value == pytest.approx(1e-12)


def test_the_last_of_three_axes_may_be_called_so() -> None:
    """Axis 2 of (b, t, d) is the last."""
    outcome = proved(STEP, _normal(lambda to: to.Add(*_terms(to)), axis=2), BOUND)
    assert len(outcome.fired) == 1


def test_a_sum_with_a_weight_at_its_first_place_is_no_table() -> None:
    """A bias before its product, where only the outer sum is asked for."""

    def write(to: Writer) -> Any:
        product, skip = _terms(to)
        return to.norm(to.Add(to.Add(to.weight("bias", 16), product), skip), "n")

    outcome = proved(by(FuseSkipLayerNorm), sketch(write), BOUND)
    assert len(outcome.fired) == 1


@pytest.mark.parametrize("first", [False, True])
def test_three_nodes_become_one(first: bool) -> None:
    """With the bias of the product before; in any order of the operands."""

    def write(to: Writer) -> Any:
        product, skip = _terms(to)
        bias = to.weight("bias", 16)
        inner = to.Add(bias, product) if first else to.Add(product, bias)
        return to.norm(to.Add(skip, inner) if first else to.Add(inner, skip), "n")

    outcome = proved(STEP, sketch(write), BOUND)
    assert fired(outcome, "FuseBiasSkipLayerNorm") == len(outcome.fired) == 1
    assert kinds(outcome.model) == ["Gather", "MatMul", "Tanh", "SkipLayerNormalization"]
    assert array_of(outcome.model.graph[-1].inputs[4]).shape == (16,)


def test_the_epsilon_that_a_node_leaves_out_is_kept() -> None:
    """The two operators do not have the same one where none is given."""

    def write(to: Writer) -> Any:
        little = to.Mul(to.Add(*_terms(to)), to.number(0.01))
        total = to.Add(little, to.Mul(little, to.number(0.5)))
        return to.LayerNormalization(total, to.weight("s", 16, around=1.0), to.weight("b", 16))

    outcome = proved(STEP, sketch(write), BOUND)
    assert outcome.model.graph[-1].attributes["epsilon"].value == pytest.approx(1e-5)


def _normal(total: Any, axis: int = -1, vector: tuple[int, ...] = (16,)) -> Any:
    def write(to: Writer) -> Any:
        scale, shift = to.weight("s", *vector, around=1.0), to.weight("b", *vector)
        return to.LayerNormalization(total(to), scale, shift, axis=axis)

    return sketch(write)


def _biased(to: Writer, bias: Any) -> Any:
    product, skip = _terms(to)
    return to.Add(to.Add(product, bias), skip)


def _mean_of_terms(to: Writer) -> Any:
    """A sum of one row a message, (b, 1, d), over which two axes can be normalised."""
    one, other = (to.mean(term, 1) for term in _terms(to))
    return to.Add(one, other)


@pytest.mark.parametrize(
    ("model", "rule", "reason"),
    [
        (
            _normal(_mean_of_terms, axis=-2, vector=(1, 16)),
            "FuseSkipLayerNorm",
            "the normalisation is not of the last axis",
        ),
        (
            _normal(lambda to: to.Add(*_terms(to)), vector=(1, 16)),
            "FuseSkipLayerNorm",
            "scale, shift or bias is no constant vector",
        ),
        (
            _normal(lambda to: _biased(to, to.weight("bias", 1, 16))),
            "FuseBiasSkipLayerNorm",
            "scale, shift or bias is no constant vector",
        ),
        (
            _normal(lambda to: to.Add(to.Tanh(to.looked_up()), to.weight("c", 16))),
            "FuseSkipLayerNorm",
            "a constant is added, not what came before",
        ),
        (
            _normal(lambda to: to.Add(to.looked_up(), to.Tanh(to.looked_up()))),
            "FuseSkipLayerNorm",
            "what is added is rows of a table",
        ),
    ],
    ids=["axis", "scale", "bias", "constant", "table"],
)
def test_what_is_no_skip_stays(model: Any, rule: str, reason: str) -> None:
    """Another axis, other weights, constants, embeddings; the reason says which."""
    outcome = left_alone(by(*(r for r in RULES if r.__name__ == rule)), model)
    assert reason in reasons(outcome, rule)


def test_a_sum_that_is_read_elsewhere_stays() -> None:
    """As where the norm comes first and the sum goes around it."""

    def write(to: Writer) -> Any:
        total = to.Add(*_terms(to))
        return to.norm(total, "n"), total

    left_alone(STEP, sketch(write))


def test_a_norm_whose_mean_is_read_stays() -> None:
    """The fused operator gives no mean that a kernel of the processor fills."""

    def write(to: Writer) -> Any:
        normal = to.norm(to.Add(*_terms(to)), "n")
        node = normal.producer()
        node.resize_outputs(2)
        node.outputs[1].name = "mean"
        return normal, to.Neg(node.outputs[1])

    left_alone(STEP, sketch(write))


def test_a_sum_with_its_bias_in_the_embedding_is_no_skip() -> None:
    """Words + types + positions: the inner sum is no product's bias."""

    def write(to: Writer) -> Any:
        words = to.looked_up()
        other = to.Gather(to.weight("types.table", 40, 16), to.ids)
        return to.norm(to.Add(to.Add(words, to.constant("c", np.ones(16, np.float32))), other), "n")

    outcome = left_alone(STEP, sketch(write))
    assert "what is added is rows of a table" in reasons(outcome, "FuseBiasSkipLayerNorm")
