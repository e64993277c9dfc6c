"""What a cut would do is told before it is done, by the graph that it would leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.exports import Spelling, bert  # noqa: E402
from winnow.compiler.anatomy import anatomy_of  # noqa: E402
from winnow.compiler.fold import folded  # noqa: E402
from winnow.compiler.inputs import Feeds, feeds_of  # noqa: E402
from winnow.compiler.prune import Plan, cut, whole  # noqa: E402
from winnow.compiler.prune_scores import by_moments, by_weights, moments_of  # noqa: E402
from winnow.compiler.prune_sensitivity import (  # noqa: E402
    HEADS,
    LAYER,
    NEURONS,
    kept,
    log_odds_of,
    logistic,
    sensitivity,
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
    return [feeds_of(model, 1, 5 + n % 7, n, full=True) for n in range(40)]


def test_each_effect_is_that_of_the_cut(model: Any, feeds: list[Feeds]) -> None:
    """Without making up, the change told is that of the graph that `cut` gives."""
    anatomy = anatomy_of(model)
    ranking = by_weights(model, anatomy)
    labels = np.arange(len(feeds)) % 3 == 0
    told: list[tuple[int, int]] = []
    found = sensitivity(
        model, anatomy, ranking, None, run_graph, feeds, labels, lambda *done: told.append(done)
    )
    assert told[-1] == (len(found), len(found))
    shares = [(one.layer, one.part, one.share) for one in found]
    assert shares == [
        (layer, part, share)
        for layer in (0, 1)
        for part, some in ((HEADS, (0.25, 0.5, 0.75)), (NEURONS, (0.25, 0.5, 0.75)), (LAYER, (1,)))
        for share in some
    ]
    one = next(one for one in found if (one.layer, one.part, one.gone) == (1, HEADS, 2))
    keep = whole(anatomy).layers
    smaller = cut(model, Plan((keep[0], kept(ranking, 1, 2, 32))))
    before, after = (log_odds_of(graph, run_graph, feeds) for graph in (model, smaller))
    assert one.moved == pytest.approx(float(np.mean((after - before) ** 2)), rel=1e-4)
    assert one.loss == pytest.approx(logistic(after, labels) - logistic(before, labels), rel=1e-3)
    assert one.moved > 1e-4


def test_what_is_left_makes_up_for_it(model: Any, feeds: list[Feeds]) -> None:
    """With moments the effects are smaller, as they will be after the fit."""
    anatomy = anatomy_of(model)
    others = [feeds_of(model, 1, 12, 1_000 + n, full=True) for n in range(80)]
    moments = moments_of(model, anatomy, run_graph, others)
    ranking = by_moments(model, anatomy, moments)
    bare, made_up = (
        sensitivity(model, anatomy, ranking, given, run_graph, feeds) for given in (None, moments)
    )
    assert all(one.loss is None for one in bare)
    cuts = [(a.moved, b.moved) for a, b in zip(bare, made_up, strict=True) if a.part != LAYER]
    assert sum(b for _, b in cuts) < 0.7 * sum(a for a, _ in cuts)
    layers = [(a, b) for a, b in zip(bare, made_up, strict=True) if a.part == LAYER]
    assert all(a == b for a, b in layers)


def test_the_best_stay_in_their_order(model: Any) -> None:
    """What is kept is the front of the ranking, put back in the graph's order."""
    ranking = by_weights(model, anatomy_of(model))
    keep = kept(ranking, 1, 2, 5)
    assert set(keep.heads) == set(ranking.heads[1][:2].tolist())
    assert set(keep.neurons) == set(ranking.neurons[1][:5].tolist())
    assert list(keep.neurons) == sorted(keep.neurons)


def test_log_odds_of_two_logits(model: Any, feeds: list[Feeds]) -> None:
    """Spam's logit less ham's, for each message."""
    found = log_odds_of(model, run_graph, feeds)
    logits = [values[0][0] for values in run_graph(model, feeds, ["logits"])]
    assert np.abs(found - [two - one for one, two in logits]).max() < 1e-6


@pytest.mark.parametrize(("final", "output"), [("Softmax", "p"), ("LogSoftmax", "p")])
def test_log_odds_of_probabilities(model: Any, feeds: list[Feeds], final: str, output: str) -> None:
    """Whatever a graph makes of its logits, log-odds are the same."""
    other = model.clone()
    logits = other.graph.outputs[0]
    node = ir.node(final, [logits], {"axis": -1})
    node.outputs[0].name = output
    node.outputs[0].type, node.outputs[0].shape = logits.type, logits.shape
    other.graph.append(node)
    other.graph.outputs[:] = [node.outputs[0]]
    found, wanted = (log_odds_of(graph, run_graph, feeds) for graph in (other, model))
    assert np.abs(found - wanted).max() < 1e-4


def test_what_is_no_classifier_of_two_classes(model: Any, feeds: list[Feeds]) -> None:
    """An encoder without a head, or one of three classes, has no log-odds of spam."""
    encoder = model.clone()
    last = next(v for n in encoder.graph for v in n.outputs if n.op_type == "LayerNormalization")
    last.type, last.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["b", "t", 16])
    encoder.graph.outputs[:] = [last]
    with pytest.raises(InputError, match="no text classifier"):
        log_odds_of(encoder, run_graph, feeds)


def test_answers_that_are_no_numbers(model: Any, feeds: list[Feeds]) -> None:
    """They are told; a table of NaN would be read as nothing lost."""
    spoilt = model.clone()
    name = next(n for n in spoilt.graph.initializers if n.startswith("classifier.bias"))
    value = spoilt.graph.initializers[name]
    value.const_value = ir.tensor(np.array([np.nan, 0], np.float32), name=name)
    with pytest.raises(InputError, match="no numbers"):
        log_odds_of(spoilt, run_graph, feeds)


def test_logistic_loss() -> None:
    """At even odds it is log 2; sure and wrong costs the log-odds."""
    assert logistic(np.zeros(3), np.array([True, False, True])) == pytest.approx(np.log(2))
    assert logistic(np.array([50.0]), np.array([False])) == pytest.approx(50.0)
