"""The way back: each form of integers is read as the floats that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, answers, bert, count
from tests.compiler.integers import SIZE, drawn, graph, ir, kinds, normal, run, table, two_layers
from winnow.compiler.fold import folded
from winnow.compiler.fuse import fused
from winnow.compiler.passes import largest_difference
from winnow.compiler.quantize import plain_form, quantize, restored, state_of
from winnow.compiler.quantize_activations import split
from winnow.compiler.quantize_forms import Integers, Span
from winnow.compiler.quantize_sites import sites_of
from winnow.compiler.quantize_weights import columns
from winnow.compiler.quantize_write import write_forms
from winnow.compiler.verify import fault_of
from winnow.recipe_compile import run_graph


def _in_floats(model: Any, bits: int) -> dict[str, Any]:
    """The weights that a quantized model must be restored to, by name."""
    return {site.name: plain_form(site, bits).floats() for site in sites_of(model)[0]}


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("model", [graph(two_layers), table(drawn(3, 100, 48))])
def test_floats_are_those_that_the_integers_stand_for(model: Any, bits: int) -> None:
    """The same nodes and names as before, with rounded weights."""
    back = restored(quantize(model, bits=bits)[0])
    assert fault_of(back) == ""
    assert kinds(back) == kinds(model)
    assert set(back.graph.initializers) == set(model.graph.initializers)
    sites, wanted = sites_of(back)[0], _in_floats(model, bits)
    assert [site.name for site in sites] == list(wanted)
    for site in sites:
        assert np.allclose(site.weights, wanted[site.name], rtol=1e-6, atol=0)
        assert not np.array_equal(site.weights, drawn(1) / 50)


@pytest.mark.parametrize(
    "form",
    [
        split(drawn(2), [5]),
        split(drawn(2), [1, 7, 30]),
        Integers(columns(drawn(2)), span=Span(0.02, 9)),
    ],
)
def test_other_forms_of_products(form: Integers) -> None:
    """Inputs that stayed in floats come back where they were, exactly."""
    model = graph(two_layers)
    copy = model.clone()
    write_forms(copy, sites_of(copy)[0], {"second": form})
    back = restored(copy)
    assert kinds(back) == kinds(model)
    site = sites_of(back)[0][1]
    assert np.allclose(site.weights, form.floats(), rtol=1e-6, atol=0)
    if form.outliers:
        places = list(form.outliers)
        assert np.array_equal(site.weights[places], drawn(2)[places])


def test_quantized_again_it_is_what_it_was() -> None:
    """Little is lost by going back and forth."""
    first, _ = quantize(graph(two_layers))
    again, _ = quantize(restored(first))
    (one,), (two,), (exact,) = (run(m, normal(4)) for m in (first, again, graph(two_layers)))
    assert np.linalg.norm(two - one) < 0.25 * np.linalg.norm(one - exact)


def _unsigned(tape: Any, constant: Any, x: Any) -> list[Any]:
    """As Winnow wrote it before: bytes around 128, for products and for look-ups."""
    ids = constant("ids", np.arange(9))
    steps = (drawn(1, 60, SIZE) * 0).astype(np.uint8) + np.arange(60, dtype=np.uint8)[:, None]
    rows = tape.op("Gather", [constant("t.row_steps", steps), ids], name="table.row")
    each = tape.op("Gather", [constant("t.row_scales", np.full((60, 1), 0.5, np.float32)), ids])
    as_float = tape.op("Cast", [rows], {"to": 1})
    centred = tape.op("Sub", [as_float, constant("zero", np.float32(128))])
    looked_up = tape.op("Mul", [centred, each])
    total = tape.op("Add", [x, looked_up])
    q, scale, zero = tape.op_multi_out("DynamicQuantizeLinear", [total], num_outputs=3)
    kernel = np.random.default_rng(1).integers(1, 256, (SIZE, SIZE)).astype(np.uint8)
    inputs = [q, constant("w.steps", kernel), zero, constant("z", np.full(SIZE, 128, np.uint8))]
    summed = tape.op("MatMulInteger", inputs, name="product.integer")
    both = tape.op("Mul", [scale, constant("w.scales", np.full(SIZE, 0.01, np.float32))])
    return [tape.op("Mul", [tape.op("Cast", [summed], {"to": 1}), both])]


def test_unsigned_bytes() -> None:
    """A model that shipped before is read, too."""
    model = graph(_unsigned)
    assert state_of(model) == "8 bits, unsigned"
    back = restored(model)
    assert kinds(back) == ["Gather", "Add", "MatMul"]
    assert {"t", "w"} <= set(back.graph.initializers)
    assert {node.name for node in back.graph} >= {"table", "product"}
    kernel = back.graph.initializers["w"].const_value.numpy()
    assert (kernel.min(), kernel.max()) == (pytest.approx(-1.27), pytest.approx(1.27))
    (before,), (after,) = run(model, normal(3)), run(back, normal(3))
    assert 0 < np.abs(after - before).max() < 0.01 * np.abs(before).max()


@pytest.mark.parametrize("mask", ["where", "none"])
def test_what_was_fused(mask: str) -> None:
    """Every form that fusing makes of integers, packed queries, keys and values among them."""
    model = folded(bert(Spelling(mask=mask), width=64, inner=128, words=80), run_graph).model
    small, _ = quantize(model)
    packed = fused(small.clone(), launches=False).model
    for kind in ("QAttention", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"):
        found = count(packed, kind)
        assert found if kind != "MatMulIntegerToFloat" else not found
    back = restored(packed)
    assert fault_of(back) == ""
    assert state_of(back) == ""
    assert count(back, "MultiHeadAttention") == 2
    assert largest_difference(answers(back), answers(restored(small))) < 1e-5


def test_forms_that_are_not_known_stay() -> None:
    """Products of two computed factors, zeros of nibbles, scales that are computed."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        q, scale, zero = tape.op_multi_out("DynamicQuantizeLinear", [x], num_outputs=3)
        turned = tape.op("Transpose", [q], {"perm": [1, 0]})
        one = tape.op("MatMulInteger", [q, turned, zero, zero])
        other = tape.op("MatMulInteger", [q, constant("w", np.ones((SIZE, 3), np.int8)), zero])
        bent = tape.op("Abs", [tape.op("Cast", [other], {"to": 1})])
        return [
            tape.op("Mul", [tape.op("Cast", [one], {"to": 1}), scale]),
            tape.op("Mul", [bent, tape.op("Mul", [scale, constant("s", np.ones(3, np.float32))])]),
        ]

    model = graph(build)
    assert kinds(restored(model)) == kinds(model)
    assert all(map(np.array_equal, run(restored(model), normal(1)), run(model, normal(1))))


def test_floats_stay_as_they_are() -> None:
    """And the model that was given is not touched."""
    model = graph(two_layers)
    assert kinds(restored(model)) == kinds(model)
    assert np.array_equal(run(restored(model), normal(1))[0], run(model, normal(1))[0])
    assert isinstance(restored(model), ir.Model)
