"""Work -> energy and money. Small so far: what a budget for the cascade needs."""

from winnow.accounting.budget import Budget
from winnow.accounting.energy import Power, Quality, this_processor
from winnow.accounting.units import CpuSeconds, Dollars, Joules

__all__ = [
    "Budget",
    "CpuSeconds",
    "Dollars",
    "Joules",
    "Power",
    "Quality",
    "this_processor",
]
