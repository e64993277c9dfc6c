"""What one answer may cost on average, as a person writes it: "0.5ms", "2mJ", "1$/M"."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from winnow.accounting.energy import Power
from winnow.accounting.units import JOULES_PER_KWH, CpuSeconds
from winnow.errors import InputError

_FORM = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(us|µs|ms|s|uJ|µJ|mJ|J|\$/M|\$)\s*")
_SCALE = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_SCALE |= {"uJ": 1e-6, "µJ": 1e-6, "mJ": 1e-3, "J": 1.0, "$": 1.0, "$/M": 1e-6}


@dataclass(frozen=True, slots=True)
class Budget:
    """Mean cost of an answer.

    Attributes:
        text: as it was written.
        amount: in `unit`.
        unit: "s", "J" or "$".
    """

    text: str
    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read what a person wrote.

        Raises:
            InputError: it is no budget.
        """
        found = _FORM.fullmatch(text)
        amount = float(found[1]) * _SCALE[found[2]] if found else 0.0
        if found is None or not 0 < amount < math.inf:
            raise InputError(
                f"{text!r} is no budget; write the mean cost of an answer as 0.5ms, 2mJ or 0.1$/M "
                "(dollars a million answers)."
            )
        unit = found[2][-1] if "$" not in found[2] else "$"
        return cls(text.strip(), amount, unit)

    def as_cpu_seconds(self, power: Power) -> CpuSeconds:
        """How long a core may work for it."""
        if self.unit == "s":
            return CpuSeconds(self.amount)
        joules = self.amount
        if self.unit == "$":
            joules = self.amount / power.dollars_per_kwh * JOULES_PER_KWH
        return CpuSeconds(joules / power.watts)
