"""When the reflex hands over to the reader, and how two answers become one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Numbers = TypeVar("_Numbers", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Cascade:
    """The reflex answers alone where its log-odds are at or beyond a bound, else both answer.

        log-odds = intercept + reflex * (the reflex's log-odds) + reader * (the reader's)

    Attributes:
        reflex: gain of the reflex's log-odds, above 0.
        reader: gain of the reader's, 0 or above.
        intercept: log-odds when both are at 0.
        low: at or below it the reflex answers alone: ham.
        high: at or above it the reflex answers alone: spam.
    """

    reflex: float
    reader: float
    intercept: float
    low: float
    high: float

    def is_sure(self, reflex: float) -> bool:
        """Whether the reflex's log-odds stand without asking the reader."""
        return not self.low < reflex < self.high

    def log_odds(self, reflex: _Numbers, reader: _Numbers) -> _Numbers:
        """Combine both answers, of one message or of many."""
        return self.intercept + self.reflex * reflex + self.reader * reader

    def to_json(self) -> dict[str, float]:
        """As calibration.json keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: Any) -> Cascade:
        """Inverse of `to_json`; raises ValueError on anything else."""
        try:
            numbers = [float(value[name]) for name in cls.__slots__]
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise ValueError("no cascade") from error
        found = cls(*numbers)
        if not all(map(math.isfinite, numbers)) or found.reflex <= 0 or found.reader < 0:
            raise ValueError("a cascade out of range")
        return found
