"""Units as types: what adds up, and what does not."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.accounting import CpuSeconds, Dollars, Joules

UNITS = (CpuSeconds, Joules, Dollars)
AMOUNTS = st.floats(-1e12, 1e12)


@pytest.mark.parametrize("unit", UNITS)
@given(one=AMOUNTS, other=AMOUNTS, factor=st.floats(-1e3, 1e3))
def test_amounts_of_one_unit_count_as_numbers_do(
    unit: type[Any], one: float, other: float, factor: float
) -> None:
    """Sums, differences and multiples keep their unit and are those of the values."""
    assert unit(one) + unit(other) == unit(one + other)
    assert unit(one) - unit(other) == unit(one - other)
    assert unit(one) * factor == factor * unit(one) == unit(one * factor)
    assert (unit(one) < unit(other)) == (one < other)
    assert type(unit(one) + unit(other)) is unit


ACTS = (operator.add, operator.sub, operator.lt, operator.ge)
PAIRS = [(one, other) for one in UNITS for other in (*UNITS, float) if one is not other]
MIXED = [(act, *pair) for act in ACTS for pair in PAIRS]
MIXED += [(operator.mul, one, other) for one in UNITS for other in UNITS]


@pytest.mark.parametrize(("act", "one", "other"), MIXED)
def test_two_units_do_not_mix(
    act: Callable[[Any, Any], Any], one: type[Any], other: type[Any]
) -> None:
    """Joules are never added to dollars, nor a bare number to either, in silence."""
    with pytest.raises(TypeError):
        act(one(1.0), other(2.0))
    with pytest.raises(TypeError):
        act(other(2.0), one(1.0))


def test_the_same_number_of_two_units_is_not_the_same() -> None:
    """A table by cost does not take a second for a dollar."""
    assert Joules(1.0) != Dollars(1.0)
    assert len({unit(1.0) for unit in UNITS}) == len(UNITS)


def test_an_amount_cannot_be_changed() -> None:
    """A total that was told stays what it was."""
    with pytest.raises(AttributeError):
        Joules(1.0).value = 2.0  # type: ignore[misc]


def test_a_kilowatt_hour_is_exact() -> None:
    """1,000 watts for 3,600 seconds."""
    assert Joules(3_600_000.0).kwh == 1.0
