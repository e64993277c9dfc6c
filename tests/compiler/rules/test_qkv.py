"""Queries, keys and values of one input are packed into one product."""

from __future__ import annotations

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
from winnow.compiler.graph import array_of
from winnow.compiler.rules.qkv import RULES

BOUND = 2e-6  # one product instead of three: another order of sums
STEP = by(*RULES)
MASKED = Spelling()


def _products(to: Writer, x: Any, name: str = "", widths: tuple[int, ...] = (16, 16, 16)) -> Any:
    return [
        to.dense(x, f"{name}{part}", 16, width) for part, width in zip("qkv", widths, strict=True)
    ]


def _attended(to: Writer, three: Any, mask: Any = None, **options: Any) -> Any:
    inputs = [*three, *([] if mask is None else [None, mask])]
    return to.MultiHeadAttention(*inputs, domain="com.microsoft", num_heads=4, **options)


def _mask(to: Writer) -> Any:
    return to.Cast(to.inputs[1], to=6)


def _node(model: Any) -> Any:
    [node] = [n for n in model.graph if n.op_type == "Attention"]
    return node


@pytest.mark.parametrize("first", [False, True])
def test_three_products_become_one(first: bool) -> None:
    """Kernels side by side, biases one after the other, q before k before v."""

    def write(to: Writer) -> Any:
        return _attended(to, _products(to, to.looked_up()), scale=0.3)

    model = sketch(write, Spelling(mask="none", bias_first=first))
    outcome = proved(STEP, model, BOUND)
    assert fired(outcome, "PackQueryKeyValue") == len(outcome.fired) == 1
    node = _node(outcome.model)
    weights = model.graph.initializers
    kernels = [array_of(weights[f"{part}.kernel"]) for part in "qkv"]
    assert np.array_equal(array_of(node.inputs[1]), np.concatenate(kernels, axis=1))
    biases = [array_of(weights[f"{part}.bias"]) for part in "qkv"]
    assert np.array_equal(array_of(node.inputs[2]), np.concatenate(biases))
    assert count(outcome.model, "MatMul") == 0
    assert node.attributes["scale"].value == pytest.approx(0.3)
    assert list(node.attributes["qkv_hidden_sizes"].value) == [16, 16, 16]
    assert node.attributes["num_heads"].value == 4


def test_with_a_mask() -> None:
    """The mask and what it adds to padding stay."""

    def write(to: Writer) -> Any:
        three = _products(to, to.looked_up())
        return _attended(to, three, _mask(to), mask_filter_value=-20_000.0)

    outcome = proved(STEP, sketch(write, MASKED), BOUND)
    assert fired(outcome, "PackMaskedQueryKeyValue") == len(outcome.fired) == 1
    node = _node(outcome.model)
    assert len(node.inputs) == 4
    assert node.attributes["mask_filter_value"].value == -20_000.0


def test_values_may_be_narrower() -> None:
    """As those of pruned heads are."""

    def write(to: Writer) -> Any:
        return _attended(to, _products(to, to.looked_up(), widths=(16, 16, 8)))

    outcome = proved(STEP, sketch(write, Spelling(mask="none")), BOUND)
    assert list(_node(outcome.model).attributes["qkv_hidden_sizes"].value) == [16, 16, 8]


def test_layers_that_share_weights_share_what_is_packed() -> None:
    """One kernel for both, as before; the graph does not grow with the layers."""

    def write(to: Writer) -> Any:
        x = _attended(to, _products(to, to.looked_up()))
        return _attended(to, _products(to, x))

    outcome = proved(STEP, sketch(write, Spelling(mask="none")), BOUND)
    one, other = [n for n in outcome.model.graph if n.op_type == "Attention"]
    assert one.inputs[1] is other.inputs[1]
    assert one.inputs[2] is other.inputs[2]


def test_layers_that_share_some_weights_keep_the_others_apart() -> None:
    """Two packed kernels that begin with the same queries are not the same."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        first = _attended(to, _products(to, x))
        again = (to.dense(first, part, 16, 16) for part in ("q", "k", "other"))
        return _attended(to, tuple(again))

    outcome = proved(STEP, sketch(write, Spelling(mask="none")), BOUND)
    one, other = [n for n in outcome.model.graph if n.op_type == "Attention"]
    assert one.inputs[1].name != other.inputs[1].name


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        (
            "kernel",
            lambda to: to.Tanh(to.weight("w", 16, 16)),
            "a kernel is no constant matrix of 32-bit floats",
        ),
        (
            "kernel",
            lambda to: to.weight("w", 1, 16, 16),
            "a kernel is no constant matrix of 32-bit floats",
        ),
        (
            "bias",
            lambda to: to.weight("w", 1, 16),
            "a bias is no constant vector of 32-bit floats",
        ),
        (
            "bias",
            lambda to: to.constant("w", np.full(1, 0.2, np.float32)),
            "kernel and bias are of different widths",
        ),
    ],
    ids=["computed", "stacked", "matrix", "one number"],
)
@pytest.mark.parametrize("masked", [False, True])
def test_weights_that_do_not_fit_stay(part: str, value: Any, reason: str, masked: bool) -> None:
    """What cannot be put side by side; with and without a mask."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        q, v = (to.dense(x, part, 16, 16) for part in "qv")
        kernel = value(to) if part == "kernel" else to.weight("k.kernel", 16, 16)
        bias = value(to) if part == "bias" else to.weight("k.bias", 16)
        k = to.Add(to.MatMul(x, kernel), bias)
        return _attended(to, (q, k, v), _mask(to) if masked else None)

    outcome = left_alone(STEP, sketch(write, MASKED))
    rule = "PackMaskedQueryKeyValue" if masked else "PackQueryKeyValue"
    assert reasons(outcome, rule) == {reason}


def test_keys_of_another_input_stay() -> None:
    """Attention to something else has two inputs."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        q, v = (to.dense(x, part, 16, 16) for part in "qv")
        return _attended(to, (q, to.dense(to.Tanh(x), "k", 16, 16), v))

    left_alone(STEP, sketch(write, Spelling(mask="none")))


def test_a_product_that_is_read_elsewhere_stays() -> None:
    """What else reads the values would have nothing to read."""

    def write(to: Writer) -> Any:
        three = _products(to, to.looked_up())
        return _attended(to, three), to.Neg(three[2])

    outcome = left_alone(STEP, sketch(write, Spelling(mask="none")))
    assert any("other uses" in reason for reason in reasons(outcome, "PackQueryKeyValue"))


def test_attention_with_a_bias_of_its_own_stays() -> None:
    """An input that the rule does not know must not be dropped."""

    def write(to: Writer) -> Any:
        three = _products(to, to.looked_up())
        bias = to.weight("more", 48)
        return to.MultiHeadAttention(*three, bias, domain="com.microsoft", num_heads=4)

    left_alone(STEP, sketch(write, Spelling(mask="none")))
