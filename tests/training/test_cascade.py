"""The band in which the reflex hands over: its figures are those of the mail, one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from winnow.runtime import Cascade, Opening
from winnow.training.cascade import (
    EVERYTHING,
    FEWEST_OPENINGS,
    HAM_LOST,
    JUNKED_HAM,
    HeldOut,
    Point,
    combine_stages,
    fit_opening,
    frontier,
    humble,
    with_band,
    within,
)
from winnow.training.combiner import JUNK_LOG_ODDS, SMALLEST_SOURCE

PLAIN = Cascade(0.7, 0.9, 0.1, -EVERYTHING, EVERYTHING)
OPENING = Opening(60, -0.2, 1.0, 0.5, -1.0)
SEEDS = st.integers(0, 10_000)


def _held(seed: int, n: int = 80, *, digits: int = 9) -> HeldOut:
    """Two stages that know a little each; with few digits many messages have equal log-odds."""
    random = np.random.default_rng(seed)
    spam = random.random(n) < 0.5
    side = np.where(spam, 1.0, -1.0)
    reflex = np.round(random.normal(side, 2.0), digits)
    longer = random.random(n) < 0.5
    opening = np.where(longer, random.normal(2 * side, 2.0), reflex)
    return HeldOut(
        reflex=reflex,
        reader=random.normal(2 * side, 2.0),
        spam=spam,
        weights=random.uniform(0.2, 2.0, n),
        reflex_seconds=1e-4,
        reader_seconds=random.uniform(1e-3, 5e-3, n),
        opening=opening,
        padded=reflex - random.uniform(2.0, 6.0, n),
        padded_opening=np.where(longer, opening, reflex - 1.0),
    )


def _answered(held: HeldOut, cascade: Cascade) -> Point:
    """What a cascade does to the mail, message by message and without any sorting."""
    total = ham = asked = seconds = wrong = junked = loss = 0.0
    opening = held.reflex if held.opening is None else held.opening
    columns = (held.reflex, held.reader, opening, held.spam, held.weights, held.reader_seconds)
    for reflex, reader, begins, spam, weight, cost in zip(*columns, strict=True):
        value = float(reflex)
        total += weight
        if not cascade.is_sure(value, float(begins)):
            value = cascade.log_odds(value, float(reader), float(begins))
            asked += weight
            seconds += weight * cost
        wrong += weight * ((value >= 0) != spam)
        loss += weight * math.log1p(math.exp(-value if spam else value))
        if not spam:
            ham += weight
            junked += weight * (value >= JUNK_LOG_ODDS)
    return Point(
        cascade.low,
        cascade.high,
        100 * asked / total,
        held.reflex_seconds + seconds / total,
        100 * wrong / total,
        100 * junked / max(ham, 1e-9),
        loss / total,
    )


def _bad(point: Point, held: HeldOut) -> float:
    """Errors in percent of the mail; a junked ham counts as so many."""
    ham = float(held.weights[~held.spam].sum() / held.weights.sum())
    return point.errors_percent + JUNKED_HAM * ham * point.junked_ham_percent


@given(SEEDS, st.sampled_from([0, 1, 9]), st.integers(1, 80))
def test_a_points_figures_are_those_of_the_mail(seed: int, digits: int, n: int) -> None:
    """What `winnow calibrate` promises of a budget is what happens, equal log-odds or not."""
    held = _held(seed, n, digits=digits)
    cascade = replace(PLAIN, opening=OPENING if seed % 4 else None)
    points = frontier(held, cascade)
    for point in points[:: max(1, len(points) // 4)]:
        found = _answered(held, with_band(cascade, point))
        for name in Point.__slots__:
            assert getattr(found, name) == pytest.approx(getattr(point, name), rel=1e-6, abs=1e-9)


@given(SEEDS)
def test_each_step_along_the_frontier_costs_more_and_errs_less(seed: int) -> None:
    """Nobody is offered a dearer band that is no better."""
    held = _held(seed, 30)
    points = frontier(held, PLAIN)
    bad = [(round(_bad(point, held), 6), point.loss) for point in points]
    assert [point.seconds for point in points] == sorted({point.seconds for point in points})
    assert bad == sorted(set(bad), reverse=True)
    assert points[0].handed_over_percent == 0
    assert points[0].seconds == pytest.approx(held.reflex_seconds)


@given(SEEDS, st.floats(0, 6e-3))
def test_no_band_within_the_budget_is_better(seed: int, budget: float) -> None:
    """The chosen band against every band there is, for a budget and for little mail."""
    held = _held(seed, 12)
    chosen = within(frontier(held, PLAIN), budget)
    assert chosen.seconds <= max(budget, held.reflex_seconds)
    places = np.sort(held.reflex)
    edges = [-EVERYTHING, *((places[1:] + places[:-1]) / 2).tolist(), EVERYTHING]
    for index, low in enumerate(edges):
        for high in edges[index:]:
            other = _answered(held, replace(PLAIN, low=low, high=high))
            if other.seconds <= budget:
                assert _bad(chosen, held) <= _bad(other, held) + 1e-5


def test_a_budget_below_the_reflex_buys_the_reflex() -> None:
    """Too little is answered by the cheapest, not by an error and not by the best."""
    points = frontier(_held(3), PLAIN)
    assert within(points, 0.0) == points[0]
    assert within(points, points[0].seconds) == points[0]
    assert within(points, points[1].seconds) == points[1]
    assert within(points, math.inf) == points[-1]


def test_a_reader_that_knows_nothing_is_not_asked() -> None:
    """Time is spent only where it buys something."""
    held = _held(4)
    nothing = replace(held, reader=np.where(held.spam, -9.0, 9.0))
    assert within(frontier(nothing, PLAIN), 1.0).handed_over_percent == 0


def test_junked_ham_weighs_more_than_other_errors() -> None:
    """Ham out of the junk folder is worth three errors more than it makes."""
    held = HeldOut(
        reflex=np.array([3.0, -0.5, -0.5, -0.4, -9.0]),
        reader=np.array([-9.0, 3.0, 3.0, 3.0, 0.0]),
        spam=np.array([False] * 5),
        weights=np.ones(5),
        reflex_seconds=0.0,
        reader_seconds=np.ones(5),
    )
    both = Cascade(1.0, 0.3, 0.0, -EVERYTHING, EVERYTHING)
    all_of_it = within(frontier(held, both), 1.0)
    assert all_of_it.junked_ham_percent == 0
    assert all_of_it.low > -1


def test_with_band_changes_the_band_alone() -> None:
    """Gains stay as they were fitted."""
    point = frontier(_held(5), PLAIN)[1]
    assert with_band(PLAIN, point) == replace(PLAIN, low=point.low, high=point.high)


@pytest.mark.parametrize("seed", range(4))
def test_together_both_stages_are_better_than_each_alone(seed: int) -> None:
    """Fitted gains beat either stage on the mail that they were fitted on."""
    held = replace(_held(seed, 600), weights=np.ones(600))
    cascade = combine_stages(held)
    assert (cascade.low, cascade.high) == (-EVERYTHING, EVERYTHING)
    together = _answered(held, cascade).loss
    assert together < _answered(held, Cascade(1.0, 0.0, 0.0, -EVERYTHING, EVERYTHING)).loss
    assert together < _answered(held, Cascade(1e-9, 1.0, 0.0, -EVERYTHING, EVERYTHING)).loss


@pytest.mark.parametrize("before", [None, Cascade(0.4, 1.5, 0.0, -1.0, 1.0)])
def test_little_mail_stays_close_to_what_was_known(before: Cascade | None) -> None:
    """Four messages do not turn a model over; without one before, the reflex's answer stands."""
    held = _held(6, 4)
    held = replace(held, reflex=held.reflex / 50, reader=held.reader / 50)
    found = combine_stages(held, before=before)
    expected = (1.0, 0.0) if before is None else (before.reflex, before.reader)
    assert (found.reflex, found.reader) == pytest.approx(expected, abs=0.05)


