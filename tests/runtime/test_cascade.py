"""When the reflex hands over, how two answers become one, and what is no cascade."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.runtime import Cascade

FLOATS = st.floats(-1e6, 1e6)
CASCADES = st.builds(Cascade, st.floats(1e-3, 10), st.floats(0, 10), FLOATS, FLOATS, FLOATS)
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
