"""Measured recipes -> the one to take: least loss at a speed or size, or least cost at a loss.

Rows may lack a figure, and then they cannot be chosen by it: what was not measured is not taken for
good. When nothing fits, what came nearest is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from winnow.errors import InputError
from winnow.ladder.rung import Rung

SPEED, BYTES = "speed", "bytes"
_TIMES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*x\s*")
_POINTS = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:pp|points)\s*")
_MOST_TIMES, _MOST_POINTS = 1_000.0, 100.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the model.

    Attributes:
        of: what it shall be better at, SPEED or BYTES.
        times: at least so many times as fast or as small as the baseline; None where `points` is.
        points: of accuracy that may be lost; None where `times` is.
    """

    of: str
    times: float | None = None
    points: float | None = None

    @classmethod
    def parse(cls, of: str, target: str | None, max_loss: str | None) -> Wish:
        """Read what a person wrote.

        Args:
            of: SPEED or BYTES.
            target: as "4x", or None.
            max_loss: as "0.1pp", or None.

        Raises:
            InputError: neither, both, or not of that form.
        """
        if (target is None) == (max_loss is None):
            raise InputError("say one of --target 4x and --max-loss 0.1pp.")
        if target is not None:
            times = _number(_TIMES, target)
            if times is None or not 1 < times <= _MOST_TIMES:
                raise InputError(
                    f"--target {target!r}: write how many times as fast or as small, as 4x; "
                    "more than 1x."
                )
            return cls(of, times=times)
        points = _number(_POINTS, max_loss or "")
        if points is None or points > _MOST_POINTS:
            raise InputError(
                f"--max-loss {max_loss!r}: write points of accuracy, as 0.1pp; 0pp is none."
            )
        return cls(of, points=points)

    @property
    def text(self) -> str:
        """In words, to follow "no recipe is"."""
        if self.times is not None:
            return f"{self.times:g} times as {'fast' if self.of == SPEED else 'small'}"
        return f"within {self.points:g} points of accuracy"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        rung: the row; None where nothing fits.
        nearest: what came nearest where nothing fits; None where nothing could be compared.
    """

    rung: Rung | None
    nearest: Rung | None = None


def gain_of(rung: Rung, baseline: Rung, of: str) -> float | None:
    """How many times as fast or as small as the baseline; None where that is not known."""
    if rung.refused:
        return None
    if of == SPEED:
        return rung.value("times_faster")
    ours, theirs = rung.value("bytes"), baseline.value("bytes")
    return theirs / ours if ours and theirs else None


def loss_of(rung: Rung) -> tuple[float, float]:
    """Points of accuracy lost, then the mean difference of log-odds, which parts equals.

    Without labels the first is not known of any row, and the second alone decides.
    """
    points, apart = rung.value("accuracy_loss_points"), rung.value("mean_abs_error")
    return (0.0 if points is None else points), (math.inf if apart is None else apart)


def choose(rungs: Sequence[Rung], wish: Wish) -> Choice:
    """Choose among recipes.

    Args:
        rungs: the first is the baseline, which cannot be chosen.
        wish: what is asked; what is no better than the baseline is never an answer.

    Raises:
        InputError: a loss of accuracy is to be bounded, and nothing tells accuracy.
    """
    baseline, *recipes = rungs
    gains = {rung.name: gain_of(rung, baseline, wish.of) for rung in recipes}
    known = [rung for rung in recipes if gains[rung.name] is not None]
    if wish.times is not None:
        fast = [rung for rung in known if (gains[rung.name] or 0.0) >= wish.times]
        if fast:
            return Choice(min(fast, key=lambda rung: (loss_of(rung), -(gains[rung.name] or 0.0))))
        return Choice(None, max(known, key=lambda rung: gains[rung.name] or 0.0, default=None))
    if baseline.value("accuracy_loss_points") is None:
        raise InputError(
            "--max-loss is measured on labelled mail that the model has not seen; name it with "
            "--mail CORPUS."
        )
    told = [
        rung
        for rung in known
        if rung.value("accuracy_loss_points") is not None and (gains[rung.name] or 0.0) > 1
    ]
    good = [rung for rung in told if loss_of(rung)[0] <= (wish.points or 0.0)]
    if good:
        return Choice(max(good, key=lambda rung: (gains[rung.name] or 0.0, -loss_of(rung)[1])))
    return Choice(None, min(told, key=loss_of, default=None))


def _number(form: re.Pattern[str], text: str) -> float | None:
    found = form.fullmatch(text)
    return float(found[1]) if found else None
