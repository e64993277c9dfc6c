"""A product of integers and its way back to floats as one node: the same, to the last sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, assert_same, assert_settled, bert, count, fired
from tests.compiler.integers import SIZE, drawn, graph, kinds, normal, product, run
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize
from winnow.compiler.rules import integer_product
from winnow.compiler.rules.base import applied, refused

# The same integers times the same scales, multiplied in another order: 32-bit roundings.
CLOSE = 2e-6


def apply(model: Any) -> Outcome:
    """The rule alone."""
    places = applied(model, integer_product.RULES)
    return Outcome(model, places, refused(model, integer_product.RULES))


def test_it_fires_and_is_equal() -> None:
    """All products of an encoder, whose answers stay."""
    model = quantize(bert(Spelling(), width=64, inner=128, words=80))[0]
    outcome = apply(model.clone())
    assert fired(outcome, "FuseIntegerProduct") == count(model, "MatMulInteger") == 13
    assert count(outcome.model, "MatMulInteger") == 0
    assert len(outcome.model.graph) == len(model.graph) - 3 * 13
    assert_same(model, outcome.model, 1e-5)
    assert_settled(apply, outcome.model)


@pytest.mark.parametrize("seed", range(3))
def test_one_product_is_equal(seed: int) -> None:
    """With scales of very different size."""
    model = quantize(product(drawn(seed)))[0]
    outcome = apply(model.clone())
    assert kinds(outcome.model) == ["DynamicQuantizeLinear", "MatMulIntegerToFloat"]
    (before,), (after,) = run(model, normal(seed)), run(outcome.model, normal(seed))
    assert (np.abs(after - before) <= CLOSE * np.abs(before).max(axis=0)).all()


Change = Callable[[Any, Callable[[str, Any], Any], dict[str, Any]], None]


def _changed(change: Change) -> Any:
    """The nodes of a product, some of which are something else."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        steps, scale, zero = tape.op_multi_out("DynamicQuantizeLinear", [x], num_outputs=3)
        part = {
            "steps": steps, "scale": scale, "zero": zero, "x": x,
            "weights": constant("w", np.ones((SIZE, SIZE), np.int8)),
            "scales": constant("s", np.full(SIZE, 0.1, np.float32)),
        }  # fmt: skip
        change(tape, constant, part)
        inputs = [part["steps"], part["weights"], part["zero"]]
        inputs += [part["weights_zero"]] if "weights_zero" in part else []
        as_float = tape.op("Cast", [tape.op("MatMulInteger", inputs)], {"to": 1})
        return [tape.op("Mul", [tape.op("Mul", [part["scales"], part["scale"]]), as_float])]

    return graph(build)


def _nothing(tape: Any, constant: Any, part: dict[str, Any]) -> None:
    pass


def _unsigned(tape: Any, constant: Any, part: dict[str, Any]) -> None:
    part["weights"] = constant("u", np.full((SIZE, SIZE), 130, np.uint8))
    part["weights_zero"] = constant("z", np.full(SIZE, 128, np.uint8))


def _computed(tape: Any, constant: Any, part: dict[str, Any]) -> None:
    part["weights"] = tape.op("Transpose", [part["steps"]], {"perm": [1, 0]})
    part["weights_zero"] = part["zero"]
    part["scales"] = constant("1", np.ones(1, np.float32))


def _computed_scales(tape: Any, constant: Any, part: dict[str, Any]) -> None:
    part["scales"] = tape.op("ReduceMax", [part["x"], constant("axis", np.array([0]))])


def _foreign(tape: Any, constant: Any, part: dict[str, Any]) -> None:
    part["scale"] = tape.op("ReduceMax", [part["x"]], {"keepdims": 0})


def _computed_zero(tape: Any, constant: Any, part: dict[str, Any]) -> None:
    part["weights"] = constant("u", np.full((SIZE, SIZE), 130, np.uint8))
    part["weights_zero"] = part["zero"]


@pytest.mark.parametrize("change", [_nothing, _unsigned])
def test_other_orders_and_unsigned_weights(change: Change) -> None:
    """Operands may be swapped; weights may be around another byte."""
    model = _changed(change)
    outcome = apply(model.clone())
    assert fired(outcome, "FuseIntegerProduct") == 1
    (before,), (after,) = run(model, normal(1)), run(outcome.model, normal(1))
    assert np.allclose(after, before, rtol=CLOSE, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_computed, "the weights are no constant matrix"),
        (_computed_scales, "the scales are no constant, one for each column"),
        (_foreign, "the scale is not that of what is multiplied"),
        (_computed_zero, "the zero of the weights is computed"),
    ],
)
def test_it_refuses_with_its_reason(change: Change, reason: str) -> None:
    """And leaves the graph as it was."""
    model = _changed(change)
    outcome = apply(model.clone())
    assert outcome.fired == ()
    assert [place.reason for place in outcome.refused] == [reason]
    assert kinds(outcome.model) == kinds(model)
    assert np.array_equal(run(outcome.model, normal(1))[0], run(model, normal(1))[0])
