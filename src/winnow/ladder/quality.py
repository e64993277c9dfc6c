"""Answers of a cheaper graph beside those of the baseline -> what it is still worth.

Three things are told apart: how far the numbers moved, whether mail is still told apart (needs
labels), and how sure that is (a loss of a tenth of a point is not seen on a hundred messages).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.accounting import Quality
from winnow.ladder.measure import Feeds, Values
from winnow.training.metrics import FLAG, Scored, summarize

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

WORTH = ("accuracy_percent", "one_minus_roca_percent", "ece_percent")
_Z = 1.959964  # of 95%
NO_MAIL = "needs labelled mail: --mail CORPUS"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that says how far it is to be believed.

    Attributes:
        value: None where it is missing.
        quality: measured, estimated or missing.
        note: how, or why not; "" where there is nothing to say.
        low, high: its 95% interval; None where there is none.
    """

    value: float | None
    quality: Quality = Quality.MEASURED
    note: str = ""
    low: float | None = None
    high: float | None = None


def missing(note: str) -> Figure:
    """A figure that nobody has."""
    return Figure(None, Quality.MISSING, note)


@dataclass(frozen=True, slots=True)
class Held:
    """Messages to compare answers on.

    Attributes:
        feeds: inputs of the graph, one message each, at their exact length.
        about: in words.
        labels: (n,) True for spam; None where nothing says.
        served: the reader's log-odds, (n,) -> those of the whole model, (n,), which asks the
            reader only where it is not sure without; None where there is nothing but the graph.
        handed_over_percent: of the messages, answered by the reader.
    """

    feeds: tuple[Feeds, ...]
    about: str
    labels: Flags | None = None
    served: Callable[[F64], F64] | None = None
    handed_over_percent: float | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens of each message."""
        return np.array([next(iter(feeds.values())).shape[-1] for feeds in self.feeds])


@dataclass(frozen=True, slots=True)
class Answers:
    """What one graph says of the held-out messages.

    Attributes:
        log_odds: (n,) of spam; None where the outputs are no answer of two classes.
        outputs: of each message, as they are.
    """

    log_odds: F64 | None
    outputs: Sequence[Values]


def answers_of(outputs: Sequence[Values]) -> Answers:
    """Read log-odds of the first output: one number, or the logits of ham and of spam."""
    first = [np.asarray(values[0], dtype=np.float64).reshape(-1) for values in outputs]
    sizes = {len(values) for values in first}
    if sizes == {1}:
        return Answers(np.array([values[0] for values in first]), outputs)
    if sizes == {2} and all(values[0].ndim == 2 for values in outputs):
        return Answers(np.array([values[1] - values[0] for values in first]), outputs)
    return Answers(None, outputs)


def errors_of(answers: Answers, baseline: Answers, about: str) -> dict[str, Figure]:
    """How far the answers moved: largest and mean difference of log-odds, or of any output."""
    ours, theirs = answers.log_odds, baseline.log_odds
    if ours is not None and theirs is not None:
        apart, what = np.abs(ours - theirs), "of log-odds"
    else:
        pairs = zip(answers.outputs, baseline.outputs, strict=True)
        apart = np.array([_apart(one[0], other[0]) for one, other in pairs])
        what = "of the first output, which is no answer of two classes"
    note = f"{what}, on {about}"
    if not len(apart) or not np.isfinite(apart).all():
        why = missing(f"an answer is no number, on {about}" if len(apart) else "nothing was asked")
        return {"max_abs_error": why, "mean_abs_error": why}
    return {
        "max_abs_error": Figure(float(apart.max()), note=note),
        "mean_abs_error": Figure(float(apart.mean()), note=note),
    }


def worth_of(log_odds: F64 | None, held: Held, *, alone: bool = False) -> dict[str, Figure]:
    """Accuracy, ranking and calibration of a model with this reader, on labelled mail.

    Args:
        log_odds: (n,) the reader's; None where it has none.
        held: the messages.
        alone: of the reader's own answer, not of the model's as served.
    """
    if held.labels is None:
        return dict.fromkeys(WORTH, missing(NO_MAIL))
    if log_odds is None or not np.isfinite(log_odds).all():
        return dict.fromkeys(WORTH, missing("the graph gives no answer of two classes"))
    scored = scored_of(log_odds, held, alone=alone)
    found = summarize(scored, corpus=held.about, protocol="ladder", view="")
    return {name: _of_summary(found, name, held.about) for name in WORTH}


def scored_of(log_odds: F64, held: Held, *, alone: bool = False) -> Scored:
    """Probabilities of a model with this reader, beside the labels.

    Raises:
        ValueError: there are no labels.
    """
    if held.labels is None:
        raise ValueError("no labels")
    served = log_odds if alone or held.served is None else held.served(log_odds)
    probability = 1 / (1 + np.exp(-np.clip(served, -500, 500)))
    return Scored(probability, held.labels, tuple(map(str, range(len(probability)))))


def accuracy_loss(scored: Scored, baseline: Scored) -> Figure:
    """Points of accuracy that were lost, with an interval for pairs of answers.

    Of n messages b were right before and are wrong now, c the other way; the loss is (b - c) / n.
    The interval is Wald's with half a message added to each of the four counts (Agresti and Min
    2005, "Simple improved confidence intervals for comparing matched proportions"): it does not
    shrink to nothing where no answer changed.
    """
    before = (baseline.probability >= FLAG) == baseline.label
    after = (scored.probability >= FLAG) == scored.label
    n = before.size
    if not n:
        return missing("no messages")
    lost, won = int((before & ~after).sum()), int((~before & after).sum())
    centre = (lost - won) / (n + 2)
    deviation = math.sqrt(lost + won + 1 - (lost - won) ** 2 / (n + 2)) / (n + 2)
    return Figure(
        100 * (lost - won) / n,
        note=f"{lost:,} of {n:,} messages wrong that were right, {won:,} the other way",
        low=100 * (centre - _Z * deviation),
        high=100 * (centre + _Z * deviation),
    )


def _of_summary(found: dict[str, float | None], name: str, about: str) -> Figure:
    value = found[name]
    if value is None:
        return missing(f"not defined on {about}: mail of one class only")
    return Figure(value, note=f"on {about}", low=found[f"{name}_low"], high=found[f"{name}_high"])


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if one.shape != other.shape:
        return math.nan
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0.0))
