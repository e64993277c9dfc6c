"""What adds nothing goes first, what others can make up for next, and chance decides nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.exports import Spelling, bert  # noqa: E402
from winnow.compiler.anatomy import Anatomy, anatomy_of  # noqa: E402
from winnow.compiler.fold import folded  # noqa: E402
from winnow.compiler.inputs import Feeds, feeds_of  # noqa: E402
from winnow.compiler.prune import columns_of, values_of  # noqa: E402
from winnow.compiler.prune_scores import (  # noqa: E402
    by_activation,
    by_moments,
    by_reconstruction,
    by_weights,
    chunks,
    eliminated,
    moments_of,
    ranked,
    up_to,
)
from winnow.errors import InputError  # noqa: E402
from winnow.recipe_compile import run_graph  # noqa: E402


@pytest.fixture(scope="module")
def model() -> Any:
    """A folded graph of two layers, 4 heads and 32 neurons each."""
    return folded(bert(Spelling()), run_graph).model


@pytest.fixture(scope="module")
def feeds(model: Any) -> list[Feeds]:
    """Some messages without padding."""
    return [feeds_of(model, 1, tokens, tokens, full=True) for tokens in range(8, 24)]


def _set(model: Any, name: str, rows: Any, change: Any) -> None:
    value = values_of(model)[name]
    kernel = np.array(value.const_value.numpy())
    kernel[rows] = change(kernel[rows])
    value.const_value = ir.tensor(kernel, name=name)


def _with_idle(model: Any) -> tuple[Any, Anatomy]:
    """A graph in which head 2 of layer 0 and neuron 5 of layer 1 add nothing."""
    model = model.clone()
    anatomy = anatomy_of(model)
    output = anatomy.layers[0].attention.output
    _set(model, output.kernel, columns_of([2], 4), lambda rows: 0 * rows)
    _set(model, anatomy.layers[1].feed.down.kernel, 5, lambda row: 0 * row)
    return model, anatomy


def test_what_adds_nothing_is_worth_least_by_any_measure(model: Any, feeds: list[Feeds]) -> None:
    """Weights, activations and reconstruction agree where nothing is added at all."""
    idle, anatomy = _with_idle(model)
    moments = moments_of(idle, anatomy, run_graph, feeds)
    for ranking in (
        by_weights(idle, anatomy),
        by_activation(idle, anatomy, moments),
        by_moments(idle, anatomy, moments),
        by_reconstruction(idle, anatomy, run_graph, feeds),
    ):
        assert ranking.heads[0][-1] == 2
        assert ranking.neurons[1][-1] == 5
        assert sorted(ranking.heads[1].tolist()) == list(range(4))
        assert sorted(ranking.neurons[0].tolist()) == list(range(32))


def test_a_neuron_that_never_changes_is_a_bias(model: Any, feeds: list[Feeds]) -> None:
    """Weights alone take it for the most important; on mail it is seen to be always the same."""
    constant = model.clone()
    anatomy = anatomy_of(constant)
    up = anatomy.layers[0].feed.ups[0]
    _set(constant, up.kernel, (slice(None), 7), lambda column: 1e-4 * column)
    _set(constant, up.bias, 7, lambda number: 0 * number - 30.0)  # the activation is off
    moments = moments_of(constant, anatomy, run_graph, feeds)
    assert by_activation(constant, anatomy, moments).neurons[0][-1] == 7
    assert 7 in by_moments(constant, anatomy, moments).neurons[0][-3:]
    _set(constant, up.kernel, (slice(None), 7), lambda column: 1e6 * column)
    assert by_weights(constant, anatomy).neurons[0][0] == 7


def test_moments_are_those_of_the_activations(model: Any, feeds: list[Feeds]) -> None:
    """Mean and products over all tokens, against numpy's own."""
    anatomy = anatomy_of(model)
    name = anatomy.layers[1].feed.down.reads
    seen = moments_of(model, anatomy, run_graph, feeds)[1].neurons
    rows = np.concatenate([found[0][0] for found in run_graph(model, feeds, [name])])
    assert seen.tokens == len(rows) == sum(range(8, 24))
    assert np.abs(seen.mean - rows.mean(axis=0)).max() < 1e-5
    assert np.abs(seen.second - np.cov(rows.T, bias=True)).max() < 1e-4
    assert np.abs(seen.second).max() > 0.01


def test_of_two_that_do_the_same_one_goes_first() -> None:
    """A twin is made up for by the other, however much it adds; alone it would be kept."""
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 6))
    values[:, 4] = values[:, 1]
    kernel = np.ones((6, 3))
    kernel[[1, 4]] = 10.0
    order = eliminated(values.T @ values / 500, kernel, 1)
    assert order[-1] in (1, 4)
    assert order[0] in (1, 4)
    assert sorted(order.tolist()) == list(range(6))


def test_groups_go_together() -> None:
    """The columns of a head are given up at once; the one that is loudest stays longest."""
    values = np.random.default_rng(0).normal(size=(500, 6))
    kernel = np.repeat([[1.0], [5.0], [0.1]], 2, axis=0) @ np.ones((1, 3))
    assert eliminated(values.T @ values / 500, kernel, 2).tolist() == [1, 0, 2]


def test_elimination_is_the_best_single_step() -> None:
    """The first to go is the one without which least squares lose least, found by trying all."""
    random = np.random.default_rng(3)
    values = random.normal(size=(400, 5)) @ random.normal(size=(5, 5))
    kernel = random.normal(size=(5, 2))
    wanted = values @ kernel
    lost = []
    for gone in range(5):
        rest = np.delete(values, gone, axis=1)
        lost.append(float(np.linalg.lstsq(rest, wanted, rcond=None)[1].sum()))
    assert eliminated(values.T @ values / 400, kernel, 1)[-1] == int(np.argmin(lost))


def test_activations_that_are_no_numbers(model: Any, feeds: list[Feeds]) -> None:
    """A weight so large that sums overflow is told by the place, not ranked."""
    spoilt = model.clone()
    anatomy = anatomy_of(spoilt)
    _set(spoilt, anatomy.layers[0].feed.ups[0].bias, 0, lambda number: number + 1e30)
    with pytest.raises(InputError, match="no number"):
        moments_of(spoilt, anatomy, run_graph, feeds)


def test_scores_that_are_no_numbers() -> None:
    """An order of NaN would be chance."""
    with pytest.raises(InputError, match="layer 1 are worth is no number"):
        ranked([(np.ones(2), np.ones(3)), (np.array([1.0, np.nan]), np.ones(3))])
    assert ranked([(np.array([1.0, 3.0, 2.0]), np.ones(2))]).heads[0].tolist() == [1, 2, 0]


def test_messages_go_in_parts() -> None:
    """However much mail, few activations are in memory at once, and none is left out."""
    parts = list(chunks(list(range(300))))
    assert max(map(len, parts)) <= 128
    assert [number for part in parts for number in part] == list(range(300))


def test_a_part_of_a_graph_gives_what_the_whole_gives(model: Any, feeds: list[Feeds]) -> None:
    """What is behind a value is not computed, and the value is the same."""
    names = [anatomy_of(model).layers[0].attention.sum]
    part = up_to(model, names)
    assert len(part.graph) < 0.6 * len(model.graph)
    one, two = (run_graph(graph, feeds, names) for graph in (model, part))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(one, two, strict=True))
    assert [output.name for output in model.graph.outputs] == ["logits"]
