"""When the reflex hands over, how two answers become one, and what is no cascade."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.runtime import NOT_CALIBRATED, STANDS_OUT, Cascade, Opening
from winnow.runtime.cascade import OPENING_BELOW

FLOATS = st.floats(-1e6, 1e6)
GAINS = st.floats(0, 10)
OPENINGS = st.builds(Opening, st.integers(1, 10_000), FLOATS, GAINS, GAINS, FLOATS)
CASCADES = st.builds(
    Cascade, st.floats(1e-3, 10), GAINS, FLOATS, FLOATS, FLOATS, st.none() | OPENINGS
)
JSON = {"reflex": 0.5, "reader": 1.25, "intercept": -0.5, "low": -2.0, "high": 3.0}


@pytest.mark.parametrize(
    ("reflex", "sure"),
    [(-9.0, True), (-2.0, True), (-1.99, False), (0.0, False), (2.99, False), (3.0, True)],
)
def test_the_reflex_is_sure_at_and_beyond_its_bounds(reflex: float, sure: bool) -> None:
    """Ham below, spam above; only what lies between costs the reader's time."""
    assert Cascade.from_json(JSON).is_sure(reflex) is sure


@given(FLOATS, FLOATS)
def test_an_empty_band_hands_nothing_over(bound: float, reflex: float) -> None:
    """A budget below the reader's cost leaves the reader alone, whatever the message."""
    assert Cascade(1.0, 1.0, 0.0, bound, bound).is_sure(reflex)


def test_both_answers_count_by_their_gains() -> None:
    """-0.5 + 0.5 * 2 + 1.25 * -4."""
    assert Cascade.from_json(JSON).log_odds(2.0, -4.0) == -4.5


@given(CASCADES)
def test_a_cascade_comes_back_from_json(cascade: Cascade) -> None:
    """What calibration.json keeps is what was fitted, to the last bit."""
    assert Cascade.from_json(json.loads(json.dumps(cascade.to_json()))) == cascade


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("bad", [None, "x", [], {}, math.nan, math.inf, -math.inf, 10**400])
def test_a_number_that_is_none_is_refused(name: str, bad: Any) -> None:
    """A damaged calibration never answers mail with NaN."""
    with pytest.raises(ValueError, match="cascade"):
        Cascade.from_json(JSON | {name: bad})


@pytest.mark.parametrize("value", [None, 1, "text", [], [1.0] * 5, {}, {"reflex": 1.0}])
def test_what_is_no_cascade_is_refused(value: Any) -> None:
    """Any other JSON is told as one kind of error."""
    with pytest.raises(ValueError, match="no cascade"):
        Cascade.from_json(value)


@pytest.mark.parametrize("change", [{"reflex": 0.0}, {"reflex": -1.0}, {"reader": -0.1}])
def test_a_stage_that_counts_backwards_is_refused(change: dict[str, float]) -> None:
    """With a gain of 0 or less a correction would move an answer the wrong way."""
    with pytest.raises(ValueError, match="out of range"):
        Cascade.from_json(JSON | change)


def test_what_is_not_calibrated_is_the_readers_answer_as_it_is() -> None:
    """Every message is handed over, and what the reflex says of it counts for nothing."""
    assert not NOT_CALIBRATED.is_calibrated
    assert Cascade.from_json(JSON).is_calibrated
    for reflex in (-1e5, 0.0, 1e5):
        assert not NOT_CALIBRATED.is_sure(reflex)
        assert NOT_CALIBRATED.log_odds(reflex, -1.75) == -1.75
    assert Cascade.from_json(json.loads(json.dumps(NOT_CALIBRATED.to_json()))) == NOT_CALIBRATED


@pytest.mark.parametrize("change", [{"reader": 0.5}, {"intercept": 1.0}, {"low": 0.0}])
def test_a_gain_of_0_is_of_nothing_else(change: dict[str, float]) -> None:
    """No fit gives it: a cascade that is half that is damaged."""
    with pytest.raises(ValueError, match="out of range"):
        Cascade.from_json(NOT_CALIBRATED.to_json() | change)


