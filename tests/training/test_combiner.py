"""The combiner: a logistic regression that is never surer than its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from winnow.runtime import EXPERTS, Combiner
from winnow.training.combiner import LARGEST_GAIN, PRIOR, fit_combiner

F64 = NDArray[np.float64]


def _mail(seed: int, n: int = 300) -> tuple[F64, NDArray[np.bool_], F64]:
    """Scores of four experts that know a little each."""
    random = np.random.default_rng(seed)
    spam = random.random(n) < 0.4
    scores = random.normal(size=(n, 4)) * 2 + np.where(spam, 1.0, -1.0)[:, None]
    return scores, spam, random.uniform(0.5, 1.5, size=n)


def _loss(
    scores: F64, spam: NDArray[np.bool_], weights: F64, gains: F64, intercept: float
) -> float:
    """The penalised loss, written down a second time."""
    z = scores @ gains + intercept
    loss = float((weights * (np.logaddexp(0, z) - spam * z)).sum())
    prior = 1.0 / len(gains)
    return loss + PRIOR / 2 * float(((gains - prior) ** 2).sum()) + 1e-3 * PRIOR / 2 * intercept**2


@pytest.mark.parametrize("seed", range(4))
def test_no_step_in_any_direction_is_better(seed: int) -> None:
    """The fit is the minimum of the loss: numerical gradient against the analytic fit."""
    scores, spam, weights = _mail(seed)
    fitted = fit_combiner(scores, spam, weights, EXPERTS)
    assert min(fitted.gains) > 0
    theta = np.array([*fitted.gains, fitted.intercept])
    for k in range(5):
        step = np.zeros(5)
        step[k] = 1e-4
        up, down = theta + step, theta - step
        slope = (
            _loss(scores, spam, weights, up[:4], up[4])
            - _loss(scores, spam, weights, down[:4], down[4])
        ) / 2e-4
        assert abs(slope) < 1e-3


def test_an_expert_that_counts_backwards_is_switched_off() -> None:
    """A gain is never below 0, and the others are as if that expert had not been there."""
    scores, spam, weights = _mail(5)
    scores[:, 1] = np.where(spam, -3.0, 3.0) + scores[:, 1] * 0.1
    fitted = fit_combiner(scores, spam, weights, EXPERTS)
    assert fitted.gains[1] == 0.0
    without = scores.copy()
    without[:, 1] = 0.0
    same = fit_combiner(without, spam, weights, ("words", "traits", "stream"))
    assert fitted.gains == pytest.approx(same.gains)


def test_absent_experts_do_not_count() -> None:
    """What stands in the column of an expert that was not trained is never read."""
    scores, spam, weights = _mail(6)
    fitted = fit_combiner(scores, spam, weights, ("stream",))
    scores[:, :3] = 1e6
    assert fit_combiner(scores, spam, weights, ("stream",)) == fitted
    assert fitted.gains[:3] == (0.0, 0.0, 0.0)
    assert fitted.gains[3] > 0


@pytest.mark.parametrize("centre", [0.0, 4.0])
def test_separable_mail_stays_finite_and_centred(centre: float) -> None:
    """Perfect scores ask for infinite gains; they get the bound, and the middle stays."""
    spam = np.arange(400) % 2 == 0
    scores = np.zeros((400, 4))
    scores[:, 0] = centre + np.where(spam, 0.3, -0.3)
    fitted = fit_combiner(scores, spam, np.ones(400), ("words",))
    assert fitted.gains[0] == pytest.approx(LARGEST_GAIN)
    assert fitted.log_odds((centre, 0, 0, 0)) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("label", [False, True])
def test_one_class_alone_stays_finite(label: bool) -> None:
    """Nothing to tell apart is no reason for a NaN."""
    fitted = fit_combiner(np.zeros((9, 4)), np.full(9, label), np.ones(9), EXPERTS)
    assert np.isfinite([*fitted.gains, fitted.intercept]).all()
    assert isinstance(fitted, Combiner)
