"""Labelled mail to a model and its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.synthetic import write_corpus
from winnow import recipe
from winnow.corpus import open_corpus
from winnow.errors import InputError
from winnow.training.train import Options


@pytest.mark.parametrize("view", ["content", "stream", "both"])
def test_split_tells_the_classes_apart(tmp_path: Path, view: str) -> None:
    """A model trained on synthetic mail ranks unseen mail of the same kind rightly."""
    dataset = recipe.gather([open_corpus(write_corpus(tmp_path / "mail"))]).dataset
    figures = recipe.split(dataset, Options(view=view), corpus="mail").figures
    assert figures["accuracy_percent"] > 90
    assert figures["one_minus_roca_percent"] < 5


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    """Training is deterministic for a seed, to the byte, and another seed is another model."""
    gathered = recipe.gather([open_corpus(write_corpus(tmp_path / "mail"))])
    digests = [
        recipe.make(gathered, tmp_path / f"{n}.winnow", Options(seed=seed))[0].digest
        for n, seed in enumerate((3, 3, 4))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_online_learns(tmp_path: Path) -> None:
    """From nothing, the second half of a stream has fewer errors than the first."""
    dataset = recipe.gather([open_corpus(write_corpus(tmp_path / "mail"))]).dataset
    result = recipe.online(dataset, recipe.blank(), corpus="mail", view="both", shuffle=1)
    half = result.curve[len(result.curve) // 2 - 1][1]
    assert result.curve[-1][1] - half < half


def test_one_class_is_refused(tmp_path: Path) -> None:
    """Without ham there is nothing to tell apart, and the error says so."""
    dataset = recipe.gather([open_corpus(write_corpus(tmp_path / "mail", ham=0))]).dataset
    with pytest.raises(InputError, match="at least 5 of each"):
        recipe.split(dataset, Options(), corpus="mail")
