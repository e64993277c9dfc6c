from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.training import metrics
from winnow.training.metrics import Scored, summarize

ISSUE_KEYS = (
    *("corpus", "protocol", "view", "n_ham", "n_spam", "one_minus_roca_percent"),
    *("accuracy_percent", "ham_at_0.5_percent", "ham_at_0.9_percent"),
    *("spam_missed_at_0.5_percent", "spam_missed_at_0.9_percent"),
    *("precision_at_0.9_percent", "ece_percent", "brier"),
)


def scored(ham: list[float], spam: list[float]) -> Scored:
    values = ham + spam
    label = np.array([False] * len(ham) + [True] * len(spam))
    return Scored(np.array(values, dtype=np.float64), label, tuple(map(str, range(len(values)))))


# Worked out by hand: 4 ham, 5 spam; pairs lost: spam .5 to ham .92 and tied with ham .5, spam .95
# to none, spam .3 to .92 and .5, spam .92 tied with .92, spam .9 to .92.
HAND = scored(ham=[0.1, 0.2, 0.5, 0.92], spam=[0.3, 0.5, 0.9, 0.92, 0.95])

probabilities = st.lists(
    st.one_of(st.sampled_from([0.0, 0.5, 0.9, 1.0, 1 / 15, 0.2]), st.floats(0, 1)), max_size=12
)


def oracle_one_minus_roca(data: Scored) -> float:
    lost = sum((h > s) + (h == s) / 2 for h in data.ham for s in data.spam)
    return 100 * lost / (data.ham.size * data.spam.size)


def test_hand_computed_figures() -> None:
    """Every figure of one small case, worked out on paper."""
    lost = (1 + 0.5) + 0 + 2 + 0.5 + 1
    assert metrics.one_minus_roca_percent(HAND) == pytest.approx(100 * lost / 20)
    assert metrics.accuracy(HAND) == pytest.approx(6 / 9)
    assert (metrics.ham_at(HAND, 0.5), metrics.ham_at(HAND, 0.9)) == (2, 1)
    assert (metrics.spam_missed_at(HAND, 0.5), metrics.spam_missed_at(HAND, 0.9)) == (1, 2)
    assert metrics.precision_at(HAND, 0.9) == pytest.approx(3 / 4)
    assert metrics.recall_at(HAND, 0.9) == pytest.approx(3 / 5)
    squares = [0.01, 0.04, 0.25, 0.92**2, 0.49, 0.25, 0.01, 0.08**2, 0.05**2]
    assert metrics.brier(HAND) == pytest.approx(sum(squares) / 9)


def test_hand_computed_calibration() -> None:
    """Bins of a fifteenth: .9 and .92 share one, .95 stands alone, the rest stand alone."""
    gaps = [0.1, 0.2, 1 - 0.3, abs(0.5 + 0.5 - 1), abs(0.9 + 0.92 + 0.92 - 2), 1 - 0.95]
    assert metrics.ece(HAND) == pytest.approx(sum(gaps) / 9)
    bins = metrics.calibration_bins(HAND)
    assert [(b.count, b.spam) for b in bins if b.count] == [
        (1, 0),
        (1, 0),
        (1, 1),
        (2, 1),
        (3, 2),
        (1, 1),
    ]
    assert bins[13].mean == pytest.approx((0.9 + 0.92 + 0.92) / 3)
    assert bins[14].count == 1


def test_calibration_of_a_right_and_a_wrong_filter() -> None:
    """Saying 0.75 of three spam in four is right; saying 1 of ham is as wrong as can be."""
    assert metrics.ece(scored([0.75], [0.75] * 3)) == pytest.approx(0)
    assert metrics.ece(scored([1.0, 1.0], [0.0])) == pytest.approx(1)
    assert metrics.adaptive_ece(scored([1.0, 1.0], [0.0])) == pytest.approx(1)
    assert metrics.adaptive_ece(scored([0.5] * 15, [0.5] * 15)) == pytest.approx(0)


def test_last_bin_holds_one() -> None:
    """A probability of exactly 1 is no index error, and one of 0 is in the first bin."""
    bins = metrics.calibration_bins(scored([0.0], [1.0]))
    assert (bins[0].count, bins[14].count) == (1, 1)


@given(probabilities, probabilities)
def test_ranking_agrees_with_counting_pairs(ham: list[float], spam: list[float]) -> None:
    """1-ROCA by ranks is 1-ROCA by its definition, ties included."""
    data = scored(ham, spam)
    if not ham or not spam:
        assert metrics.one_minus_roca_percent(data) is None
    else:
        assert metrics.one_minus_roca_percent(data) == pytest.approx(oracle_one_minus_roca(data))


