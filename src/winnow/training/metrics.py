"""Figures of a filter from its answers: ranking, errors at the rule's thresholds, calibration.

Definitions, with sources and caveats, are in docs/reference/metrics.md. A figure that is not
defined, because a class is missing or nothing reaches the threshold, is None and never NaN.
Everything here is pure; the only randomness is the seeded bootstrap in `metrics_bootstrap`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.training.metrics_bootstrap import FIGURES, Resampled, intervals

FLAG, JUNK = 0.5, 0.9  # the shipped rule's thresholds
CALIBRATION_BINS = 15  # Guo et al. 2017, "On Calibration of Modern Neural Networks"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers for labelled messages, in the order in which they were given.

    Attributes:
        probability: (N,) of spam, in 0..1.
        label: (N,) True for spam.
        ids: N names.
    """

    probability: Floats
    label: Bools
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        # An empty list becomes an array of float, which cannot tell the classes apart.
        object.__setattr__(self, "probability", np.asarray(self.probability, dtype=np.float64))
        object.__setattr__(self, "label", np.asarray(self.label, dtype=np.bool_))
        if not self.probability.shape == self.label.shape == (len(self.ids),):
            raise ValueError("probability, label and ids must be of one length")
        if not bool(np.all((self.probability >= 0) & (self.probability <= 1))):
            raise ValueError("a probability lies outside 0..1")

    @property
    def ham(self) -> Floats:
        """(n_ham,) probabilities given to ham."""
        return self.probability[~self.label]

    @property
    def spam(self) -> Floats:
        """(n_spam,) probabilities given to spam."""
        return self.probability[self.label]

    @property
    def errors(self) -> int:
        """Number of answers on the wrong side of 0.50."""
        return int(((self.probability >= FLAG) != self.label).sum())


@dataclass(frozen=True, slots=True)
class Bin:
    """Messages whose probability fell in one range.

    Attributes:
        count: messages.
        mean: of their probabilities.
        spam: how many were spam.
    """

    count: int
    mean: float
    spam: int


def one_minus_roca_percent(scored: Scored) -> float | None:
    """Area above the ROC curve in percent, 0 best, 50 chance: TREC's (1-ROCA)%.

    That is the share of pairs of a ham and a spam in which the ham has the higher probability,
    a tie counting half; exact, by ranks, in O(N log N).
    """
    ham, spam = np.sort(scored.ham), scored.spam
    if not ham.size or not spam.size:
        return None
    not_above = np.searchsorted(ham, spam, side="right")
    below = np.searchsorted(ham, spam, side="left")
    # Twice the losses, so that ties stay whole numbers.
    twice = 2 * ham.size * spam.size - int(not_above.sum()) - int(below.sum())
    return 100 * twice / (2 * ham.size * spam.size)


def roc_points(scored: Scored) -> tuple[Floats, Floats, Floats]:
    """Return the ROC curve, one point for each distinct probability, falling.

    Returns:
        Share of ham at the threshold or above, share of spam likewise, and the thresholds, each
        (K + 1,), from (0, 0, inf) to (1, 1, lowest). A share of a missing class is NaN.
    """
    thresholds = np.concatenate(([np.inf], np.unique(scored.probability)[::-1]))
    shares = []
    for values in (np.sort(scored.ham), np.sort(scored.spam)):
        at_or_above = values.size - np.searchsorted(values, thresholds, side="left")
        shares.append(
            at_or_above / values.size if values.size else np.full(thresholds.size, np.nan)
        )
    return shares[0], shares[1], thresholds


def accuracy(scored: Scored) -> float | None:
    """Share of messages on the right side of 0.5 (which itself counts as spam)."""
    return _share(int(((scored.probability >= FLAG) == scored.label).sum()), scored.label.size)


def ham_at(scored: Scored, threshold: float) -> int:
    """Count ham given the threshold or more: mail that the rule takes for spam."""
    return int((scored.ham >= threshold).sum())


def spam_missed_at(scored: Scored, threshold: float) -> int:
    """Count spam given less than the threshold."""
    return int((scored.spam < threshold).sum())


def precision_at(scored: Scored, threshold: float) -> float | None:
    """Share of spam among what was given the threshold or more.

    None when nothing was, and when a class is missing: the share then says nothing of the filter.
    """
    if not scored.ham.size or not scored.spam.size:
        return None
    given = scored.probability >= threshold
    return _share(int((given & scored.label).sum()), int(given.sum()))


def recall_at(scored: Scored, threshold: float) -> float | None:
    """Share of spam given the threshold or more."""
    return _share(int((scored.spam >= threshold).sum()), scored.spam.size)


def spam_missed_at_ham_lost(scored: Scored, percent: float) -> float | None:
    """Least share of spam missed at any threshold that loses at most `percent` of the ham."""
    if not scored.ham.size or not scored.spam.size:
        return None
    allowed = math.floor(percent / 100 * scored.ham.size + 1e-9)
    if allowed >= scored.ham.size:
        return 0.0
    # The threshold must lie above the first ham that may not be lost.
    bound = np.sort(scored.ham)[scored.ham.size - 1 - allowed]
    return _share(int((scored.spam <= bound).sum()), scored.spam.size)


