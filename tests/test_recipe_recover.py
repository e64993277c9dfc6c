"""A graph is the network again, and what was cut learns again what the whole reader knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")
pytest.importorskip("optax", reason="the extra [train] is not installed")

import onnx_ir as ir

from tests.compiler.exports import Spelling, bert
from tests.model.tiny import random_tokens
from tests.narrow import SHAPE, WEIGHTS, mail_of, write_narrow
from tests.synthetic import message
from winnow import recipe_prune, recipe_recover
from winnow.compiler.anatomy import anatomy_of
from winnow.compiler.fold import folded
from winnow.compiler.prune import Keep, Plan, cut
from winnow.compiler.prune_scores import by_weights
from winnow.compiler.settle import settled
from winnow.corpus import Corpus, Example
from winnow.errors import InputError
from winnow.model.export import export
from winnow.recipe_compile import run_graph
from winnow.recipe_look import Look, feeds_by, look
from winnow.recipe_prune import Wish, prune
from winnow.recipe_recover import Recovery, gathered, weights_of
from winnow.training.reader import answer
from winnow.training.reader_data import TokenRows
from winnow.verdict import Label

CUT = Plan((Keep((0, 2), tuple(range(20))), Keep((3,), (1, 5, 9))))


def _silent(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing takes no seconds here."""
    monkeypatch.setattr(recipe_prune, "_SECONDS", 0.05)


@pytest.fixture(scope="module")
def recovery() -> Recovery:
    """Some mail to learn from."""
    return Recovery(gathered([mail_of(80)], 0, _silent), draws=640)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """A model looked into on other mail."""
    path = write_narrow(tmp_path_factory.mktemp("narrow") / "m.winnow").path
    return look(path, [mail_of(60, 1_000)])


def test_a_graph_is_the_network_again() -> None:
    """Weights come back as they were, after folding, too."""
    for graph in (export(WEIGHTS, SHAPE), folded(export(WEIGHTS, SHAPE), run_graph).model):
        shape, weights = weights_of(graph)
        assert (shape.width, shape.heads, shape.layers) == (SHAPE.width, SHAPE.heads, 2)
        assert shape.left == ((4, 64), (4, 64))
        assert set(weights) == set(WEIGHTS)
        assert all(np.array_equal(weights[name], WEIGHTS[name]) for name in WEIGHTS)


def test_a_cut_graph_is_a_cut_network() -> None:
    """Layers have the widths that they have left; heads are as wide as before."""
    shape, weights = weights_of(cut(export(WEIGHTS, SHAPE), CUT))
    assert shape.left == ((2, 20), (1, 3))
    assert (shape.heads, shape.head_width) == (4, 8)
    assert weights["layer1.down.kernel"].tolist() == (
        WEIGHTS["layer1.down.kernel"][[1, 5, 9]].tolist()
    )


def test_what_settling_moved_into_other_weights_is_found_there() -> None:
    """A settled reader has fewer biases and answers the same; so does its network."""
    graph = settled(export(WEIGHTS, SHAPE)).model
    shape, weights = weights_of(graph)
    assert not weights["layer0.down.bias"].any()
    assert WEIGHTS["layer0.down.bias"].any()
    tokens = [random_tokens(SHAPE, length) for length in (1, 9, 40)]
    rows = TokenRows(tokens, np.zeros(3, np.float32), np.ones(3))
    apart = answer(weights, rows, shape) - answer(WEIGHTS, rows, SHAPE)
    assert np.abs(apart).max() < 1e-3


def test_another_network_is_refused() -> None:
    """A graph of another exporter, or one that computes something else with the same weights."""
    with pytest.raises(InputError, match="another network than Winnow's"):
        weights_of(folded(bert(Spelling()), run_graph).model)
    bent = export(WEIGHTS, SHAPE)
    for node in bent.graph:
        if node.op_type == "Gelu":
            node.op_type = "Relu"
    with pytest.raises(InputError, match="answers otherwise"):
        weights_of(bent)


