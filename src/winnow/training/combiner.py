"""Experts' scores on mail they never saw -> the combiner that turns them into a probability.

A logistic regression on at most four scores, with gains held at 0 or above (an expert that would
count backwards is switched off), by Newton's method on the experts that are left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winnow.runtime import EXPERTS, Combiner

F64 = NDArray[np.float64]

# A pull towards gains of 1/n. Held-out mail that is nearly separable leaves the gains open: with a
# tenth of this pull they differed from seed to seed by more than their size. With thousands of
# messages, or hard ones, it is nothing.
PRIOR = 10.0
# The most log-odds may move away from a score per unit: separable held-out mail would ask for
# infinite gains, and a probability of exactly 1.
LARGEST_GAIN = 3.0
JUNK_LOG_ODDS = 2.1972  # of 0.90, the shipped rule's threshold
SMALLEST_SOURCE = 100  # ham of a source that is enough to tell how much of it would be junked
_ROUNDS = 50


def fit_combiner(
    scores: F64, spam: NDArray[np.bool_], weights: F64, experts: tuple[str, ...]
) -> Combiner:
    """Fit gains and intercept.

    Args:
        scores: (n, 4) scores in the order of EXPERTS; columns of absent experts are ignored.
        spam: (n,) labels.
        weights: (n,) importance of each message, mean 1.
        experts: names of the experts that were trained.
    """
    active = [k for k, name in enumerate(EXPERTS) if name in experts]
    gains = np.zeros(len(EXPERTS))
    target, offset = spam.astype(np.float64), np.zeros(len(spam))
    while True:
        centre = np.full(len(active), 1.0 / max(len(active), 1))
        found, intercept = logistic(scores[:, active], target, weights, centre, offset=offset)
        if len(found) and found.min() < 0:
            active.pop(int(np.argmin(found)))
        elif len(found) and found.max() > LARGEST_GAIN:
            # Held at the bound, and the rest fitted again: the intercept belongs to these gains.
            held = active.pop(int(np.argmax(found)))
            gains[held] = LARGEST_GAIN
            offset = offset + LARGEST_GAIN * scores[:, held]
        else:
            break
    gains[active] = found
    words, grams, traits, stream = gains.tolist()
    return Combiner((words, grams, traits, stream), intercept)


def logistic(
    scores: F64,
    target: F64,
    weights: F64,
    centre: F64,
    *,
    offset: F64 | float = 0.0,
    prior: float = PRIOR,
    intercept_prior: float = 1e-3 * PRIOR,
) -> tuple[F64, float]:
    """Penalised logistic regression by Newton's method.

    Args:
        scores: (n, k).
        target: (n,) 1 for spam, 0 for ham.
        weights: (n,) importance of each message.
        centre: (k,) gains that the penalty pulls towards.
        offset: (n,) log-odds to add.
        prior: the penalty's pull on each gain.
        intercept_prior: its pull on the intercept, towards 0.

    Returns:
        (k,) gains and the intercept.
    """
    n, k = scores.shape
    design = np.hstack([scores, np.ones((n, 1))])
    towards = np.append(centre, 0.0)
    penalty = np.append(np.full(k, prior), intercept_prior)
    theta = towards.copy()
    for _ in range(_ROUNDS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(design @ theta + offset, -40, 40)))
        gradient = design.T @ (weights * (probability - target)) + penalty * (theta - towards)
        curvature = (design * (weights * probability * (1 - probability))[:, None]).T @ design
        move = np.linalg.solve(curvature + np.diag(penalty), gradient)
        theta -= move * min(1.0, 2.0 / max(1e-9, float(np.abs(move).max())))
        if float(np.abs(move).max()) < 1e-7:
            break
    return theta[:-1], float(theta[-1])


def humility(
    log_odds: F64, spam: NDArray[np.bool_], sources: NDArray[np.int64], ham_lost: float
) -> float:
    """The factor, at most 1, by which answers are scaled down to junk little ham of any source.

    Args:
        log_odds: (n,) answers for mail of sources that had not been seen.
        spam: (n,) labels.
        sources: (n,) of the messages.
        ham_lost: part of the ham of a source that may get 0.90.
    """
    highest = 0.0
    for source in np.unique(sources):
        ham = np.sort(log_odds[(sources == source) & ~spam])
        if len(ham) >= SMALLEST_SOURCE:
            highest = max(highest, float(ham[-1 - int(ham_lost * len(ham))]))
    return min(1.0, (JUNK_LOG_ODDS - 1e-3) / highest) if highest > 0 else 1.0
