"""Forms as nodes: each computes what its weights say, alone and beside others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.integers import (
    SIZE,
    drawn,
    graph,
    ir,
    kinds,
    normal,
    product,
    rounded_as_it_comes,
    run,
    table,
)
from winnow.compiler.quantize_activations import split
from winnow.compiler.quantize_forms import Integers, Nibbles, Span, Table
from winnow.compiler.quantize_sites import sites_of
from winnow.compiler.quantize_weights import blocks, columns, rows
from winnow.compiler.quantize_write import write_forms

# Sums of 64 to 200 products in 32-bit floats, in another order.
CLOSE = 2e-5


def _written(model: Any, forms: dict[str, Any]) -> Any:
    copy = model.clone()
    write_forms(copy, sites_of(copy)[0], forms)
    return copy


def _assert_close(found: Any, wanted: Any) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= CLOSE * np.abs(wanted).max()


@pytest.mark.parametrize("seed", range(3))
def test_a_product_in_8_bits(seed: int) -> None:
    """Both factors are rounded, and nothing else is lost."""
    weights, x = drawn(seed, 70, 64), normal(seed + 1, columns=70)
    small = _written(product(weights), {"product": Integers(columns(weights))})
    assert kinds(small) == ["DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul", "Mul"]
    assert {node.domain for node in small.graph} == {""}
    (found,) = run(small, x)
    _assert_close(found, rounded_as_it_comes(x) @ columns(weights).floats())


def test_inputs_in_floats() -> None:
    """They are left out of what is rounded, and exact: a feature a hundred times as large."""
    weights, x = drawn(3), normal(4)
    x[:, 5] *= 100
    form = split(weights, [5])
    (found,) = run(_written(product(weights), {"product": form}), x)
    rest = x.copy()
    rest[:, 5] = 0.0
    exact = rounded_as_it_comes(rest) @ form.weights.floats() + x[:, [5]] @ weights[[5]]
    _assert_close(found, exact)
    (plain,) = run(_written(product(weights), {"product": split(weights, [])}), x)
    wanted = x @ weights
    assert np.linalg.norm(found - wanted) < 0.1 * np.linalg.norm(plain - wanted)


def test_a_range_found_beforehand() -> None:
    """Bytes mean the same in every message; what is beyond is cut off."""
    weights, x = drawn(5), normal(6)
    span = Span(0.01, 100)
    form = Integers(columns(weights), span=span)
    small = _written(product(weights), {"product": form})
    assert kinds(small)[0] == "QuantizeLinear"
    (found,) = run(small, x)
    bytes_ = np.clip(np.rint(x / np.float32(0.01)) + 100, 0, 255)
    _assert_close(found, (bytes_ - 100) * 0.01 @ columns(weights).floats())


@pytest.mark.parametrize(("size", "rows_"), [(16, 64), (32, 64), (32, 80), (128, 72)])
def test_a_product_in_4_bits(size: int, rows_: int) -> None:
    """Activations are rounded in blocks, too: off by a hundredth, from the weights of 4 bits."""
    weights, x = drawn(7, rows_, 64), normal(8, columns=rows_)
    form = Nibbles(blocks(weights.T, size))
    small = _written(product(weights), {"product": form})
    assert kinds(small) == ["MatMulNBits"]
    (found,) = run(small, x)
    wanted = x @ form.floats()
    assert np.linalg.norm(found - wanted) < 0.015 * np.linalg.norm(wanted)


@pytest.mark.parametrize(
    "form", [Table(rows(drawn(9, 100, 48))), Table(blocks(drawn(9, 100, 48), 32))]
)
def test_a_look_up(form: Table) -> None:
    """Exactly the rows that the integers stand for."""
    ids = np.arange(100, dtype=np.int64).reshape(4, 25)
    (found,) = run(_written(table(drawn(9, 100, 48)), {"pieces": form}), ids)
    assert np.allclose(found, form.floats()[ids], rtol=1e-6, atol=0)


def test_rows_from_the_first_on() -> None:
    """Positions: as many rows as there are tokens."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        first, axis = constant("0", np.array([0])), constant("axis", np.array([0]))
        tokens = tape.op("Shape", [x], {"start": 1, "end": 2})
        return [tape.op("Slice", [constant("w", drawn(1)), first, tokens, axis], name="rows")]

    model = graph(build, "INT64", ("n", "t"))
    form = Table(rows(drawn(1)))
    (found,) = run(_written(model, {"rows": form}), np.zeros((2, 7), dtype=np.int64))
    assert np.allclose(found, form.floats()[:7], rtol=1e-6, atol=0)