@pytest.mark.slow
@pytest.mark.parametrize("own", [0.0, 1.0])
def test_what_was_cut_is_learnt_again(
    found: Look, recovery: Recovery, own: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the whole reader what that says, from labels what they say; on mail not learnt from."""
    monkeypatch.setattr(recipe_recover, "OWN", own)
    monkeypatch.setattr(recipe_recover, "RATE", 3e-3)  # for a network so small
    wish = Wish(heads=0.75, ffn=0.95)
    told: list[str] = []
    again = replace(recovery, progress=lambda stage, done, total: told.append(stage))
    unfitted = replace(found, fitted=())
    before = prune(unfitted, wish).figures["after"]
    pruned = prune(unfitted, wish, recover=again)
    after = pruned.figures["after"]
    figure = "moved_mean" if own == 0.0 else "one_minus_roca_percent"
    assert after[figure] < 0.7 * before[figure]
    assert [one.attention.heads for one in anatomy_of(pruned.graph).layers] == [1, 1]
    assert any(stage.startswith("recovering, loss") for stage in told)


@pytest.mark.slow
def test_the_same_seed_learns_the_same(found: Look, recovery: Recovery) -> None:
    """Recovery is a function of mail, graph and seed."""
    graph = cut(found.graph, CUT)
    few = replace(recovery, draws=64)
    assert found.tokenizer is not None
    one, two, other = (
        weights_of(each(found, graph, CUT, found.tokenizer))[1]
        for each in (few, few, replace(few, seed=1))
    )
    name = "layer0.down.kernel"
    assert np.array_equal(one[name], two[name])
    assert not np.array_equal(one[name], other[name])


@pytest.mark.slow
def test_a_smaller_vocabulary_is_learnt_with_its_own_tokens(
    found: Look, recovery: Recovery
) -> None:
    """The teacher reads the old pieces, the pupil the new ones."""
    few = replace(recovery, draws=64)
    pruned = prune(found, Wish(pieces=300, heads=0.5), corpora=[mail_of(40)], recover=few)
    assert pruned.plan.pieces is not None
    feeds = feeds_by(pruned.graph, found.mail, pruned.tokenizer) if found.mail else []
    assert max(int(one["ids"].max()) for one in feeds) < len(pruned.plan.pieces)
    moved = pruned.figures["after"]["moved_mean"]
    assert moved is not None
    assert moved < 1.0


def test_gradients_rank_by_what_the_loss_would_miss(recovery: Recovery, found: Look) -> None:
    """A neuron that adds nothing comes last; weights alone rank otherwise."""
    assert found.tokenizer is not None
    graph = found.graph.clone()
    name = anatomy_of(graph).layers[0].feed.down.kernel
    kernel = np.array(graph.graph.initializers[name].const_value.numpy())
    kernel[9] = 0
    graph.graph.initializers[name].const_value = ir.tensor(kernel, name=name)
    ranking = recovery.ranking(graph, found.tokenizer)
    assert ranking.neurons[0][-1] == 9
    assert ranking.neurons[1].tolist() != by_weights(graph, anatomy_of(graph)).neurons[1].tolist()


def test_a_foreign_tokenizer_is_refused(recovery: Recovery, found: Look) -> None:
    """Only Winnow's own readers are trained; it says what to do instead."""
    foreign: Any = object()
    with pytest.raises(InputError, match="--no-recover"):
        recovery(replace(found, tokenizer=foreign), found.graph, CUT, foreign)
    with pytest.raises(InputError, match="alone have gradients"):
        recovery.ranking(found.graph, foreign)


@pytest.mark.parametrize("spam", [True, False])
def test_mail_of_one_class(spam: bool) -> None:
    """Nothing tells spam from ham in it."""
    label = Label.SPAM if spam else Label.HAM
    examples = [Example(str(n), message(spam, n), label, (n,), "one", 100) for n in range(30)]
    corpus = Corpus("one", 30, True, lambda: iter(examples))
    with pytest.raises(InputError, match="too little mail to learn from"):
        gathered([corpus], 0, _silent)


def test_a_place_for_the_graph(tmp_path: Path) -> None:
    """What is trained is written as any other reader is: the graph is the network's own."""
    graph = cut(export(WEIGHTS, SHAPE), CUT)
    shape, weights = weights_of(graph)
    again = export(weights, shape)
    assert [node.op_type for node in again.graph] == [node.op_type for node in graph.graph]
    assert again.metadata_props["pieces"] == graph.metadata_props["pieces"]
