"""What answers are worth: errors, accuracy as served and alone, losses with their interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from winnow.accounting import Quality
from winnow.ladder.quality import (
    NO_MAIL,
    WORTH,
    Held,
    accuracy_loss,
    answers_of,
    errors_of,
    missing,
    scored_of,
    worth_of,
)
from winnow.training.metrics import Scored, accuracy, ece, one_minus_roca_percent


def _held(labels: list[bool] | None, **more: Any) -> Held:
    count = 4 if labels is None else len(labels)
    feeds = tuple({"ids": np.zeros((1, n + 1), np.int64)} for n in range(count))
    flags = None if labels is None else np.array(labels)
    return Held(feeds, "some mail", flags, **more)


def _scored(right: list[bool]) -> Scored:
    label = np.arange(len(right)) % 2 == 0
    probability = np.where(label == np.array(right), 0.8, 0.2)
    return Scored(probability, label, tuple(map(str, range(len(right)))))


def test_lengths_are_those_of_the_messages() -> None:
    """The mix of lengths is that of the inputs."""
    assert _held(None).lengths.tolist() == [1, 2, 3, 4]


def test_log_odds_of_one_number() -> None:
    """Our own reader's first output is the answer itself."""
    outputs = [[np.array([v], np.float32), np.zeros((1, 9))] for v in (0.5, -2.0)]
    found = answers_of(outputs).log_odds
    assert found is not None
    assert found.tolist() == [0.5, -2.0]


def test_log_odds_of_two_logits() -> None:
    """Of a classifier of ham and spam: the second less the first."""
    found = answers_of([[np.array([[1.0, 3.0]])], [np.array([[0.0, -1.5]])]]).log_odds
    assert found is not None
    assert found.tolist() == [2.0, -1.5]


@pytest.mark.parametrize("shape", [(1, 3), (2,), (1, 2, 4)])
def test_other_outputs_are_no_answer(shape: tuple[int, ...]) -> None:
    """Three classes, or states of tokens: nothing is made up."""
    assert answers_of([[np.zeros(shape)]]).log_odds is None


def test_errors_are_of_log_odds() -> None:
    """The largest and the mean difference, and not those of other outputs."""
    ours = answers_of([[np.array([v]), np.full(3, 99.0)] for v in (1.0, 2.0)])
    theirs = answers_of([[np.array([v]), np.zeros(3)] for v in (1.5, 1.9)])
    found = errors_of(ours, theirs, "two messages")
    assert found["max_abs_error"].value == 0.5
    assert found["mean_abs_error"].value == pytest.approx(0.3)
    assert "two messages" in found["max_abs_error"].note


def test_errors_of_other_outputs() -> None:
    """Where there are no log-odds the first output is compared, and that is said."""
    ours, theirs = (answers_of([[np.full((1, 3), v)]]) for v in (1.0, 4.0))
    found = errors_of(ours, theirs, "one")
    assert found["max_abs_error"].value == 3.0
    assert "no answer of two classes" in found["max_abs_error"].note


@pytest.mark.parametrize("bad", [np.array([np.nan]), np.array([np.inf])])
def test_what_is_no_number_has_no_error(bad: Any) -> None:
    """NaN never reaches a table as if it were small."""
    found = errors_of(answers_of([[bad]]), answers_of([[np.zeros(1)]]), "one")
    assert found["max_abs_error"].value is None
    assert "no number" in found["max_abs_error"].note


def test_other_shapes_are_no_number() -> None:
    """A graph of three outputs beside one of four."""
    found = errors_of(answers_of([[np.zeros((1, 3))]]), answers_of([[np.zeros((1, 4))]]), "one")
    assert found["max_abs_error"].value is None


def test_without_labels_everything_is_missing() -> None:
    """And says what would bring it."""
    found = worth_of(np.zeros(4), _held(None))
    assert set(found) == set(WORTH)
    assert {(one.value, one.quality, one.note) for one in found.values()} == {
        (None, Quality.MISSING, NO_MAIL)
    }