@given(probabilities.filter(bool), probabilities.filter(bool))
def test_roc_curve_has_that_area_above_it(ham: list[float], spam: list[float]) -> None:
    """The plot and the figure are the same thing."""
    data = scored(ham, spam)
    false, true, thresholds = metrics.roc_points(data)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(false) >= 0)
    assert np.all(np.diff(thresholds) < 0)
    area = float(np.trapezoid(true, false)) if hasattr(np, "trapezoid") else np.trapz(true, false)
    assert 100 * (1 - area) == pytest.approx(oracle_one_minus_roca(data), abs=1e-9)


@given(probabilities, probabilities, st.sampled_from([0.0, 5.0, 10.0, 25.0, 50.0, 100.0]))
def test_spam_missed_at_ham_lost_agrees_with_trying_every_threshold(
    ham: list[float], spam: list[float], percent: float
) -> None:
    """The best threshold that spares the ham, found by trying all."""
    data = scored(ham, spam)
    found = metrics.spam_missed_at_ham_lost(data, percent)
    if not ham or not spam:
        assert found is None
        return
    tries = [*data.probability, math.inf, 0.0]
    fair = [t for t in tries if 100 * metrics.ham_at(data, t) / len(ham) <= percent + 1e-9]
    assert found == pytest.approx(min(metrics.spam_missed_at(data, t) for t in fair) / len(spam))


@given(probabilities, probabilities)
def test_summary_is_never_nan(ham: list[float], spam: list[float]) -> None:
    """Whatever the corpus: plain JSON, percents within 0..100, each figure within its interval."""
    found = summarize(scored(ham, spam), corpus="c", protocol="split", view="both")
    json.dumps(found, allow_nan=False)
    for key in ISSUE_KEYS[5:]:
        value, low, high = (found[key + end] for end in ("", "_low", "_high"))
        assert (value is None) == (low is None) == (high is None)
        assert value is None or 0 <= low <= value <= high <= 100


def test_summary_has_the_keys_of_the_issue_and_counts() -> None:
    """What `evaluate --json` promises, no more and no less."""
    found = summarize(HAND, corpus="demo", protocol="split", view="content")
    with_intervals = {k + end for k in ISSUE_KEYS[5:] for end in ("", "_low", "_high")}
    counts = {f"{k}_at_{t}_count" for k in ("ham", "spam_missed") for t in ("0.5", "0.9")}
    assert set(found) == {*ISSUE_KEYS[:5], *with_intervals, *counts}
    assert tuple(k for k in found if k in ISSUE_KEYS) == ISSUE_KEYS
    assert (found["n_ham"], found["n_spam"]) == (4, 5)
    assert found["accuracy_percent"] == pytest.approx(66.666667)
    assert found["ham_at_0.9_percent"] == pytest.approx(25)
    assert found["spam_missed_at_0.9_percent"] == pytest.approx(40)
    assert (found["ham_at_0.5_count"], found["spam_missed_at_0.9_count"]) == (2, 2)


def test_one_class_has_no_ranking() -> None:
    """A corpus of ham alone says what ham is lost, and nothing of what cannot be known."""
    found = summarize(scored([0.2, 0.95], []), corpus="c", protocol="apply", view="content")
    assert found["one_minus_roca_percent"] is None
    assert found["one_minus_roca_percent_low"] is None
    assert found["spam_missed_at_0.5_percent"] is None
    assert found["precision_at_0.9_percent"] is None
    assert found["ham_at_0.9_percent"] == 50
    assert found["accuracy_percent"] == 50
    assert found["brier"] == pytest.approx((0.04 + 0.95**2) / 2)


def test_nothing_given_the_threshold_has_no_precision() -> None:
    """None of nothing is not 100%."""
    assert metrics.precision_at(scored([0.1], [0.2]), 0.9) is None
    assert metrics.precision_at(scored([0.95], [0.2]), 0.9) == 0


def test_no_messages() -> None:
    """An empty part of a split is all None, not a division by zero."""
    found = summarize(scored([], []), corpus="c", protocol="split", view="both")
    assert all(found[key] is None for key in ISSUE_KEYS[5:])
    assert metrics.adaptive_ece(scored([], [])) is None


@pytest.mark.parametrize(
    ("values", "ids"), [([0.5, 1.1], 2), ([0.5, math.nan], 2), ([0.5, 0.5], 3)]
)
def test_answers_that_cannot_be_are_refused(values: list[float], ids: int) -> None:
    """A probability outside 0..1 is a bug upstream; it must not become a figure."""
    with pytest.raises(ValueError, match=r"outside|length"):
        Scored(np.array(values), np.array([True, False]), tuple("x" * ids))
