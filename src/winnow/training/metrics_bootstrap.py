"""Bootstrap intervals of all figures at once.

Each resample draws as many ham from the ham and as many spam from the spam as there are, with
replacement (stratified: the share of spam in a test corpus is a choice, not a chance). A resample
is a row of multiplicities, and every figure is a function of sums over such rows, so that a block
of resamples costs a few matrix products instead of a Python loop over messages.

The percentiles 2.5 and 97.5 of 1,000 resamples are the interval (Efron and Tibshirani 1993, ch.
13). It is too short where an error was seen rarely, and empty where none was seen: see the
"rule of three" in docs/reference/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FIGURES = (
    "one_minus_roca_percent",
    "accuracy_percent",
    "ham_at_0.5_percent",
    "ham_at_0.9_percent",
    "spam_missed_at_0.5_percent",
    "spam_missed_at_0.9_percent",
    "precision_at_0.9_percent",
    "ece_percent",
    "brier",
)
RESAMPLES = 1_000
_BLOCK_CELLS = 2_000_000  # multiplicities held at a time: 16 MB


@dataclass(frozen=True, slots=True)
class Resampled:
    """What is resampled, and the constants of the figures.

    Attributes:
        ham: (H,) sorted probabilities of ham.
        spam: (S,) sorted probabilities of spam.
        flag: the threshold that figures "at_0.5" use.
        junk: the threshold that figures "at_0.9" use.
        bins: of the calibration error.
    """

    ham: Floats
    spam: Floats
    flag: float
    junk: float
    bins: int


def intervals(
    data: Resampled, *, seed: int, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float] | tuple[None, None]]:
    """Return the 95% interval of each of `FIGURES`; (None, None) where it is never defined."""
    if not data.ham.size and not data.spam.size:
        return dict.fromkeys(FIGURES, (None, None))
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // (data.ham.size + data.spam.size))
    parts = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        parts.append(_figures(data, _draw(rng, rows, data.ham), _draw(rng, rows, data.spam)))
    figures = np.concatenate(parts)  # (resamples, figures)
    return {name: _interval(figures[:, f]) for f, name in enumerate(FIGURES)}


def _interval(values: Floats) -> tuple[float, float] | tuple[None, None]:
    defined = values[~np.isnan(values)]
    if not defined.size:
        return None, None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def _draw(rng: np.random.Generator, rows: int, values: Floats) -> Floats:
    """Return (rows, N): how often each of N messages is drawn in N draws."""
    size = values.size
    if not size:
        return np.zeros((rows, 0))
    drawn = rng.integers(0, size, size=(rows, size))
    drawn += np.arange(rows)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(np.float64)


def _figures(data: Resampled, ham: Floats, spam: Floats) -> Floats:
    """Return (rows, figures) for multiplicities ham (rows, H) and spam (rows, S)."""
    ham_sums, spam_sums = ham @ _columns(data, data.ham, 0), spam @ _columns(data, data.spam, 1)
    n_ham, n_spam = data.ham.size, data.spam.size
    ham_flagged, ham_junked, ham_squares = ham_sums[:, :3].T
    spam_flagged, spam_junked, spam_squares = spam_sums[:, :3].T
    gaps = np.abs(ham_sums[:, 3:] + spam_sums[:, 3:]).sum(axis=1)
    n = n_ham + n_spam
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.stack(
            [
                _area_above(data, ham, spam),
                (n_ham - ham_flagged + spam_flagged) / n,
                ham_flagged / np.float64(n_ham),
                ham_junked / np.float64(n_ham),
                1 - spam_flagged / np.float64(n_spam),
                1 - spam_junked / np.float64(n_spam),
                spam_junked / (ham_junked + spam_junked),
                gaps / n,
                (ham_squares + spam_squares) / n / 100,
            ],
            axis=1,
        )
    return 100 * shares


def _columns(data: Resampled, values: Floats, truth: int) -> Floats:
    """Return (N, 3 + bins): what one message adds to each sum."""
    columns = np.zeros((values.size, 3 + data.bins))
    columns[:, 0] = values >= data.flag
    columns[:, 1] = values >= data.junk
    columns[:, 2] = (values - truth) ** 2
    place = np.minimum((values * data.bins).astype(np.int64), data.bins - 1)
    columns[np.arange(values.size), 3 + place] = values - truth
    return columns


def _area_above(data: Resampled, ham: Floats, spam: Floats) -> Floats:
    """Return (rows,) the share of pairs that are ranked wrongly, a tie counting half."""
    if not data.ham.size or not data.spam.size:
        return np.full(ham.shape[0], np.nan)
    below = np.zeros((ham.shape[0], data.ham.size + 1))
    np.cumsum(ham, axis=1, out=below[:, 1:])  # (rows, H + 1): drawn ham left of each place
    left = np.searchsorted(data.ham, data.spam, side="left")
    right = np.searchsorted(data.ham, data.spam, side="right")
    won = np.einsum("rs,rs->r", spam, below[:, left] + below[:, right])
    area: Floats = 1 - won / (2.0 * data.ham.size * data.spam.size)
    return area