OPENING = Opening(60, -0.25, 1.0, 0.5, -1.0)
PADDED = Cascade(0.5, 1.25, -0.5, -2.0, 3.0, OPENING)


@pytest.mark.parametrize(
    ("reflex", "opening", "sure"),
    [
        (-5.0, None, True),
        (-5.0, -5.0, True),
        (-7.0, 2.0, False),  # goes on like ham, begins like spam
        (-7.0, -1.9, False),
        (-5.0, -2.0, True),  # the opening is as surely ham
        (-2.0, -2.0 + STANDS_OUT, True),  # one that does not stand out
        (3.0, 9.0, True),  # spam is spam
    ],
)
def test_an_opening_that_stands_out_is_handed_over(
    reflex: float, opening: float | None, sure: bool
) -> None:
    """Words of ham below a message keep no reader from it; where nothing is made of it they do."""
    assert PADDED.is_sure(reflex, opening) is sure
    assert Cascade.from_json(JSON).is_sure(reflex, opening)


@given(FLOATS, FLOATS, st.floats(-10, 10), st.floats(-10, 10))
def test_an_empty_band_has_no_openings(
    bound: float, reflex: float, opening: float, reader: float
) -> None:
    """A budget below the reader's cost pays for no opening, either."""
    cascade = Cascade(1.0, 1.0, 0.0, bound, bound, OPENING)
    assert cascade.is_sure(reflex, opening)


def test_a_message_is_as_bad_as_its_opening() -> None:
    """-1 - 0.25 * -6 + 1 * opening + 0.5 * 2, but never junk; else the plain sum."""
    assert PADDED.log_odds(-6.0, 2.0, 1.0) == pytest.approx(2 * math.tanh(2.5 / 2))
    assert PADDED.log_odds(-6.0, 2.0, 0.0) == pytest.approx(2 * math.tanh(1.5 / 2))
    assert PADDED.log_odds(-6.0, 2.0, -1.75) == -0.25
    assert PADDED.log_odds(-6.0, 2.0, 99.0) == OPENING_BELOW
    assert PADDED.log_odds(-6.0, 9.0, 9.0) == -0.5 - 3.0 + 1.25 * 9.0  # the whole is worse
    plain = Cascade.from_json(JSON).log_odds(-6.0, 2.0)
    assert PADDED.log_odds(-6.0, 2.0, -6.0 + STANDS_OUT) == plain == -1.0
    assert PADDED.log_odds(-6.0, 2.0) == plain


@given(st.lists(st.tuples(*[st.floats(-9, 9)] * 3), min_size=1))
def test_many_are_combined_as_one_by_one(rows: list[tuple[float, float, float]]) -> None:
    """Figures of thousands of messages are those of the messages."""
    reflex, reader, opening = np.array(rows).T
    found = PADDED.log_odds(reflex, reader, opening)
    assert found.tolist() == [PADDED.log_odds(*row) for row in rows]


@pytest.mark.parametrize("name", OPENING.__slots__)
@pytest.mark.parametrize("bad", [None, "x", [], math.nan, math.inf])
def test_an_opening_that_is_none_is_refused(name: str, bad: Any) -> None:
    """As for the cascade's own numbers."""
    value = PADDED.to_json()
    value["opening"] = dict(value["opening"]) | {name: bad}
    with pytest.raises(ValueError, match="cascade"):
        Cascade.from_json(value)


@pytest.mark.parametrize(
    "change", [{"words": 0}, {"words": 10**6}, {"opening": -1}, {"reader": -1}]
)
def test_an_opening_out_of_range_is_refused(change: dict[str, float]) -> None:
    """No words are no opening, and no answer counts backwards."""
    value = PADDED.to_json()
    value["opening"] = dict(value["opening"]) | change
    with pytest.raises(ValueError, match="cascade"):
        Cascade.from_json(value)
