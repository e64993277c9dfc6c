"""Budgets as people write them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.accounting import Budget, CpuSeconds, this_processor
from winnow.errors import InputError

POWER = replace(this_processor(), watts=4.0, dollars_per_kwh=0.2)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("0.5ms", 5e-4, "s"),
        ("1 ms", 1e-3, "s"),
        (" 250us ", 2.5e-4, "s"),
        ("250µs", 2.5e-4, "s"),
        ("2s", 2.0, "s"),
        (".5s", 0.5, "s"),
        ("1e-3s", 1e-3, "s"),
        ("2mJ", 2e-3, "J"),
        ("40uJ", 4e-5, "J"),
        ("40µJ", 4e-5, "J"),
        ("1J", 1.0, "J"),
        ("0.1$/M", 1e-7, "$"),
        ("0.1 $/M", 1e-7, "$"),
        ("0.001$", 1e-3, "$"),
    ],
)
def test_what_is_written_is_read(text: str, amount: float, unit: str) -> None:
    """Time, energy and money, at their scale; a factor of 1,000 off is another model."""
    budget = Budget.parse(text)
    assert budget.amount == pytest.approx(amount, rel=1e-12)
    assert budget.unit == unit
    assert budget.text == text.strip()


NO_BUDGETS = """1|ms|1 minute|1m|1MS|1Ms|1mj|1kJ|-1ms|+1ms|0ms|1$M|1$/|m$|1s/M|€1|٣ms|1e400s|1e-400s
nan s|inf s|1,5ms|1..5ms|1ms 2ms||"""


@pytest.mark.parametrize("text", re.split(r"[|\n]", NO_BUDGETS))
def test_what_is_no_budget_is_refused(text: str) -> None:
    """Neither nothing nor too little nor a unit of our own guess; it says how to write one."""
    with pytest.raises(InputError, match=r"no budget; write .* as 0\.5ms, 2mJ or 0\.1\$/M"):
        Budget.parse(text)


@given(st.text(alphabet="0123456789.e-µumsJ$/M ", max_size=12))
def test_any_text_is_a_budget_above_nothing_or_refused(text: str) -> None:
    """What is taken can be reached by some answer, in every unit."""
    try:
        budget = Budget.parse(text)
    except InputError:
        return
    assert budget.as_cpu_seconds(POWER).value > 0


def test_time_energy_and_money_come_to_seconds_of_a_core() -> None:
    """All three budgets are kept by the same clock."""
    assert Budget.parse("1ms").as_cpu_seconds(POWER) == CpuSeconds(1e-3)
    assert Budget.parse("4mJ").as_cpu_seconds(POWER).value == pytest.approx(1e-3)
    assert Budget.parse("0.2$").as_cpu_seconds(POWER).value == pytest.approx(3.6e6 / 4)


@given(st.floats(1e-6, 1e3))
def test_money_buys_as_much_time_as_it_costs(seconds: float) -> None:
    """The way to seconds is the way back from their price."""
    price = POWER.price(CpuSeconds(seconds)).value
    bought = Budget("", price, "$").as_cpu_seconds(POWER)
    assert bought.value == pytest.approx(seconds)
