"""CPU seconds to joules and dollars, and how far the figures are to be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.accounting import CpuSeconds, Dollars, Joules, Power, Quality, this_processor

POWER = Power(10.0, 5.0, 40.0, 0.25, Quality.MEASURED, "a meter")


def test_energy_and_price_of_an_hour() -> None:
    """Ten watts for 100 hours are one kilowatt-hour, which has its price."""
    work = CpuSeconds(360_000.0)
    assert POWER.energy(work) == Joules(3_600_000.0)
    assert POWER.price(work) == Dollars(0.25)
    assert POWER.band(work) == (Joules(1_800_000.0), Joules(14_400_000.0))


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_work_in_two_halves_costs_what_it_does_in_one(one: float, other: float) -> None:
    """Figures of single answers add up to that of a day."""
    power = this_processor()
    parts = power.energy(CpuSeconds(one)) + power.energy(CpuSeconds(other))
    assert parts.value == pytest.approx(power.energy(CpuSeconds(one + other)).value)
    low, high = power.band(CpuSeconds(one))
    assert low <= power.energy(CpuSeconds(one)) <= high


def test_an_estimate_says_that_it_is_one() -> None:
    """Nobody takes a cloud's average for a measurement; the source stands beside it."""
    power = this_processor()
    assert power.quality is Quality.ESTIMATED
    assert power.quality == "estimated"
    assert "Cloud Carbon Footprint" in power.source
    assert 0 < power.lowest < power.watts < power.highest
