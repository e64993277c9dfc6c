"""How much each message counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.training.balance import importance

MAIL = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=60)


@given(MAIL, st.sampled_from([0.25, 0.5, 1.0]), st.booleans())
def test_the_mean_is_one(mail: list[tuple[bool, int]], power: float, even: bool) -> None:
    """Learning rates keep their meaning, and no message is left out or counts backwards."""
    spam, sources = np.array([m[0] for m in mail]), np.array([m[1] for m in mail])
    weights = importance(spam, sources, power=power, even_classes=even)
    assert weights.mean() == pytest.approx(1.0)
    assert (weights > 0).all()
    if even and 0 < spam.sum() < len(spam):
        assert weights[spam].sum() == pytest.approx(weights[~spam].sum())


def test_a_larger_source_counts_more_but_not_in_proportion() -> None:
    """100 times the mail is heard 10 times as much, and each of its messages a tenth."""
    spam = np.zeros(101, dtype=np.bool_)
    sources = np.array([0] * 100 + [1])
    weights = importance(spam, sources, power=0.5)
    assert weights[:100].sum() == pytest.approx(10 * weights[100])
    assert weights[0] == pytest.approx(weights[100] / 10)


def test_equal_messages_on_demand() -> None:
    """With power 1 and classes as they are, every message counts the same."""
    spam = np.array([True, False, False, True, False])
    weights = importance(spam, np.array([0, 0, 1, 2, 2]), power=1.0, even_classes=False)
    assert weights.tolist() == pytest.approx([1.0] * 5)
