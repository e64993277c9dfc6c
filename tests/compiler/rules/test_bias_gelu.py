"""A bias and GELU after it are one node of the same form of GELU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
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
from winnow.compiler.rules.bias_gelu import RULES

BOUND = 1e-6  # the fused kernels' polynomials
STEP = by(*RULES)


def _gelu(to: Writer, x: Any, form: str) -> Any:
    if form == "contributed":
        return to.Gelu(x, domain="com.microsoft")
    if form == "fast":
        return to.FastGelu(x, domain="com.microsoft")
    return to.Gelu(x, approximate=form)


@pytest.mark.parametrize(
    ("form", "rule", "made"),
    [
        ("none", "FuseBiasGelu", "BiasGelu"),
        ("tanh", "FuseBiasGelu", "FastGelu"),
        ("contributed", "FuseBiasContributedGelu", "BiasGelu"),
        ("fast", "FuseBiasFastGelu", "FastGelu"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_two_nodes_become_one(form: str, rule: str, made: str, first: bool) -> None:
    """In either order of the operands; the form of GELU is kept."""
    opset = 20 if form in ("none", "tanh") else 17

    def write(to: Writer) -> Any:
        return _gelu(to, to.dense(to.looked_up(), "up", 16, 32), form)

    model = sketch(write, Spelling(mask="none", opset=opset, bias_first=first))
    outcome = proved(STEP, model, BOUND)
    assert fired(outcome, rule) == len(outcome.fired) == 1
    assert kinds(outcome.model) == ["Gather", "MatMul", made]
    node = outcome.model.graph[-1]
    assert node.domain == "com.microsoft"
    assert array_of(node.inputs[1]).shape == (32,)


@pytest.mark.parametrize(
    "bias",
    [
        lambda to: to.Tanh(to.looked_up()),
        lambda to: to.weight("matrix", 1, 16),
        lambda to: to.constant("one", np.full(1, 0.5, np.float32)),
    ],
    ids=["computed", "a matrix", "one number"],
)
@pytest.mark.parametrize(
    ("form", "rule"),
    [
        ("none", "FuseBiasGelu"),
        ("contributed", "FuseBiasContributedGelu"),
        ("fast", "FuseBiasFastGelu"),
    ],
)
def test_other_sums_stay(bias: Any, form: str, rule: str) -> None:
    """The operator takes a vector as long as the last axis."""

    def write(to: Writer) -> Any:
        return _gelu(to, to.Add(to.Sigmoid(to.looked_up()), bias(to)), form)

    outcome = left_alone(STEP, sketch(write, Spelling(mask="none", opset=20)))
    assert reasons(outcome, rule) == {"the bias is no constant vector"}


def test_a_gelu_with_a_bias_already_stays() -> None:
    """Two biases would need two nodes."""

    def write(to: Writer) -> Any:
        x = to.Add(to.looked_up(), to.weight("one", 16))
        return to.FastGelu(x, to.weight("other", 16), domain="com.microsoft")

    left_alone(STEP, sketch(write))


def test_a_sum_that_is_read_elsewhere_stays() -> None:
    """What else reads it would have nothing to read."""

    def write(to: Writer) -> Any:
        x = to.Add(to.looked_up(), to.weight("bias", 16))
        return to.Gelu(x, domain="com.microsoft"), x

    left_alone(STEP, sketch(write))
