"""The bias of a head of one number goes into the shift of the norm before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Writer, count, left_alone, proved, reasons, sketch
from winnow.compiler.graph import array_of, drop_unused
from winnow.compiler.passes import Outcome
from winnow.compiler.rules.head_bias import NAME, absorbed_head_bias

BOUND = 5e-6  # the shift is rounded once more; numbers are of about 5
ELSE = "the norm or the product is read by something else, too"


def step(model: Any) -> Outcome:
    """The rule as a step."""
    fired, refused = absorbed_head_bias(model)
    drop_unused(model)
    return Outcome(model, tuple(fired), tuple(refused))


def _head(
    to: Writer, size: tuple[int, ...] = (16,), bias: Any = None, x: Any = None, first: bool = False
) -> Any:
    normal = to.norm(to.looked_up(), "n") if x is None else x
    product = to.MatMul(normal, to.weight("head.kernel", *size))
    number = to.number(0.7) if bias is None else bias
    return to.Add(number, product) if first else to.Add(product, number)


@pytest.mark.parametrize("size", [(16,), (16, 1)])
@pytest.mark.parametrize("bias", [None, lambda to: to.constant("b", np.array([-2.5], np.float32))])
@pytest.mark.parametrize("first", [False, True])
def test_an_addition_less(size: Any, bias: Any, first: bool) -> None:
    """Of a vector or a column, of a number with an axis or without; the output keeps its name."""

    def write(to: Writer) -> Any:
        return _head(to, size, bias and bias(to), first=first)

    model = sketch(write)
    outcome = proved(step, model, BOUND)
    assert [place.rule for place in outcome.fired] == [NAME]
    assert count(outcome.model, "Add") == 0
    [output] = outcome.model.graph.outputs
    assert (output.name, output.producer().op_type) == ("out0", "MatMul")
    weights = {name: array_of(v).astype(np.float64) for name, v in model.graph.initializers.items()}
    norm = next(n for n in outcome.model.graph if n.op_type == "LayerNormalization")
    kernel = weights["head.kernel"].reshape(-1)
    moved = array_of(norm.inputs[2]) - weights["n.shift"]
    assert moved @ kernel == pytest.approx(0.7 if bias is None else -2.5, abs=1e-5)


def test_what_reads_the_head_reads_the_product() -> None:
    """Inside of a graph as well."""

    def write(to: Writer) -> Any:
        return to.Sigmoid(_head(to))

    assert count(proved(step, sketch(write), BOUND).model, "Add") == 0


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (
            lambda to: _head(to, x=to.Tanh(to.looked_up())),
            "the head reads no layer normalisation's output",
        ),
        (
            lambda to: _head(
                to, x=to.LayerNormalization(to.looked_up(), to.weight("s", 16, around=1.0))
            ),
            "the head reads no layer normalisation's output",
        ),
        (
            lambda to: _head(
                to,
                x=to.LayerNormalization(
                    to.looked_up(), to.weight("s", 16), to.Tanh(to.weight("b", 16))
                ),
            ),
            "the norm's shift is no constant vector",
        ),
        (
            lambda to: _head(to, bias=to.number(9_000.0)),
            "the kernel is too small for its bias",
        ),
    ],
    ids=["no norm", "no shift", "computed", "small"],
)
def test_a_bias_that_has_no_place_stays(write: Any, reason: str) -> None:
    """The reason says why."""
    outcome = left_alone(step, sketch(write))
    assert reasons(outcome, NAME) == {reason}


@pytest.mark.parametrize(
    "beside",
    [
        lambda to, x, y: to.Tanh(x),
        lambda to, x, y: x,
        lambda to, x, y: to.Neg(y),
        lambda to, x, y: y,
    ],
    ids=["norm", "norm as output", "product", "product as output"],
)
def test_what_is_read_elsewhere_stays(beside: Any) -> None:
    """It would be another number there."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "n")
        added = _head(to, x=x)
        return added, beside(to, x, added.producer().inputs[0])

    assert reasons(left_alone(step, sketch(write)), NAME) == {ELSE}


@pytest.mark.parametrize(
    "write",
    [
        lambda to: _head(to, size=(16, 2)),
        lambda to: _head(to, size=(16, 2), bias=to.weight("b", 2)),
        lambda to: _head(to, bias=to.Tanh(to.number(0.4))),
        lambda to: _head(to, size=(16, 1), bias=to.weight("b", 1, 1)),
        lambda to: to.Add(to.Tanh(to.looked_up()), to.number(0.3)),
    ],
    ids=["two", "two biases", "computed", "matrix", "no product"],
)
def test_another_sum_is_no_head(write: Any) -> None:
    """Nothing is told of it either."""
    assert left_alone(step, sketch(write)).refused == ()


def test_a_kernel_of_zeros_stays() -> None:
    """No shift gives a bias through it."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "n")
        zeros = to.constant("zeros", np.zeros(16, np.float32))
        return to.Add(to.MatMul(x, zeros), to.number(0.5)), to.Neg(to.looked_up())

    model = sketch(write)
    left_alone(step, model)