@pytest.mark.parametrize("beta", [None, 1.0, 0.5])
@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm_keeps_its_bias(transposed: int, beta: float | None) -> None:
    """Times beta; and the matrix is times alpha, whichever way it lies."""
    weights, bias, x = drawn(2), normal(3, 1)[0], normal(4)

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        stored = weights.T if transposed else weights
        options = {"transB": transposed, "alpha": 2.0} | ({} if beta is None else {"beta": beta})
        inputs = [x, constant("w", stored), constant("b", bias)]
        return [tape.op("Gemm", inputs, options, name="gemm")]

    form = Integers(columns(2 * weights))
    (found,) = run(_written(graph(build), {"gemm": form}), x)
    wanted = rounded_as_it_comes(x) @ form.floats() + (1.0 if beta is None else beta) * bias
    _assert_close(found, wanted)


def _three(tape: Any, constant: Any, x: Any) -> list[Any]:
    bent = tape.op("Gelu", [x])
    return [tape.op("MatMul", [bent, constant(f"w{k}", drawn(k))], name=f"m{k}") for k in range(3)]


def test_products_of_one_activation_round_it_once() -> None:
    """Query, key and value share their input: its rounding is work that is not done thrice."""
    model = graph(_three)
    small = _written(model, {f"m{k}": Integers(columns(drawn(k))) for k in range(3)})
    assert kinds(small).count("DynamicQuantizeLinear") == 1
    for before, after in zip(run(model, normal(7)), run(small, normal(7)), strict=True):
        assert 0 < np.abs(after - before).max() < 0.02 * np.abs(before).max()


def test_products_that_round_it_differently_do_not() -> None:
    """One has inputs in floats, one has a range, one is as it comes: all three are right."""
    forms = {
        "m0": split(drawn(0), [3]),
        "m1": Integers(columns(drawn(1)), span=Span(0.02, 30)),
        "m2": split(drawn(2), [4, 8]),
    }
    model = graph(_three)
    small = _written(model, forms)
    assert kinds(small).count("DynamicQuantizeLinear") == 2
    assert kinds(small).count("QuantizeLinear") == 1
    for before, after in zip(run(model, normal(7)), run(small, normal(7)), strict=True):
        assert 0 < np.abs(after - before).max() < 0.02 * np.abs(before).max()


def test_weights_that_two_nodes_share() -> None:
    """Right in both forms, and stored once for those that are written alike."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        w = constant("w", drawn(8))
        first = tape.op("Tanh", [tape.op("MatMul", [x, w], name="one")])
        ids = constant("ids", np.arange(SIZE, dtype=np.int64))
        return [
            tape.op("MatMul", [first, w], name="two"),
            tape.op("Gather", [w, ids], name="table"),
            tape.op("MatMul", [first, w], name="left"),
        ]

    model = graph(build)
    one, x = Integers(columns(drawn(8))), normal(9) / 50
    for two in (one, split(drawn(8), [3]), Nibbles(blocks(drawn(8).T, 16))):
        small = _written(model, {"one": one, "two": two, "table": Table(rows(drawn(8)))})
        off = 0.15 if isinstance(two, Nibbles) else 0.03
        for before, after in zip(run(model, x), run(small, x), strict=True):
            assert np.abs(after - before).max() < off * np.abs(before).max()
        matrices = [v for v in small.graph.initializers.values() if v.shape == (SIZE, SIZE)]
        assert len(matrices) == 4 - (two is one) - isinstance(two, Nibbles)


def test_what_has_no_form_stays() -> None:
    """And so do its weights."""
    model = graph(_three)
    small = _written(model, {"m1": Integers(columns(drawn(1)))})
    assert kinds(small).count("MatMul") == 2
    assert {"w0", "w2"} <= set(small.graph.initializers)
    assert "w1" not in small.graph.initializers
    assert isinstance(small, ir.Model)
