"""Padded mail without writing it: the union of two messages' words."""

from __future__ import annotations

import numpy as np

from winnow.evidence import Evidence
from winnow.training.dataset import Dataset, DatasetBuilder
from winnow.training.padding import padded


def _mail() -> tuple[Dataset, Dataset]:
    """Forty messages, and their openings: every third message has no more."""
    random = np.random.default_rng(0)
    whole, openings = DatasetBuilder(), DatasetBuilder()
    for row in range(40):
        words, grams, *rest = (
            np.unique(random.integers(0, 500, 30)).astype(np.uint32) for _ in range(4)
        )
        few = slice(None) if row % 3 == 0 else slice(0, 9)
        for builder, evidence in (
            (whole, Evidence(words, grams, *rest)),
            (openings, Evidence(words[few], grams[few], *rest)),
        ):
            builder.add(evidence, spam=row % 2 == 0, id=str(row), source="s")
    return whole.build(), openings.build()


def test_each_message_gets_the_words_of_some_ham() -> None:
    """Words and grams are both messages', each once and in order; the rest is its own."""
    dataset, openings = _mail()
    found, begins = padded(dataset, openings)
    assert found.ids == dataset.ids
    below = set()
    for row in range(40):
        own, both = dataset.evidence(row), found.evidence(row)
        assert both.traits.tolist() == own.traits.tolist()
        assert both.stream.tolist() == own.stream.tolist()
        (other,) = [
            other
            for other in np.flatnonzero(~dataset.spam).tolist()
            if np.array_equal(both.words, np.union1d(own.words, dataset.evidence(other).words))
            and np.array_equal(both.grams, np.union1d(own.grams, dataset.evidence(other).grams))
        ]
        below.add(other)
        first, then = openings.evidence(row), begins.evidence(row)
        if row % 3:  # what is added lies below the opening
            assert then.words.tolist() == first.words.tolist()
            assert then.grams.tolist() == first.grams.tolist()
        else:
            wanted = np.union1d(first.words, openings.evidence(other).words)
            assert then.words.tolist() == wanted.tolist()
        assert then.traits.tolist() == first.traits.tolist()
    assert len(below) > 5


def test_the_seed_chooses() -> None:
    """The same one the same ham, another one another."""
    one, again, other = (padded(*_mail(), seed=seed)[0].experts[0].hashes for seed in (0, 0, 1))
    assert one.tolist() == again.tolist() != other.tolist()