def test_a_reader_that_counts_backwards_is_switched_off() -> None:
    """Its gain is never below 0; then the reflex's answer stands as it is."""
    held = _held(7, 400)
    found = combine_stages(replace(held, reader=np.where(held.spam, -5.0, 5.0) - held.reflex))
    assert (found.reflex, found.reader, found.intercept) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("least", [0.1, 0.5])
def test_corrections_are_still_heard(least: float) -> None:
    """However little the reflex knows, what a user corrects in it moves the answer."""
    held = _held(8, 400)
    weak = replace(held, reflex=-2 * np.where(held.spam, 1.0, -1.0) + held.reflex)
    found = combine_stages(weak, least_reflex=least)
    assert found.reflex == least
    assert found.reader > 0
    best = _answered(weak, found).loss
    for change in (-0.1, 0.1):
        assert best < _answered(weak, replace(found, reader=found.reader + change)).loss
        assert best < _answered(weak, replace(found, intercept=found.intercept + 2 * change)).loss


def _ham(values: NDArray[np.float64]) -> HeldOut:
    n = len(values)
    nothing = np.zeros(n)
    return HeldOut(values, nothing, np.zeros(n, dtype=bool), np.ones(n), 0.0, nothing)


@given(SEEDS, st.integers(SMALLEST_SOURCE, 700))
def test_humility_keeps_the_ham_of_every_source_out_of_the_junk(seed: int, n: int) -> None:
    """Of each source that is large enough at most HAM_LOST of the ham gets 0.90."""
    random = np.random.default_rng(seed)
    held = replace(_held(seed, 2 * n), spam=np.arange(2 * n) % 5 == 0)
    sources = random.integers(0, 2, 2 * n)
    found = humble(PLAIN, held, sources)
    for source in range(2):
        ham = (sources == source) & ~held.spam
        values = [
            found.log_odds(a, b) for a, b in zip(held.reflex[ham], held.reader[ham], strict=True)
        ]
        if len(values) >= SMALLEST_SOURCE:
            assert sum(v >= JUNK_LOG_ODDS for v in values) <= HAM_LOST * len(values)
    factor = found.reflex / PLAIN.reflex
    assert 0 < factor <= 1
    assert found.reader == pytest.approx(factor * PLAIN.reader)
    assert found.intercept == pytest.approx(factor * PLAIN.intercept)


