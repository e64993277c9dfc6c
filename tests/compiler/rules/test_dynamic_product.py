"""A rounding that one product alone needs goes into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, assert_same, assert_settled, bert, count, fired
from tests.compiler.integers import SIZE, drawn, graph, kinds, normal, run
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize
from winnow.compiler.quantize_forms import Integers, Span
from winnow.compiler.quantize_sites import sites_of
from winnow.compiler.quantize_weights import columns
from winnow.compiler.quantize_write import write_forms
from winnow.compiler.rules import dynamic_product, integer_bias, integer_product
from winnow.compiler.rules.base import applied, refused

BEFORE = [*integer_product.RULES, *integer_bias.RULES]


def apply(model: Any) -> Outcome:
    """The rule alone."""
    places = applied(model, dynamic_product.RULES)
    return Outcome(model, places, refused(model, dynamic_product.RULES))


def test_it_fires_and_is_equal() -> None:
    """Of an encoder's products all but queries, keys and values, with their biases."""
    model = quantize(bert(Spelling(), width=64, inner=128, words=80))[0]
    applied(model, BEFORE)
    outcome = apply(model.clone())
    assert fired(outcome, "FuseDynamicProduct") == 7
    assert count(outcome.model, "DynamicQuantizeLinear") == 2
    assert_same(model, outcome.model, 1e-5)
    assert_settled(apply, outcome.model)
    assert {place.reason for place in outcome.refused} == {"3 nodes share the rounding"}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("unsigned", [False, True])
def test_inputs_that_are_not_there(bias: bool, unsigned: bool) -> None:
    """Zeros of weights and biases keep their places."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        steps, scale, zero = tape.op_multi_out("DynamicQuantizeLinear", [x], num_outputs=3)
        kind = np.uint8 if unsigned else np.int8
        inputs = [
            steps,
            constant("w", np.random.default_rng(1).integers(0, 90, (SIZE, SIZE)).astype(kind)),
            scale,
            constant("s", np.linspace(0.1, 0.2, SIZE, dtype=np.float32)),
            zero,
            constant("z", np.full(SIZE, 40, np.uint8)) if unsigned else None,
            constant("b", normal(2, 1)[0]) if bias else None,
        ]
        return [tape.op("MatMulIntegerToFloat", inputs, domain="com.microsoft")]

    model = graph(build)
    model.graph.opset_imports["com.microsoft"] = 1
    outcome = apply(model.clone())
    assert kinds(outcome.model) == ["DynamicQuantizeMatMul"]
    (before,), (after,) = run(model, normal(1)), run(outcome.model, normal(1))
    assert np.allclose(after, before, rtol=1e-5, atol=1e-4)


def _calibrated() -> Any:
    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("MatMul", [x, constant("w", drawn(1))], name="product")]

    model = graph(build)
    form = Integers(columns(drawn(1)), span=Span(0.02, 9))
    write_forms(model, sites_of(model)[0], {"product": form})
    applied(model, BEFORE)
    return model


def _read_twice() -> Any:
    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("MatMul", [x, constant("w", drawn(1))], name="product")]

    model = quantize(graph(build))[0]
    applied(model, BEFORE)
    (rounding,) = [node for node in model.graph if node.op_type == "DynamicQuantizeLinear"]
    model.graph.outputs.append(rounding.outputs[1])
    return model


def _foreign() -> Any:
    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        steps, scale, zero = tape.op_multi_out("DynamicQuantizeLinear", [x], num_outputs=3)
        one = constant("one", np.float32(1.0))
        weights = constant("w", np.ones((SIZE, SIZE), np.int8))
        scales = constant("s", np.ones(SIZE, np.float32))
        twice = tape.op("Add", [scale, one])
        return [
            tape.op("MatMulIntegerToFloat", [steps, weights, twice, scales, zero],
                    domain="com.microsoft")
        ]  # fmt: skip

    model = graph(build)
    model.graph.opset_imports["com.microsoft"] = 1
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (_calibrated(), "what is multiplied is not rounded as it comes"),
        (_read_twice(), "1 nodes share the rounding"),
        (_foreign(), "scale or zero is of something else"),
    ],
)
def test_it_refuses_with_its_reason(model: Any, reason: str) -> None:
    """And leaves the graph as it was."""
    outcome = apply(model.clone())
    assert outcome.fired == ()
    assert [place.reason for place in outcome.refused] == [reason]
    assert kinds(outcome.model) == kinds(model)