def brier(scored: Scored) -> float | None:
    """Mean squared distance of probability and truth: 0 best, 0.25 for always saying 0.5."""
    if not scored.label.size:
        return None
    return float(np.mean((scored.probability - scored.label) ** 2))


def calibration_bins(scored: Scored, bins: int = CALIBRATION_BINS) -> list[Bin]:
    """Sort the messages into bins of equal width over 0..1; the last one holds 1.0 as well."""
    place = bin_of(scored.probability, bins)
    count = np.bincount(place, minlength=bins)
    total = np.bincount(place, weights=scored.probability, minlength=bins)
    spam = np.bincount(place, weights=scored.label, minlength=bins)
    mean = total / np.maximum(count, 1)
    return [Bin(int(count[b]), float(mean[b]), int(spam[b])) for b in range(bins)]


def bin_of(probability: Floats, bins: int = CALIBRATION_BINS) -> NDArray[np.int64]:
    """Return (N,) the bin of equal width that each probability falls into."""
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def ece(scored: Scored) -> float | None:
    """Expected calibration error over 15 bins of equal width (Guo et al. 2017).

    The mean distance between the probability given and the share that was spam, each bin
    weighted by its messages.
    """
    if not scored.label.size:
        return None
    gaps = [abs(b.mean * b.count - b.spam) for b in calibration_bins(scored)]
    return sum(gaps) / scored.label.size


def adaptive_ece(scored: Scored, bins: int = CALIBRATION_BINS) -> float | None:
    """Return the same over bins of about equal numbers of messages; equal answers share one."""
    if not scored.label.size:
        return None
    edges = np.quantile(scored.probability, np.arange(1, bins) / bins)
    place = np.searchsorted(edges, scored.probability, side="right")
    gaps = np.bincount(place, weights=scored.probability - scored.label)
    return float(np.abs(gaps).sum() / scored.label.size)


def summarize(
    scored: Scored, *, corpus: str, protocol: str, view: str, seed: int = 0
) -> dict[str, Any]:
    """Return the object that `winnow evaluate --json` prints (docs/reference/metrics.md).

    Args:
        scored: the answers.
        corpus: name of the mail.
        protocol: how training and test mail were parted.
        view: the model's view of a message.
        seed: of the bootstrap.

    Returns:
        Names, counts, and each figure with its 95% interval in NAME_low and NAME_high. Percent
        are 0..100; what is undefined is None.
    """
    figures = _figures(scored)
    bounds = intervals(_resampled(scored), seed=seed)
    found: dict[str, Any] = {
        "corpus": corpus,
        "protocol": protocol,
        "view": view,
        "n_ham": int(scored.ham.size),
        "n_spam": int(scored.spam.size),
    }
    for name in FIGURES:
        found |= _with_interval(name, figures[name], *bounds[name])
    for threshold in (FLAG, JUNK):
        found[f"ham_at_{threshold}_count"] = ham_at(scored, threshold)
        found[f"spam_missed_at_{threshold}_count"] = spam_missed_at(scored, threshold)
    return found


def _with_interval(
    name: str, value: float | None, low: float | None, high: float | None
) -> dict[str, float | None]:
    if value is None or low is None or high is None:
        return {name: value, f"{name}_low": None, f"{name}_high": None}
    # Resampling adds noise, and noise adds calibration error: its percentiles can lie above it.
    bounds = min(low, value), max(high, value)
    return {
        name: round(value, 6),
        f"{name}_low": round(bounds[0], 6),
        f"{name}_high": round(bounds[1], 6),
    }


def _figures(scored: Scored) -> dict[str, float | None]:
    n_ham, n_spam = scored.ham.size, scored.spam.size
    return {
        "one_minus_roca_percent": one_minus_roca_percent(scored),
        "accuracy_percent": _percent(accuracy(scored)),
        "ham_at_0.5_percent": _percent(_share(ham_at(scored, FLAG), n_ham)),
        "ham_at_0.9_percent": _percent(_share(ham_at(scored, JUNK), n_ham)),
        "spam_missed_at_0.5_percent": _percent(_share(spam_missed_at(scored, FLAG), n_spam)),
        "spam_missed_at_0.9_percent": _percent(_share(spam_missed_at(scored, JUNK), n_spam)),
        "precision_at_0.9_percent": _percent(precision_at(scored, JUNK)),
        "ece_percent": _percent(ece(scored)),
        "brier": brier(scored),
    }


def _resampled(scored: Scored) -> Resampled:
    return Resampled(
        ham=np.sort(scored.ham),
        spam=np.sort(scored.spam),
        flag=FLAG,
        junk=JUNK,
        bins=CALIBRATION_BINS,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