def test_humility_is_no_greater_than_it_must_be() -> None:
    """So many of 500 may be lost; the one below them decides, and lies just below 0.90."""
    values = np.full(500, -1.0)
    lost = int(HAM_LOST * 500)
    assert lost > 0
    values[:lost], values[lost] = 9.0, 5.0
    found = humble(Cascade(1.0, 1.0, 0.0, -1.0, 1.0), _ham(values), np.zeros(500, dtype=np.int64))
    assert found.reflex * 5.0 == pytest.approx(JUNK_LOG_ODDS - 1e-3)
    assert (found.low, found.high) == (-1.0, 1.0)


@pytest.mark.parametrize(
    "values", [np.full(SMALLEST_SOURCE - 1, 50.0), np.full(300, -2.0), np.full(300, 2.0)]
)
def test_nothing_to_be_humble_about_changes_nothing(values: NDArray[np.float64]) -> None:
    """A handful of odd messages, or ham that was never junked, leaves the gains."""
    assert humble(PLAIN, _ham(values), np.zeros(len(values), dtype=np.int64)) == PLAIN


def test_padded_spam_is_told_from_ham_by_its_opening() -> None:
    """Fitted on mail as it came and padded: most padded spam gets 0.50, hardly any ham does."""
    held = _held(3, 20_000)
    opening = fit_opening(held)
    assert opening is not None
    assert held.padded is not None
    cascade = replace(PLAIN, opening=opening)
    begins = held.reflex if held.opening is None else held.opening
    still = cascade.log_odds(held.padded, held.reader, begins)[held.spam] >= 0
    without = PLAIN.log_odds(held.padded, held.reader)[held.spam] >= 0
    natural = cascade.log_odds(held.reflex, held.reader, begins)[~held.spam] >= 0
    plain = PLAIN.log_odds(held.reflex, held.reader)[~held.spam] >= 0
    assert still.mean() > without.mean() + 0.1
    assert natural.mean() < plain.mean() + 0.05


def test_without_openings_nothing_is_made_of_them() -> None:
    """Mail that is too short, too little or not asked about leaves the plain cascade."""
    held = _held(3, 20_000)
    assert fit_opening(held) is not None
    assert fit_opening(replace(held, opening=None)) is None
    assert fit_opening(replace(held, padded=None)) is None
    assert fit_opening(replace(held, padded_opening=None)) is None
    assert fit_opening(replace(held, opening=held.reflex, padded_opening=held.padded)) is None
    for label in (True, False):
        few = np.flatnonzero(held.spam == label)[: FEWEST_OPENINGS - 1]
        kept = np.union1d(few, np.flatnonzero(held.spam != label))
        assert fit_opening(_rows(held, kept)) is None


def test_openings_that_say_the_opposite_are_not_heard() -> None:
    """No answer may count backwards, whatever a small corpus says."""
    held = _held(3, 20_000)
    assert held.opening is not None
    begins = np.where(held.spam, held.padded, held.reflex + 9.0)
    turned = replace(held, opening=begins, padded=held.reflex - 9.0, padded_opening=begins)
    found = fit_opening(turned)
    assert found is None or min(found.opening, found.reader) >= 0


def _rows(held: HeldOut, kept: NDArray[np.int64]) -> HeldOut:
    names = ("reflex", "reader", "spam", "weights", "reader_seconds")
    names += ("opening", "padded", "padded_opening")
    return replace(held, **{name: getattr(held, name)[kept] for name in names})