def test_figures_are_those_of_the_metrics() -> None:
    """As `winnow evaluate` counts them, each with an interval."""
    log_odds = np.array([2.0, -1.0, 0.3, -3.0, 1.0])
    held = _held([True, False, False, False, True])
    scored = Scored(1 / (1 + np.exp(-log_odds)), held.labels, tuple("01234"))  # type: ignore[arg-type]
    found = worth_of(log_odds, held)
    assert found["accuracy_percent"].value == pytest.approx(100 * (accuracy(scored) or 0))
    assert found["ece_percent"].value == pytest.approx(100 * (ece(scored) or 0), abs=1e-5)
    assert found["one_minus_roca_percent"].value == one_minus_roca_percent(scored)
    assert found["accuracy_percent"].low is not None
    assert found["accuracy_percent"].low <= 80.0 <= (found["accuracy_percent"].high or 0)


def test_one_class_has_no_ranking() -> None:
    """1-ROCA is missing and says so; accuracy is there."""
    found = worth_of(np.array([1.0, -1.0]), _held([True, True]))
    assert found["accuracy_percent"].value == 50.0
    ranking = found["one_minus_roca_percent"]
    assert (ranking.value, ranking.quality) == (None, Quality.MISSING)
    assert "one class" in ranking.note


def test_as_served_and_alone() -> None:
    """The whole model asks the reader where it is not sure; alone the reader always answers."""
    sure = np.array([True, False])
    held = _held([True, False], served=lambda reader: np.where(sure, 5.0, reader))
    wrong_then_right = np.array([-4.0, -4.0])
    assert worth_of(wrong_then_right, held)["accuracy_percent"].value == 100.0
    assert worth_of(wrong_then_right, held, alone=True)["accuracy_percent"].value == 50.0


def test_extreme_log_odds_are_probabilities() -> None:
    """They neither overflow nor leave 0..1."""
    scored = scored_of(np.array([1e9, -1e9]), _held([True, False]))
    assert scored.probability.tolist() == [1.0, pytest.approx(0.0)]


@pytest.mark.parametrize("log_odds", [None, np.array([np.nan, 1.0])])
def test_no_answer_has_no_worth(log_odds: Any) -> None:
    """A graph of something else is not called right half of the time."""
    found = worth_of(log_odds, _held([True, False]))
    assert found["accuracy_percent"].value is None


def test_loss_is_of_pairs() -> None:
    """Twelve were lost and two won of a thousand: one point, about which the interval lies."""
    before = [True] * 900 + [False] * 100
    after = [False] * 12 + [True] * 888 + [True] * 2 + [False] * 98
    found = accuracy_loss(_scored(after), _scored(before))
    assert found.value == pytest.approx(1.0)
    # Agresti and Min: (12 - 2) / 1002 +- 1.96 sqrt(15 - 100 / 1002) / 1002, in points
    assert found.low == pytest.approx(0.998 - 0.7552, abs=1e-3)
    assert found.high == pytest.approx(0.998 + 0.7552, abs=1e-3)
    assert found.note == "12 of 1,000 messages wrong that were right, 2 the other way"


def test_a_gain_is_a_negative_loss() -> None:
    """Better answers are not hidden."""
    found = accuracy_loss(_scored([True] * 10), _scored([False] * 2 + [True] * 8))
    assert found.value == pytest.approx(-20.0)


def test_no_change_is_not_certain() -> None:
    """Among a hundred messages a loss of a point can go unseen; among ten thousand it cannot."""
    few, many = (accuracy_loss(_scored([True] * n), _scored([True] * n)) for n in (100, 10_000))
    assert few.value == many.value == 0.0
    assert (few.high or 0) > 1.0
    assert 0 < (many.high or 0) < 0.05


def test_missing_says_why() -> None:
    """It is never zero."""
    one = missing("nobody looked")
    assert (one.value, one.quality, one.note) == (None, Quality.MISSING, "nobody looked")
