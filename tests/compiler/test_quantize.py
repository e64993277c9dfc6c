"""A graph in integers: how far it may be off, what is left alone, and who can read it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.integers import (
    SIZE,
    drawn,
    graph,
    ir,
    kinds,
    normal,
    product,
    run,
    table,
    two_layers,
)
from winnow.compiler.graph import serialised
from winnow.compiler.quantize import BLOCK, plain_form, quantize, restored, state_of
from winnow.compiler.quantize_forms import Nibbles, Table
from winnow.compiler.quantize_sites import sites_of
from winnow.compiler.quantize_weights import Blocks, Rows, columns


@given(st.integers(0, 999))
def test_a_product_is_off_by_its_roundings_at_most(seed: int) -> None:
    """Half a step of each weight and of each activation, summed up: nothing else is lost."""
    weights, x = drawn(seed), normal(seed + 1)
    (after,) = run(quantize(product(weights))[0], x)
    w_step = columns(weights).scales
    x_step = (x.max() - x.min()) / 255
    bound = np.abs(x).sum(axis=1)[:, None] * w_step / 2  # the weights'
    bound += x_step * (np.abs(weights).sum(axis=0) + SIZE * w_step / 2)  # half, and half of zero's
    assert (np.abs(after - x @ weights) <= bound * (1 + 1e-3)).all()


@pytest.mark.parametrize(("bits", "most"), [(8, 0.04), (4, 0.25)])
@pytest.mark.parametrize("seed", range(3))
def test_the_graph_answers_nearly_as_before(seed: int, bits: int, most: float) -> None:
    """Two layers are off by 4% of the answers' size (seen: 3.2%), by 25% (seen: 17%) in 4 bits."""
    model = graph(two_layers)
    small, changed = quantize(model, bits=bits)
    assert changed.nodes == ("first", "second")
    (before,), (after,) = run(model, normal(seed)), run(small, normal(seed))
    assert 0 < np.linalg.norm(after - before) < most * np.linalg.norm(before)


def test_the_largest_sums_do_not_saturate() -> None:
    """All weights at their bound, either sign: right here, and without VNNI (quantize_weights)."""
    weights = np.ones((256, SIZE), dtype=np.float32)
    weights[:, ::2] = -1.0
    small, _ = quantize(product(weights))
    for x in (np.full((3, 256), 5.0, np.float32), np.full((3, 256), -5.0, np.float32)):
        (after,) = run(small, x)
        assert after == pytest.approx(x @ weights, rel=1e-3)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_errors_that_are_told_are_those_of_the_weights(bits: int) -> None:
    """Who reads the record sees how much was lost, node by node."""
    sites, _ = sites_of(graph(two_layers))
    _, changed = quantize(graph(two_layers), bits=bits)
    for error, site in zip(changed.errors, sites, strict=True):
        off = np.abs(plain_form(site, bits).floats() - site.weights).max()
        assert error == pytest.approx(off / np.abs(site.weights).max(), rel=1e-3)
        assert 0 < error < {8: 0.5 / 64 * 1.02, 4: 1 / 7}[bits]


@pytest.mark.parametrize("model", [graph(two_layers, rank=2), table(drawn(3, 100, 48))])
def test_only_standard_operators_are_written(model: Any) -> None:
    """In 8 bits any runtime can read the graph, and a checker finds nothing to say of it."""
    model.graph.outputs[0].shape = model.graph.outputs[0].shape or ir.Shape(["n", "t", 48])
    small, _ = quantize(model)
    assert {node.domain for node in small.graph} == {""}
    assert set(small.opset_imports) == {""}
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnx.checker.check_model(ir.to_proto(small), full_check=True)


@pytest.mark.parametrize(("bits", "part"), [(8, 0.4), (4, 0.25)])
def test_the_file_becomes_small(bits: int, part: float) -> None:
    """The floats that were rounded are gone: no second copy of them ships."""
    model = graph(two_layers)
    small, _ = quantize(model, bits=bits)
    assert len(serialised(small)) < part * len(serialised(model))
    assert not {"w", "v"} & set(small.graph.initializers)


def test_the_model_that_was_given_is_left_as_it_is() -> None:
    """Both graphs are compared afterwards; the float one must be the float one still."""
    model = graph(two_layers)
    before = serialised(model)
    quantize(model)
    quantize(model, bits=4)
    restored(model)
    assert serialised(model) == before


@pytest.mark.parametrize("bits", [8, 4])
def test_rounding_twice_changes_nothing_more(bits: int) -> None:
    """What is in integers already is found to be so."""
    small, _ = quantize(graph(two_layers), bits=bits)
    again, changed = quantize(small, bits=bits)
    assert changed.nodes == ()
    assert kinds(again) == kinds(small)


def test_what_is_kept_stays_in_floats() -> None:
    """A node that loses too much can be named; the others are rounded all the same."""
    model = graph(two_layers)
    small, changed = quantize(model, keep=lambda node: node == "first")
    assert changed.nodes == ("second",)
    assert kinds(small).count("MatMul") == 1
    assert "w" in small.graph.initializers


def test_what_does_not_fit_is_left_alone() -> None:
    """Exactly as before, and the reason is told."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        turned = tape.op("Transpose", [x], {"perm": [1, 0]})
        return [tape.op("MatMul", [x, turned], name="node")]

    model = graph(build)
    small, changed = quantize(model)
    assert changed.nodes == ()
    assert [one.reason for one in changed.refused] == ["both factors are computed"]
    assert kinds(small) == kinds(model)
    assert np.array_equal(run(small, normal(6))[0], run(model, normal(6))[0])


def test_tables_of_4_bits() -> None:
    """In blocks; of odd width, which no byte can hold, in 8 bits."""
    (site,), _ = sites_of(table(drawn(3, 100, 48)))
    form = plain_form(site, 4)
    assert isinstance(form, Table)
    assert isinstance(form.weights, Blocks)
    assert form.weights.size == BLOCK
    (odd,), _ = sites_of(table(drawn(3, 100, 47)))
    form = plain_form(odd, 4)
    assert isinstance(form, Table)
    assert isinstance(form.weights, Rows)
    (one,), _ = sites_of(product(drawn(1)))
    nibbles = plain_form(one, 4, 16)
    assert isinstance(nibbles, Nibbles)
    assert nibbles.weights.size == 16


def test_how_a_graph_is_written() -> None:
    """So that it is not written so again."""
    model = graph(two_layers)
    assert state_of(model) == ""
    assert state_of(quantize(model)[0]) == "8 bits"
    assert state_of(quantize(model, bits=4)[0]) == "4 bits"
    assert state_of(restored(quantize(model)[0])) == ""


def test_an_output_keeps_its_name() -> None:
    """Who asks the graph for `out0` is answered, even where a product was the last node."""
    small, _ = quantize(graph(two_layers))
    assert [output.name for output in small.graph.outputs] == ["out0"]
    assert len(run(small, normal(0))) == 1
