"""Padded mail without writing it: the union of two messages' words."""

from __future__ import annotations

import numpy as np

from winnow.evidence import Evidence
from winnow.training.dataset import DatasetBuilder
from winnow.training.padding import padded


def test_each_message_gets_the_words_of_some_ham() -> None:
    """Words and grams are both messages', each once and in order; the rest is its own."""
    random = np.random.default_rng(0)
    builder = DatasetBuilder()
    for row in range(40):
        kinds = [np.unique(random.integers(0, 500, 30)).astype(np.uint32) for _ in range(4)]
        builder.add(Evidence(*kinds), spam=row % 2 == 0, id=str(row), source="s")
    dataset = builder.build()
    found = padded(dataset)
    assert found.ids == dataset.ids
    below = set()
    for row in range(40):
        own, both = dataset.evidence(row), found.evidence(row)
        assert both.traits.tolist() == own.traits.tolist()
        assert both.stream.tolist() == own.stream.tolist()
        matching = [
            other
            for other in np.flatnonzero(~dataset.spam).tolist()
            if np.array_equal(both.words, np.union1d(own.words, dataset.evidence(other).words))
            and np.array_equal(both.grams, np.union1d(own.grams, dataset.evidence(other).grams))
        ]
        assert len(matching) == 1
        below.add(matching[0])
    assert len(below) > 5
    assert padded(dataset).experts[0].hashes.tolist() == found.experts[0].hashes.tolist()
    assert padded(dataset, seed=1).experts[0].hashes.tolist() != found.experts[0].hashes.tolist()
