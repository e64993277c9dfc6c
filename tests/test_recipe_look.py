"""What a model is made of and can do without is found on mail, or said to be a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from tests.cascaded import corpus_of, write_two_stages
from tests.compiler.exports import Spelling, bert
from tests.synthetic import message
from winnow.compiler.graph import serialised
from winnow.compiler.prune_scores import by_weights
from winnow.compiler.prune_sensitivity import LAYER
from winnow.corpus import Corpus
from winnow.errors import ArtifactError, InputError
from winnow.recipe_look import (
    ACTIVATION,
    FEWEST,
    FIRST_ORDER,
    RECONSTRUCTION,
    WEIGHTS,
    look,
    look_json,
    sampled,
)
from winnow.verdict import Label


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare graph of another exporter."""
    path = tmp_path_factory.mktemp("bare") / "bert.onnx"
    path.write_bytes(serialised(bert(Spelling())))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two stages, its reader in 8-bit integers."""
    from tests.narrow import write_narrow

    return write_narrow(tmp_path_factory.mktemp("narrow") / "m.winnow", rounded=True).path


def _mail(count: int, *, labels: bool = True, spam: bool | None = None) -> Corpus:
    kinds = [(n % 2 == 0 if spam is None else spam, n) for n in range(count)]
    named = {True: Label.SPAM, False: Label.HAM}
    return corpus_of([(message(s, n), named[s] if labels else None) for s, n in kinds])


def test_a_bare_graph_without_mail(bare: Path) -> None:
    """Any exporter's graph is looked into; what is worth most is by weights, on random inputs."""
    found = look(bare, [])
    assert (found.importance, found.mail, found.fitted) == (WEIGHTS, None, ())
    assert found.about == "64 random inputs"
    assert [layer.attention.heads for layer in found.anatomy.layers] == [4, 4]
    told = look_json(found)
    assert (told["model"], told["labelled"]) == ("bert.onnx", False)
    assert len(told["sensitivity"]) == 14
    assert {"layer", "part", "share", "gone", "moved", "loss"} == set(told["sensitivity"][0])
    again = look(bare, [])
    assert [e.moved for e in again.effects] == [e.moved for e in found.effects]
    assert [e.moved for e in look(bare, [], seed=1).effects] != [e.moved for e in found.effects]


def test_a_model_and_mail(model: Path) -> None:
    """Rounded weights are floats again; most of the mail is fitted on, the rest measured on."""
    told: list[str] = []
    mail = _mail(60)
    found = look(model, [mail], progress=lambda stage, done, total: told.append(stage))
    assert found.importance == RECONSTRUCTION
    assert (len(found.fitted), len(found.measured)) == (40, 20)
    assert found.labels is not None
    assert len(found.labels) == 20
    assert found.tokens == int(np.median([one["ids"].shape[1] for one in found.measured]))
    assert {"MatMul"} == {n.op_type for n in found.graph.graph if "MatMul" in n.op_type}
    assert all(effect.loss is not None for effect in found.effects)
    assert {"reading", "measuring"} == set(told)
    assert found.history[0]["step"] == "fold"


@pytest.mark.slow
def test_each_importance_is_its_own(model: Path) -> None:
    """Rankings differ, and that by gradients is the one that is given."""
    mail = [_mail(60)]
    rankings = {
        how: look(model, mail, importance=how).ranking
        for how in (RECONSTRUCTION, ACTIVATION, WEIGHTS)
    }
    orders = [tuple(ranking.neurons[0].tolist()) for ranking in rankings.values()]
    assert len(set(orders)) == 3
    given = rankings[ACTIVATION]
    found = look(model, mail, importance=FIRST_ORDER, first_order=lambda graph, tokenizer: given)
    assert found.ranking is given
    assert rankings[WEIGHTS].heads[0].tolist() == (
        by_weights(found.graph, found.anatomy).heads[0].tolist()
    )


def test_labels_are_not_needed(model: Path) -> None:
    """Without them, or with those of one class, what is added to the loss is not told."""
    for mail in (_mail(30, labels=False), _mail(30, spam=False)):
        found = look(model, [mail])
        assert found.labels is None
        assert all(effect.loss is None for effect in found.effects)
        assert sum(effect.moved for effect in found.effects if effect.part == LAYER) > 0


def test_a_random_part_of_the_mail(model: Path) -> None:
    """No more messages than asked for, the same for the same seed."""
    one, two, other = (sampled([_mail(90)], 30, seed) for seed in (0, 0, 1))
    texts = [[message.text for message, _ in some.messages] for some in (one, two, other)]
    assert len(texts[0]) == 30
    assert texts[0] == texts[1] != texts[2]
    assert (one.about, one.fitted) == ("mail", 20)


@pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
def test_too_little_mail(model: Path, count: int) -> None:
    """A fit on a few messages would be worth nothing."""
    with pytest.raises(InputError, match=f"this mail has {count} messages; {FEWEST} or more"):
        look(model, [_mail(count)])


def test_mail_for_a_bare_graph(bare: Path) -> None:
    """Nobody knows its tokens."""
    with pytest.raises(InputError, match="winnow import"):
        look(bare, [_mail(30)])


def test_what_is_measured_needs_mail(bare: Path) -> None:
    """No importance but that of weights is had without."""
    with pytest.raises(InputError, match="name some with --mail"):
        look(bare, [], importance=RECONSTRUCTION)


def test_what_cannot_be_looked_into(tmp_path: Path) -> None:
    """A table is no encoder, and a model without a reader has no graph."""
    from tests.cascaded import write_reflex

    table = write_two_stages(tmp_path / "table.winnow", _mail(40))
    with pytest.raises(InputError, match="no encoder with layers"):
        look(table.path, [])
    with pytest.raises(ArtifactError, match="has no reader"):
        look(write_reflex(tmp_path / "one.winnow", _mail(40)).path, [])
