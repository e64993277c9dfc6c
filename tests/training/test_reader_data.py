"""In what order the reader's training draws messages, and how they become arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.tokens import Tokens
from winnow.training.reader_data import (
    LENGTH_STEP,
    TokenRows,
    batch_of,
    by_length,
    draw_order,
)


def _rows(lengths: Sequence[int], weights: Sequence[float] | None = None) -> TokenRows:
    """Messages of some lengths; the row's number is in every token."""
    tokens = [Tokens(np.full(n, row + 1), np.full(n, row % 5)) for row, n in enumerate(lengths)]
    target = np.arange(len(lengths), dtype=np.float32) / max(1, len(lengths))
    weight = np.ones(len(lengths)) if weights is None else np.array(weights, dtype=np.float64)
    return TokenRows(tokens, target, weight)


def _counts(rows: TokenRows, draws: int, seed: int = 0) -> list[int]:
    steps = draw_order(rows, draws, 8, seed)
    drawn = np.concatenate(steps) if steps else np.zeros(0, dtype=np.int64)
    return np.bincount(drawn, minlength=len(rows)).tolist()


@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=30).filter(lambda weights: sum(weights) > 0.1),
    st.integers(1, 300),
    st.integers(0, 5),
)
def test_rows_are_drawn_in_proportion(weights: list[float], draws: int, seed: int) -> None:
    """A row is drawn as often as its weight asks, rounded up or down: nothing is overheard."""
    rows = _rows([3] * len(weights), weights)
    for weight, count in zip(weights, _counts(rows, draws, seed), strict=True):
        wanted = weight * draws / sum(weights)
        assert wanted - 1 < count < wanted + 1


def test_small_weights_are_drawn_now_and_then() -> None:
    """A third of a draw is one draw for a third of such rows: rounding has no side."""
    rows = _rows([3] * 3_000, [1.0] * 3_000)
    # The deviation of 3,000 coins of one third is 26.
    assert sum(_counts(rows, 1_000)) == pytest.approx(1_000, abs=4 * 26)
    assert max(_counts(rows, 1_000)) == 1


def test_the_same_seed_draws_the_same() -> None:
    """A training that was stopped goes on with the messages that it would have read."""
    rows = _rows([1 + n % 40 for n in range(300)])
    first, again, other = (draw_order(rows, 900, 16, seed) for seed in (7, 7, 8))
    assert [step.tolist() for step in first] == [step.tolist() for step in again]
    assert [step.tolist() for step in first] != [step.tolist() for step in other]


def test_steps_are_of_one_length_and_of_mixed_order() -> None:
    """Padding is work for nothing, but short mail first would be learnt and then forgotten."""
    lengths = np.random.default_rng(0).integers(1, 200, 600)
    steps = draw_order(_rows(lengths.tolist()), 1_200, 10, 0)
    assert {len(step) for step in steps} == {10}
    ranges = [np.ptp(lengths[step]) for step in steps]
    assert np.median(ranges) < 20
    means = np.array([lengths[step].mean() for step in steps])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


@pytest.mark.parametrize(("draws", "batch"), [(1, 8), (7, 8), (8, 8), (9, 8), (100, 1), (500, 9)])
def test_no_step_is_empty_or_too_large(draws: int, batch: int) -> None:
    """Whatever the sizes, each step is a batch that fits."""
    steps = draw_order(_rows([2, 5, 9] * 10), draws, batch, 0)
    assert all(0 < len(step) <= batch for step in steps)


def test_a_batch_is_padded_in_steps() -> None:
    """Ids, fields and a mask of one shape; few shapes, since each one is compiled anew."""
    rows = _rows([3, LENGTH_STEP, LENGTH_STEP + 1, 1])
    batch = batch_of(rows, np.array([3, 0]))
    assert {batch[name].shape for name in ("ids", "fields", "mask")} == {(2, LENGTH_STEP)}
    assert batch["ids"][:, :4].tolist() == [[4, 0, 0, 0], [1, 1, 1, 0]]
    assert batch["fields"][:, :2].tolist() == [[3, 0], [0, 0]]
    assert batch["mask"].sum(axis=1).tolist() == [1, 3]
    assert batch["target"].tolist() == [0.75, 0.0]
    assert batch_of(rows, np.array([1]))["ids"].shape == (1, LENGTH_STEP)
    assert batch_of(rows, np.array([2]))["ids"].shape == (1, 2 * LENGTH_STEP)


def test_nothing_is_padded_beyond_the_positions() -> None:
    """`--tokens 100` is no multiple of the step, and there is no place 100 in the network."""
    rows = _rows([100, 3])
    assert batch_of(rows, np.array([0, 1]), 100)["mask"].sum(axis=1).tolist() == [100, 3]
    assert batch_of(rows, np.array([0, 1]), 100)["ids"].shape == (2, 100)
    assert batch_of(rows, np.array([1]), 100)["ids"].shape == (1, LENGTH_STEP)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_every_row_is_answered_once(batch: int) -> None:
    """Held-out mail is judged whole: no row is left out, none counts twice."""
    lengths = np.random.default_rng(1).integers(1, 50, 30)
    parts = list(by_length(_rows(lengths.tolist()), batch))
    order = np.concatenate(parts)
    assert sorted(order.tolist()) == list(range(30))
    assert lengths[order].tolist() == sorted(lengths.tolist())
    assert all(len(part) <= batch for part in parts)
    assert not list(by_length(_rows([]), batch))
