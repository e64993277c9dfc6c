"""CPU seconds -> joules and dollars, by factors that carry their source.

No processor here tells what it draws, so that every figure is an estimate, and is marked so:
seconds of one core times the watts of a cloud's virtual core under load.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from winnow.accounting.units import JOULES_PER_KWH, CpuSeconds, Dollars, Joules


class Quality(StrEnum):
    """How far a figure is to be believed; what is missing is not zero."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Power:
    """What a busy core draws and costs.

    Attributes:
        watts: of one core under load.
        lowest: the least it may be.
        highest: the most it may be.
        dollars_per_kwh: price of energy.
        quality: of figures made with it.
        source: of the watts.
    """

    watts: float
    lowest: float
    highest: float
    dollars_per_kwh: float
    quality: Quality
    source: str

    def energy(self, work: CpuSeconds) -> Joules:
        """Energy of some work."""
        return Joules(work.value * self.watts)

    def band(self, work: CpuSeconds) -> tuple[Joules, Joules]:
        """The least and the most it may have been."""
        return Joules(work.value * self.lowest), Joules(work.value * self.highest)

    def price(self, work: CpuSeconds) -> Dollars:
        """What the energy of some work costs."""
        return Dollars(self.energy(work).value / JOULES_PER_KWH * self.dollars_per_kwh)


def this_processor() -> Power:
    """Factors for a processor of which nothing is known.

    Watts of one virtual core at full load: 3.5 at Amazon, 4.26 at Google, 3.78 at Microsoft, and
    0.71 to 0.78 idle (Cloud Carbon Footprint, methodology, 2023). The middle one is taken; a
    desktop's core may draw five times that. 0.15 dollars a kWh is a round price of 2024 for
    business in the US and in Europe.
    """
    return Power(
        watts=3.78,
        lowest=0.7,
        highest=20.0,
        dollars_per_kwh=0.15,
        quality=Quality.ESTIMATED,
        source="Cloud Carbon Footprint, methodology 2023: watts of a virtual core at full load",
    )
