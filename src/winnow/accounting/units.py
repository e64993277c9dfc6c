"""Units as types: joules and dollars do not add up, seconds are of a processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

JOULES_PER_KWH = 3_600_000


@dataclass(frozen=True, slots=True, order=True)
class _Quantity:
    """An amount of one unit; amounts of two units neither add up nor compare.

    Attributes:
        value: in the unit that the type is named after.
    """

    value: float

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.value + other.value)

    def __sub__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.value - other.value)

    def __mul__(self, factor: float) -> Self:
        if isinstance(factor, _Quantity):
            return NotImplemented
        return type(self)(self.value * factor)

    __rmul__ = __mul__


@dataclass(frozen=True, slots=True, order=True)
class CpuSeconds(_Quantity):
    """Time that one processor core worked."""


@dataclass(frozen=True, slots=True, order=True)
class Joules(_Quantity):
    """Energy."""

    @property
    def kwh(self) -> float:
        """The same in kilowatt-hours."""
        return self.value / JOULES_PER_KWH


@dataclass(frozen=True, slots=True, order=True)
class Dollars(_Quantity):
    """Money, in US dollars."""
