"""Medians, ratios and their intervals: worked by hand, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.ladder.statistics import (
    mean_over_lengths,
    median_interval,
    mix_ratio,
    ratio,
    spread_percent,
)


@pytest.mark.parametrize(
    ("count", "ranks"), [(6, (1, 6)), (9, (2, 8)), (15, (4, 12)), (25, (8, 18)), (100, (40, 61))]
)
def test_ranks_are_those_of_the_tables(count: int, ranks: tuple[int, int]) -> None:
    """As in Conover's table of the binomial distribution, 95%."""
    shuffled = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert median_interval(shuffled) == ranks


@pytest.mark.parametrize("count", range(6))
def test_too_few_values_have_no_interval(count: int) -> None:
    """Five values all lie on one side of the median once in sixteen times."""
    assert median_interval(np.arange(float(count))) is None


def test_the_interval_covers_as_often_as_it_says() -> None:
    """On noise with a long tail, as that of a busy machine."""
    chance = np.random.default_rng(1)
    true = np.log(2.0)  # median of the exponential distribution
    drawn = chance.exponential(1.0, (1_000, 31))
    inside = [low <= true <= high for low, high in map(median_interval, drawn)]  # type: ignore[misc]
    assert 0.94 <= np.mean(inside) <= 0.99


def test_a_ratio_is_of_pairs() -> None:
    """A machine that is ten times slower in every other round moves no ratio."""
    mood = np.where(np.arange(40) % 2, 10.0, 1.0)
    found = ratio(3.0 * mood, 2.0 * mood)
    assert found is not None
    assert (found.value, found.low, found.high) == (1.5, 1.5, 1.5)


def test_a_faster_one_has_a_ratio_above_one() -> None:
    """It says how many times as fast, with an interval around it."""
    noise = np.random.default_rng(2).normal(1, 0.1, 50)
    found = ratio(np.full(50, 4.0), 2.0 * noise)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert 1.8 < found.low < found.value < found.high < 2.2


def test_nothing_to_compare() -> None:
    """A clock that does not move gives no ratio, and three pairs no interval."""
    assert ratio(np.zeros(9), np.ones(9)) is None
    assert ratio(np.zeros(0), np.zeros(0)) is None
    few = ratio(np.ones(3), np.ones(3))
    assert few is not None
    assert (few.value, few.low, few.high) == (1.0, None, None)


def test_spread() -> None:
    """The quartiles' distance in percent of the median."""
    assert spread_percent(np.array([8.0, 9.0, 10.0, 11.0, 12.0])) == pytest.approx(20.0)
    assert spread_percent(np.zeros(5)) is None
    assert spread_percent(np.zeros(0)) is None


def test_a_mean_over_lengths_keeps_the_mix() -> None:
    """Ninety short messages and ten long ones; the median alone would forget the long ones."""
    lengths = np.array([10] * 90 + [100] * 10)
    seconds = lengths / 10.0
    assert mean_over_lengths(seconds, lengths) == pytest.approx(1.9)


def test_one_stall_moves_no_mean_over_lengths() -> None:
    """A message that waited for a minute is not what a message takes."""
    lengths = np.arange(1, 101)
    seconds = lengths.astype(float)
    stalled = seconds.copy()
    stalled[[3, 55, 99]] += 600.0
    moved = mean_over_lengths(stalled, lengths) / mean_over_lengths(seconds, lengths)
    assert moved == pytest.approx(1.0, abs=0.02)


def test_few_messages() -> None:
    """Fewer than there are classes: each is its own."""
    assert mean_over_lengths(np.array([1.0, 5.0]), np.array([7, 3])) == 3.0


def test_a_ratio_over_a_mix() -> None:
    """Messages a second against messages a second, with an interval over parts of the mail."""
    chance = np.random.default_rng(3)
    lengths = chance.integers(1, 128, 200)
    baseline = lengths * chance.normal(1.0, 0.05, 200)
    found = mix_ratio(baseline, baseline / 2 * chance.normal(1.0, 0.05, 200), lengths)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert 1.9 < found.low <= found.value <= found.high < 2.1
    few = mix_ratio(np.ones(3), np.ones(3), np.ones(3, np.int64))
    assert few is not None
    assert (few.value, few.low) == (1.0, None)
    assert mix_ratio(np.ones(3), np.zeros(3), np.ones(3, np.int64)) is None
