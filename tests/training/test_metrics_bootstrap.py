from __future__ import annotations

import time

import numpy as np
import pytest

from tests.training.test_metrics import HAND, scored
from winnow.training import metrics
from winnow.training.metrics import Scored, summarize
from winnow.training.metrics_bootstrap import FIGURES, Resampled, _draw, _figures, intervals


def resampled(data: Scored) -> Resampled:
    return Resampled(np.sort(data.ham), np.sort(data.spam), 0.5, 0.9, 15)


def test_a_resample_has_the_figures_of_its_messages() -> None:
    """The matrix products give what the plain functions give for the same drawn messages."""
    rng = np.random.default_rng(7)
    data = resampled(HAND)
    ham, spam = _draw(rng, 20, data.ham), _draw(rng, 20, data.spam)
    for row, found in enumerate(_figures(data, ham, spam)):
        drawn = scored(
            np.repeat(data.ham, ham[row].astype(int)).tolist(),
            np.repeat(data.spam, spam[row].astype(int)).tolist(),
        )
        plain = summarize(drawn, corpus="", protocol="", view="")
        expected = [np.nan if plain[name] is None else plain[name] for name in FIGURES]
        np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


def test_resamples_are_of_the_same_size() -> None:
    """Stratified: every resample has as many ham and as many spam as there are."""
    rows = _draw(np.random.default_rng(0), 50, np.linspace(0, 1, 9))
    assert rows.shape == (50, 9)
    assert np.all(rows.sum(axis=1) == 9)
    assert len(np.unique(rows, axis=0)) > 40


def test_interval_of_a_share_is_that_of_the_binomial() -> None:
    """40 of 400 missed: about 10% plus or minus 1.96 standard errors of 1.5%."""
    data = scored([0.1] * 50, [0.2] * 40 + [0.99] * 360)
    low, high = intervals(resampled(data), seed=1)["spam_missed_at_0.9_percent"]
    assert low is not None
    assert high is not None
    assert (low, high) == (pytest.approx(10 - 2.94, abs=0.6), pytest.approx(10 + 2.94, abs=0.6))


def test_interval_covers_the_truth() -> None:
    """Of 95% intervals over many samples of one source, about 95% hold the true 1-ROCA."""
    rng = np.random.default_rng(3)
    truth = metrics.one_minus_roca_percent(_sample(rng, 50_000))
    assert truth is not None
    hits = 0
    for trial in range(60):
        bounds = intervals(resampled(_sample(rng, 300)), seed=trial, resamples=300)
        low, high = bounds["one_minus_roca_percent"]
        assert low is not None
        assert high is not None
        hits += low <= truth <= high
    assert 50 <= hits <= 60


def _sample(rng: np.random.Generator, size: int) -> Scored:
    ham, spam = rng.normal(-1, 1, size), rng.normal(1, 1, size)
    return scored((1 / (1 + np.exp(-ham))).tolist(), (1 / (1 + np.exp(-spam))).tolist())


def test_seed_decides() -> None:
    """The same seed gives the same interval, another seed another."""
    data = resampled(_sample(np.random.default_rng(0), 100))
    assert intervals(data, seed=1) == intervals(data, seed=1)
    assert intervals(data, seed=1) != intervals(data, seed=2)


def test_blocks_do_not_matter_for_the_bounds() -> None:
    """More resamples than fit one block are all counted, and figures stay in their range."""
    data = resampled(_sample(np.random.default_rng(0), 3_000))
    found = intervals(data, seed=0, resamples=700)
    assert set(found) == set(FIGURES)
    for low, high in found.values():
        assert low is not None
        assert high is not None
        assert 0 <= low <= high <= 100


def test_missing_class_has_no_interval() -> None:
    """What is undefined stays undefined in every resample, without a warning."""
    found = intervals(resampled(scored([0.2, 0.7], [])), seed=0)
    assert found["one_minus_roca_percent"] == (None, None)
    assert found["spam_missed_at_0.5_percent"] == (None, None)
    assert found["ham_at_0.5_percent"] == (0, 100)
    assert intervals(resampled(scored([], [])), seed=0)["brier"] == (None, None)


@pytest.mark.slow
def test_thirty_thousand_messages_take_seconds_not_minutes() -> None:
    """Enron's size costs under two seconds of CPU; the bound leaves room for a busy machine."""
    data = _sample(np.random.default_rng(0), 15_000)
    start = time.process_time()
    summarize(data, corpus="c", protocol="split", view="both")
    assert time.process_time() - start < 6
