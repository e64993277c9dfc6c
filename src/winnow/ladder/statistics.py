"""Times of rounds -> medians, spread, and ratios whose intervals assume no form of noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

CONFIDENCE = 0.95
_CLASSES = 10  # of lengths of messages
_BLOCKS = 20  # of messages, for an interval


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as another.

    Attributes:
        value: median over pairs.
        low: of its 95% interval; None where there are too few pairs for one.
        high: likewise.
    """

    value: float
    low: float | None
    high: float | None


def median_interval(values: F64) -> tuple[float, float] | None:
    """95% interval of a median, by order statistics; None below six values.

    A value is below the true median with probability one half, whatever the noise is like, so that
    ranks follow from the binomial distribution (Conover, Practical Nonparametric Statistics, 3.2).
    """
    n = len(values)
    tail, rank = 0.0, 0
    while rank < n // 2:
        tail += math.comb(n, rank) / 2**n
        if tail > (1 - CONFIDENCE) / 2:
            break
        rank += 1
    if rank == 0:
        return None
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[n - rank])


def ratio(baseline: F64, other: F64) -> Ratio | None:
    """How many times as fast as the baseline, pair by pair; None where there is nothing to compare.

    Args:
        baseline: (r,) seconds.
        other: (r,) seconds, of the same rounds.
    """
    there = (baseline > 0) & (other > 0)
    if not there.any():
        return None
    ratios = baseline[there] / other[there]
    low, high = median_interval(ratios) or (None, None)
    return Ratio(float(np.median(ratios)), low, high)


def spread_percent(seconds: F64) -> float | None:
    """Half of the values lie within so many percent of the median, the quartiles apart."""
    if not len(seconds) or np.median(seconds) <= 0:
        return None
    low, middle, high = np.percentile(seconds, (25, 50, 75))
    return float(100 * (high - low) / middle)


def mean_over_lengths(seconds: F64, lengths: NDArray[np.int64]) -> float:
    """Mean seconds of a message of a mix of lengths, that one stalled message does not move.

    Messages are put into ten classes of about equal numbers by length; the mean is over the medians
    of the classes, each with its number of messages as weight.

    Args:
        seconds: (n,), n >= 1.
        lengths: (n,) tokens.
    """
    order = np.argsort(lengths, kind="stable")
    classes = np.array_split(seconds[order], min(_CLASSES, len(seconds)))
    return float(sum(len(part) * np.median(part) for part in classes) / len(seconds))


def mix_ratio(baseline: F64, other: F64, lengths: NDArray[np.int64]) -> Ratio | None:
    """How many times as many messages a second, over a mix of lengths.

    Args:
        baseline: (n,) seconds of each message, in random order.
        other: (n,) seconds, of the same messages.
        lengths: (n,) tokens.
    """
    if not len(baseline) or mean_over_lengths(other, lengths) <= 0:
        return None
    value = mean_over_lengths(baseline, lengths) / mean_over_lengths(other, lengths)
    blocks = np.array_split(np.arange(len(baseline)), _BLOCKS)
    sums = np.array([(baseline[b].sum(), other[b].sum()) for b in blocks if len(b)])
    interval = median_interval(sums[:, 0] / np.maximum(sums[:, 1], 1e-12))
    low, high = interval or (None, None)
    return Ratio(
        value, low if low is None else min(low, value), high if high is None else max(high, value)
    )
