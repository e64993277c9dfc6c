"""Experts' scores on mail they never saw -> the combiner that turns them into a probability.

A logistic regression on at most four scores, with gains held at 0 or above (an expert that would
count backwards is switched off), by Newton's method on the experts that are left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winnow.runtime import EXPERTS, Combiner

F64 = NDArray[np.float64]

# A weak pull towards gains of 1/n: with few held-out messages the scores are believed as they are.
PRIOR = 1.0
# The most log-odds may move away from a score per unit: separable held-out mail would ask for
# infinite gains, and a probability of exactly 1.
LARGEST_GAIN = 3.0
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
    while True:
        gains, intercept = _newton(scores[:, active], spam.astype(np.float64), weights)
        if not len(gains) or gains.min() >= 0:
            break
        active.pop(int(np.argmin(gains)))
    full = np.zeros(len(EXPERTS))
    full[active] = np.minimum(gains, LARGEST_GAIN)
    words, grams, traits, stream = full.tolist()
    return Combiner((words, grams, traits, stream), float(intercept))


def _newton(scores: F64, target: F64, weights: F64) -> tuple[F64, float]:
    """Penalised logistic regression; (n, k) -> (k,) gains and the intercept."""
    n, k = scores.shape
    design = np.hstack([scores, np.ones((n, 1))])
    centre = np.append(np.full(k, 1.0 / max(k, 1)), 0.0)
    penalty = np.append(np.full(k, PRIOR), 1e-3 * PRIOR)
    theta = centre.copy()
    for _ in range(_ROUNDS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(design @ theta, -40, 40)))
        gradient = design.T @ (weights * (probability - target)) + penalty * (theta - centre)
        curvature = (design * (weights * probability * (1 - probability))[:, None]).T @ design
        move = np.linalg.solve(curvature + np.diag(penalty), gradient)
        theta -= move * min(1.0, 2.0 / max(1e-9, float(np.abs(move).max())))
        if float(np.abs(move).max()) < 1e-7:
            break
    return theta[:-1], float(theta[-1])
