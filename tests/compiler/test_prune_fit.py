"""What is left gives again what was given: nearer than before, and exactly where it can."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.exports import Spelling, bert  # noqa: E402
from winnow.compiler.anatomy import anatomy_of  # noqa: E402
from winnow.compiler.fold import folded  # noqa: E402
from winnow.compiler.graph import drop_unused, serialised  # noqa: E402
from winnow.compiler.inputs import Feeds, feeds_of  # noqa: E402
from winnow.compiler.passes import largest_difference  # noqa: E402
from winnow.compiler.prune import Keep, Plan, cut, values_of  # noqa: E402
from winnow.compiler.prune_fit import last_of, made_up, refitted, set_product  # noqa: E402
from winnow.compiler.prune_scores import Moments  # noqa: E402
from winnow.compiler.verify import fault_of  # noqa: E402
from winnow.errors import InputError  # noqa: E402
from winnow.recipe_compile import run_graph  # noqa: E402

HALF = Plan((Keep((0, 1), tuple(range(16))), Keep((1, 3), tuple(range(8, 24)))))


@pytest.fixture(scope="module")
def model() -> Any:
    """A folded graph of two layers."""
    return folded(bert(Spelling()), run_graph).model


def _feeds(model: Any, seed: int, count: int = 60) -> list[Feeds]:
    return [feeds_of(model, 1, 12, seed + n, full=True) for n in range(count)]


def _apart(model: Any, other: Any, feeds: list[Feeds]) -> float:
    one, two = (run_graph(graph, feeds, ["logits"]) for graph in (model, other))
    return float(np.mean([(a[0] - b[0]) ** 2 for a, b in zip(one, two, strict=True)]))


def test_it_is_nearer_on_mail_that_it_was_not_fitted_on(model: Any) -> None:
    """Half of everything is cut; the fit takes away most of what was lost."""
    smaller = cut(model, HALF)
    before = serialised(smaller)
    feeds = _feeds(model, 0)
    fitted = refitted(model, smaller, HALF, run_graph, [(one, one) for one in feeds])
    others = _feeds(model, 5_000)
    assert _apart(model, fitted, others) < 0.5 * _apart(model, smaller, others)
    assert serialised(smaller) == before


def test_a_twin_is_made_up_for_exactly(model: Any) -> None:
    """A neuron that does what another does is cut, and no answer changes."""
    twins = model.clone()
    feed = anatomy_of(twins).layers[0].feed
    for name in (feed.ups[0].kernel, feed.ups[0].bias):
        value = values_of(twins)[name]
        array = np.array(value.const_value.numpy())
        array[..., 31] = array[..., 0]
        value.const_value = ir.tensor(array, name=name)
    whole = tuple(range(32))
    plan = Plan((Keep((0, 1, 2, 3), whole[:31]), Keep((0, 1, 2, 3), whole)))
    smaller = cut(twins, plan)
    feeds = _feeds(twins, 0)
    pairs = [(one, one) for one in feeds]
    fitted = refitted(twins, smaller, plan, run_graph, pairs, ridge=1e-6)
    found, wanted = (run_graph(graph, feeds, ["logits"]) for graph in (fitted, twins))
    assert largest_difference(found, wanted) < 1e-3
    cut_only = run_graph(smaller, feeds, ["logits"])
    assert largest_difference(cut_only, wanted) > 1e-2


def test_nothing_cut_is_nothing_changed(model: Any) -> None:
    """Weights that give what is wanted already are held where they are."""
    plan = Plan(tuple(Keep((0, 1, 2, 3), tuple(range(32))) for _ in range(2)))
    pairs = [(one, one) for one in _feeds(model, 0)]
    again = refitted(model, model, plan, run_graph, pairs)
    assert _apart(model, again, _feeds(model, 9_000, 5)) < 1e-8


def test_a_layer_that_was_left_out_is_made_up_for_by_the_next(model: Any) -> None:
    """The target of a sum holds what the missing layer added."""
    plan = Plan((None, Keep((0, 1, 2, 3), tuple(range(32)))))
    smaller = cut(model, plan)
    pairs = [(one, one) for one in _feeds(model, 0)]
    fitted = refitted(model, smaller, plan, run_graph, pairs)
    others = _feeds(model, 5_000)
    assert _apart(model, fitted, others) < 0.7 * _apart(model, smaller, others)


def test_the_answer_of_least_squares() -> None:
    """Rows that are left are those that numpy's own solver finds, the mean in the bias."""
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 4)) @ random.normal(size=(4, 4)) + 3.0
    kernel = random.normal(size=(4, 2))
    mean = values.mean(axis=0)
    seen = Moments(300, mean, np.cov(values.T, bias=True))
    rows = np.array([0, 2])
    new, added = made_up(kernel, seen, rows, ridge=1e-12)
    ones = np.ones((300, 1))
    left = np.concatenate([values[:, rows], ones], axis=1)
    wanted = np.linalg.lstsq(left, values @ kernel, rcond=None)[0]
    assert np.abs(new - wanted[:2]).max() < 1e-6
    assert np.abs(added - wanted[2]).max() < 1e-6
    held, _ = made_up(kernel, seen, rows, ridge=1e9)
    assert np.abs(held - kernel[rows]).max() < 1e-6


def test_activations_that_are_no_numbers(model: Any) -> None:
    """They are told by their place; no weight becomes NaN."""
    spoilt = model.clone()
    name = anatomy_of(spoilt).layers[0].feed.ups[0].bias
    value = values_of(spoilt)[name]
    array = np.array(value.const_value.numpy())
    array[0] = 1e30
    value.const_value = ir.tensor(array, name=name)
    pairs = [(one, one) for one in _feeds(model, 0, 3)]
    with pytest.raises(InputError, match="no number"):
        refitted(spoilt, cut(spoilt, HALF), HALF, run_graph, pairs)


def test_types_stay(model: Any) -> None:
    """A product has weights of the type that it had; a graph of 32-bit floats stays one."""
    copy = model.clone()
    dense = last_of(anatomy_of(copy).layers[0].attention)
    set_product(copy, dense, np.zeros(dense.sizes), np.zeros(dense.sizes[1]))
    values = values_of(copy)
    assert values[dense.kernel].const_value.numpy().dtype == np.float32
    assert not values[dense.bias].const_value.numpy().any()
    assert values_of(model)[dense.kernel].const_value.numpy().any()


def test_a_product_without_a_bias_is_given_one(model: Any) -> None:
    """Settling moves biases into other weights; what a cut takes away needs one all the same."""
    bare = model.clone()
    for layer in anatomy_of(bare).layers:
        for dense in (last_of(layer.attention), last_of(layer.feed)):
            values = values_of(bare)
            ir.convenience.replace_all_uses_with(values[dense.gives], values[dense.product])
    drop_unused(bare)
    assert not last_of(anatomy_of(bare).layers[0].feed).bias
    feeds = _feeds(bare, 0)
    smaller = cut(bare, HALF)
    fitted = refitted(bare, smaller, HALF, run_graph, [(one, one) for one in feeds])
    assert fault_of(fitted) == ""
    assert all(last_of(layer.feed).bias for layer in anatomy_of(fitted).layers)
    others = _feeds(bare, 5_000)
    assert _apart(bare, fitted, others) < 0.5 * _apart(bare, smaller, others)
