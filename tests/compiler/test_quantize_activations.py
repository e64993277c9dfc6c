"""Activations on messages: what is kept of them, which inputs stand out, which range is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.compiler.integers import SIZE, drawn, graph, normal, product, run, two_layers
from winnow.compiler.quantize_activations import (
    ROWS,
    Seen,
    calibrated,
    error_of,
    see,
    split,
    with_outliers,
)
from winnow.compiler.quantize_forms import Form, Integers, Nibbles
from winnow.compiler.quantize_sites import Site, sites_of
from winnow.compiler.quantize_weights import blocks, columns
from winnow.compiler.quantize_write import write_forms
from winnow.recipe_compile import run_graph


def _seen(*messages: NDArray[np.float32]) -> dict[str, Seen]:
    """What is kept of x in a model of one product."""
    model = product(drawn(1))
    return see(model, sites_of(model)[0], run_graph, [{"x": message} for message in messages])


def _site(weights: NDArray[np.float32]) -> Site:
    return sites_of(product(weights))[0][0]


def _standing_out(places: Sequence[int], factor: float, seed: int = 3) -> NDArray[np.float32]:
    x = normal(seed, 200)
    x[:, list(places)] *= factor
    return x


def test_rows_of_all_messages_are_kept() -> None:
    """Some of each, with the message they are of and its whole range; bounded, however long."""
    messages = [normal(n, 5 + 300 * n) for n in range(4)]
    seen = _seen(*messages)["x"]
    assert len(seen.rows) <= ROWS + 4
    assert set(seen.of.tolist()) == {0, 1, 2, 3}
    for n, message in enumerate(messages):
        assert np.array_equal(seen.low[n], message.min(axis=0))
        assert np.array_equal(seen.high[n], message.max(axis=0))
        rows = seen.rows[seen.of == n]
        assert np.array_equal(rows[0], message[0])
        assert np.array_equal(rows[-1], message[-1])
    fewer = seen.fewer(50)
    assert len(fewer.rows) == len(fewer.of) <= 50
    assert set(fewer.of.tolist()) == {1, 2, 3, 0}


def test_values_in_between_are_seen() -> None:
    """Of every product of the graph, under the name of what it multiplies; not of look-ups."""
    model = graph(two_layers)
    sites, _ = sites_of(model)
    seen = see(model, sites, run_graph, [{"x": normal(1)}, {"x": normal(2)}])
    assert list(seen) == ["x", sites[1].x.name]
    assert seen[sites[1].x.name or ""].rows.shape == (18, SIZE)


@pytest.mark.parametrize("outliers", [[], [3, 9]])
def test_the_error_is_that_of_the_graph(outliers: list[int]) -> None:
    """What is computed with arrays is what the nodes will do."""
    weights, x = drawn(4), _standing_out([3, 9], 30)
    form, model = split(weights, outliers), product(weights)
    copy = model.clone()
    write_forms(copy, sites_of(copy)[0], {"product": form})
    (found,), exact = run(copy, x), x @ weights
    seen = _seen(x)["x"]
    wanted = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert error_of(_site(weights), form, seen) == pytest.approx(wanted, rel=1e-2)
    assert wanted > 0.002


def test_each_message_has_its_own_range() -> None:
    """A loud message does not make a quiet one coarse."""
    loud, quiet = 100 * normal(1, 100), normal(2, 100)
    both, site = _seen(loud, quiet)["x"], _site(drawn(1))
    form = split(site.weights, [])
    only = replace(both, rows=both.rows[both.of == 1], of=both.of[both.of == 1])
    assert error_of(site, form, only) == pytest.approx(error_of(site, form, _seen(quiet)["x"]))


def test_inputs_that_stand_out_stay_in_floats() -> None:
    """Two features of sixty-four are forty times as large as the others."""
    weights = drawn(5)
    seen = _seen(_standing_out([7, 30], 40))
    form = with_outliers([_site(weights)], seen)["product"]
    assert form.outliers == (7, 30)
    assert np.array_equal(form.floats()[[7, 30]], weights[[7, 30]])
    plain = error_of(_site(weights), split(weights, []), seen["x"])
    assert error_of(_site(weights), form, seen["x"]) < 0.3 * plain


def test_where_none_stands_out_none_does() -> None:
    """It would cost time for nothing; nor is there any where nothing was seen."""
    assert with_outliers([_site(drawn(5))], _seen(normal(1, 100))) == {}
    assert with_outliers([_site(drawn(5))], {}) == {}


def test_products_of_one_activation_keep_the_same_inputs() -> None:
    """So that they share the work of leaving them out."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("MatMul", [x, constant(f"w{k}", drawn(k))], name=f"m{k}") for k in range(3)]

    sites, _ = sites_of(graph(build))
    found = with_outliers(sites, _seen(_standing_out([7], 40)))
    assert {form.outliers for form in found.values()} == {(7,)}
    assert len(found) == 3


def test_a_range_cuts_off_what_is_rare() -> None:
    """One value in ten thousand is a hundred times as large: the rest is worth more."""
    x = normal(6, 400)
    x[3, 5] = 100.0
    forms: dict[str, Form] = {"product": split(drawn(1), [])}
    seen, site = _seen(x), _site(drawn(1))
    found = calibrated([site], forms, seen)["product"]
    assert isinstance(found, Integers)
    assert found.span is not None
    assert found.span.scale * 255 < 60
    rest = replace(seen["x"], rows=x[10:], of=np.zeros(390, dtype=np.int64))
    assert error_of(site, found, rest) < 0.7 * error_of(site, forms["product"], rest)


def test_a_range_that_is_used_up_stays_whole() -> None:
    """Nothing is cut off where large values are common; 0 is always a byte."""
    random = np.random.default_rng(1)
    x = random.choice([-0.5, 2.0], size=(300, SIZE)).astype(np.float32)
    found = calibrated([_site(drawn(1))], {"product": split(drawn(1), [])}, _seen(x))["product"]
    assert isinstance(found, Integers)
    assert found.span is not None
    assert found.span.scale == pytest.approx(2.5 / 255, rel=1e-3)
    assert found.span.zero == 51


def test_others_have_no_range() -> None:
    """4-bit products round activations by themselves."""
    form = Nibbles(blocks(drawn(1).T, 32))
    site = _site(drawn(1))
    assert calibrated([site], {"product": form}, _seen(normal(1)))["product"] is form
    assert calibrated([site], {}, _seen(normal(1))) == {}
    assert error_of(site, form, _seen(normal(1))["x"]) > 0.02


def test_nothing_is_nothing() -> None:
    """Activations of 0 have a range all the same."""
    site = _site(drawn(1))
    seen = _seen(np.zeros((5, SIZE), dtype=np.float32))
    found = calibrated([site], {"product": Integers(columns(site.weights))}, seen)["product"]
    assert isinstance(found, Integers)
    assert found.span is not None
    assert (found.span.scale, found.span.zero) == (1.0, 0)
    assert error_of(site, found, seen["x"]) == 0
