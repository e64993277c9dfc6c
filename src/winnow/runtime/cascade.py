"""When the reflex hands over to the reader, and how two answers become one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Numbers = TypeVar("_Numbers", float, NDArray[np.float64])

# An opening stands out when it gets this much more log-odds than the whole message; honest mail
# that begins like an advertisement has less (docs/decisions/0008).
STANDS_OUT = 4.0
# What an opening alone can do is to flag a message (below 0.88): junk needs the whole. Its log-odds
# come close to this bound smoothly, so that every word keeps its part in them.
OPENING_BELOW = 2.0


def stands_out(whole: Any, opening: Any) -> Any:
    """Whether an opening stands out, by the reflex's log-odds of one message or of many."""
    return opening - whole > STANDS_OUT


@dataclass(frozen=True, slots=True)
class Opening:
    """What is made of a message that begins like spam and goes on like ham, as padded spam does.

        x = intercept + whole * (the reflex's) + opening * (its of the opening alone)
            + reader * (the reader's)
        log-odds = x up to 0, 2 * tanh(x / 2) above 0

    Attributes:
        words: of the visible text that are its opening.
        whole: gain of the reflex's log-odds; below 0 where the contrast speaks for padding.
        opening: gain of those of the opening, 0 or above.
        reader: gain of the reader's, 0 or above.
        intercept: log-odds when all are at 0.
    """

    words: int
    whole: float
    opening: float
    reader: float
    intercept: float

    def log_odds(self, whole: _Numbers, opening: _Numbers, reader: _Numbers) -> _Numbers:
        """Combine the answers, of one message or of many."""
        gains = self.whole * whole + self.opening * opening + self.reader * reader
        sum_ = gains + self.intercept
        bounded = np.where(sum_ > 0, OPENING_BELOW * np.tanh(sum_ / OPENING_BELOW), sum_)
        return bounded if isinstance(sum_, np.ndarray) else float(bounded)


@dataclass(frozen=True, slots=True)
class Cascade:
    """The reflex answers alone where its log-odds are at or beyond a bound, else both answer.

        log-odds = intercept + reflex * (the reflex's log-odds) + reader * (the reader's)

    Innocent text below a message makes the reflex sure of ham. So the opening of a long message is
    answered for, too; where it stands out the reader is asked, and the message counts as what is
    worse, the whole or its opening.

    A reader that was imported answers alone until it is calibrated: nobody knows yet what its
    log-odds are worth beside the reflex's.

    Attributes:
        reflex: gain of the reflex's log-odds, above 0; 0 is not calibrated.
        reader: gain of the reader's, 0 or above.
        intercept: log-odds when both are at 0.
        low: at or below it the reflex answers alone, unless the opening stands out: ham.
        high: at or above it the reflex answers alone: spam.
        opening: what is made of an opening that stands out; None is nothing.
    """

    reflex: float
    reader: float
    intercept: float
    low: float
    high: float
    opening: Opening | None = None

    @property
    def is_calibrated(self) -> bool:
        """Whether it was fitted on mail; else the reader's log-odds are the answer as they are."""
        return self.reflex > 0

    def is_sure(self, reflex: float, opening: float | None = None) -> bool:
        """Whether the reflex's log-odds stand without asking the reader.

        Args:
            reflex: its log-odds for the whole message.
            opening: its log-odds for the opening, None where the message is no longer than that
                or nobody looked.
        """
        if self.low < reflex < self.high:
            return False
        return not (
            self.opening is not None
            and opening is not None
            and stands_out(reflex, opening)
            and reflex <= self.low < min(opening, self.high)
        )

    def log_odds(
        self, reflex: _Numbers, reader: _Numbers, opening: _Numbers | None = None
    ) -> _Numbers:
        """Combine the answers, of one message or of many.

        Args:
            reflex: the reflex's log-odds for the whole message.
            reader: the reader's.
            opening: the reflex's for the opening; the same as for the whole where the message is
                no longer than that.
        """
        both = self.intercept + self.reflex * reflex + self.reader * reader
        if self.opening is None or opening is None:
            return both
        alone = self.opening.log_odds(reflex, opening, reader)
        worse = np.where(stands_out(reflex, opening), np.maximum(both, alone), both)
        return worse if isinstance(both, np.ndarray) else float(worse)

    def spelt(self) -> str:
        """As a graph that gives the answer of a cascade names it; the same for the same numbers."""
        return json.dumps(self.to_json(), sort_keys=True)

    def to_json(self) -> dict[str, Any]:
        """As calibration.json keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Cascade:
        """Inverse of `to_json`; raises ValueError on anything else."""
        try:
            reflex, reader, intercept, low, high = _numbers(value, cls.__slots__[:5])
            opening = None if value.get("opening") is None else _opening(value["opening"])
            found = cls(reflex, reader, intercept, low, high, opening)
        except (TypeError, KeyError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError("no cascade") from error
        begins = found.opening
        counted = (found.reader, *(() if begins is None else (begins.opening, begins.reader)))
        if found.reflex < 0 or min(counted) < 0:
            raise ValueError("a cascade out of range")
        if not found.is_calibrated and found != NOT_CALIBRATED:
            raise ValueError("a cascade out of range")
        return found


EVERYTHING = 1e6  # a band that wide hands over every message
# Of a reader that was imported: it is asked for every message, and what it says stands.
NOT_CALIBRATED = Cascade(0.0, 1.0, 0.0, -EVERYTHING, EVERYTHING)


def _opening(value: Any) -> Opening:
    words, *gains = _numbers(value, Opening.__slots__)
    if not 1 <= words <= 10_000:
        raise ValueError("no opening")
    return Opening(int(words), *gains)


def _numbers(value: Any, names: Sequence[str]) -> list[float]:
    numbers = [float(value[name]) for name in names]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not finite")
    return numbers
