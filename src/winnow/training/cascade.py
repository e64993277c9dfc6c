"""Both stages' answers for held-out mail, and what they cost -> when the reflex hands over.

Which messages are handed over is a band of the reflex's log-odds, and those below it whose opening
stands out. For every band its mean cost and its errors on held-out mail are known exactly, so that
the best band for a budget is looked up, not searched for; the best of each cost are the frontier.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winnow.runtime import EVERYTHING, Cascade, Opening, stands_out
from winnow.training.combiner import JUNK_LOG_ODDS, humility, logistic

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Pull of the intercept towards 0: both stages are calibrated, and where held-out mail is nearly
# separable, as in one small corpus, nothing else would hold it.
STEADY = 1.0
_EDGES = 60  # candidates for each bound of the band
# Junked ham is looked for by nobody, flagged ham is looked at: it counts as so many errors more.
JUNKED_HAM = 4.0
# Humility: of a source that no stage has seen at most this part of the ham may be junked, if it
# holds enough ham to tell.
HAM_LOST = 0.008

OPENING_WORDS = 60
# How often a message with innocent text below it counts beside the message as it came, spam and ham
# (padded spam is rare in labelled mail, and a user's spam may be nothing else).
PADDED = (1.0, 0.15)
# Ham as it came, and padded spam, whose opening must stand out before anything is made of openings:
# with a dozen of each, as in a part of one small corpus, ham of its own kind was called spam.
FEWEST_OPENINGS = 100


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Answers of both stages for mail that neither has seen.

    Attributes:
        reflex: (n,) log-odds.
        reader: (n,) log-odds.
        spam: (n,) labels.
        weights: (n,) how much each message counts, mean 1.
        reflex_seconds: mean CPU time of the first stage, parsing and features among it.
        reader_seconds: (n,) CPU time of the second.
        opening: (n,) the reflex's log-odds for the opening; as for the whole message where it is no
            longer. None is no openings.
        padded: (n,) the reflex's log-odds with innocent text below; None when not asked.
        padded_opening: (n,) those for the opening then.
    """

    reflex: F64
    reader: F64
    spam: Flags
    weights: F64
    reflex_seconds: float
    reader_seconds: F64
    opening: F64 | None = None
    padded: F64 | None = None
    padded_opening: F64 | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One band and what it does.

    Attributes:
        low, high: the band.
        handed_over_percent: of the messages.
        seconds: mean of an answer, both stages.
        errors_percent: messages on the wrong side of 0.50.
        junked_ham_percent: of the ham, given 0.90 or more.
        loss: mean logistic loss, in nats.
    """

    low: float
    high: float
    handed_over_percent: float
    seconds: float
    errors_percent: float
    junked_ham_percent: float
    loss: float


def combine_stages(
    held: HeldOut, *, before: Cascade | None = None, least_reflex: float = 0.1
) -> Cascade:
    """Fit how both answers become one, with everything handed over.

    Args:
        held: answers for mail that neither stage has seen.
        before: what to stay close to where there is little mail; None is the reflex alone.
        least_reflex: gain of the reflex that is kept at least, so that corrections are heard.
    """
    scores = np.stack([held.reflex, held.reader], axis=1)
    target = held.spam.astype(np.float64)
    near = np.array([1.0, 0.0] if before is None else [before.reflex, before.reader])
    gains, intercept = logistic(scores, target, held.weights, near, intercept_prior=STEADY)
    if gains[1] < 0:
        gains, intercept = np.array([1.0, 0.0]), 0.0
    if gains[0] < least_reflex:  # what answers then is the reader
        rest, intercept = logistic(
            scores[:, 1:],
            target,
            held.weights,
            np.ones(1) if before is None else near[1:],
            offset=least_reflex * held.reflex,
            intercept_prior=STEADY,
        )
        gains = np.array([least_reflex, max(0.0, float(rest[0]))])
    return Cascade(float(gains[0]), float(gains[1]), intercept, -EVERYTHING, EVERYTHING)


def fit_opening(held: HeldOut) -> Opening | None:
    """Fit what is made of an opening that stands out, on mail as it came and padded.

    The reader's answer for padded mail is taken to be that for the mail as it came: most of what is
    added lies beyond what it reads.

    Returns:
        None where there are too few such messages to tell, or they say the opposite.
    """
    if held.opening is None or held.padded is None or held.padded_opening is None:
        return None
    share = np.where(held.spam, *PADDED)
    parts = [
        (held.reflex, held.opening, held.weights),
        (held.padded, held.padded_opening, held.weights * share),
    ]
    scores, weights, spam = [], [], []
    for whole, opening, weight in parts:
        out = stands_out(whole, opening)
        scores.append(np.stack([whole, opening, held.reader], axis=1)[out])
        weights.append(weight[out])
        spam.append(held.spam[out])
    if min((~spam[0]).sum(), spam[1].sum()) < FEWEST_OPENINGS:
        return None
    labels = np.concatenate(spam)
    gains, intercept = logistic(
        np.concatenate(scores),
        labels.astype(np.float64),
        np.concatenate(weights),
        np.full(3, 1 / 3),
    )
    if gains[1:].min() < 0:
        return None
    of_whole, of_opening, of_reader = gains.tolist()
    return Opening(OPENING_WORDS, of_whole, of_opening, of_reader, intercept)


def humble(cascade: Cascade, held: HeldOut, sources: NDArray[np.int64]) -> Cascade:
    """Scale a cascade down until of no source more than HAM_LOST of the ham gets 0.90.

    Args:
        cascade: fitted on the same mail.
        held: answers for mail of sources that neither stage has seen.
        sources: (n,) of the messages.
    """
    both = cascade.log_odds(held.reflex, held.reader)
    factor = humility(both, held.spam, sources, HAM_LOST)
    return replace(
        cascade,
        reflex=factor * cascade.reflex,
        reader=factor * cascade.reader,
        intercept=factor * cascade.intercept,
    )


def frontier(held: HeldOut, cascade: Cascade) -> list[Point]:
    """The bands that nothing cheaper beats, from the cheapest (none handed over) on."""
    points = _bands(held, cascade)
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.seconds, _badness(p, held))):
        if not best or _badness(point, held) < _badness(best[-1], held):
            best.append(point)
    return best


def within(points: list[Point], seconds: float) -> Point:
    """The best band whose mean cost is within a budget; the cheapest where none is."""
    affordable = [point for point in points if point.seconds <= seconds]
    return affordable[-1] if affordable else points[0]


def with_band(cascade: Cascade, point: Point) -> Cascade:
    """The cascade with the band of a point."""
    return replace(cascade, low=point.low, high=point.high)


def _badness(point: Point, held: HeldOut) -> tuple[float, float]:
    """Errors, junked ham more than once; of equal ones the better calibrated."""
    ham = float((held.weights * ~held.spam).sum() / held.weights.sum())
    junked = JUNKED_HAM * ham * point.junked_ham_percent
    return round(point.errors_percent + junked, 6), point.loss


def _bands(held: HeldOut, cascade: Cascade) -> list[Point]:
    order = np.argsort(held.reflex, kind="stable")
    first, spam, weights = held.reflex[order], held.spam[order], held.weights[order]
    opening = first if held.opening is None else held.opening[order]
    both = cascade.log_odds(first, held.reader[order], opening)
    alone = _counted(first, spam, weights, np.zeros(len(first)), 0.0)
    read = _counted(both, spam, weights, held.reader_seconds[order], 1.0)
    running = np.concatenate([np.zeros((1, 5)), np.cumsum(read - alone, axis=0)])
    out = stands_out(first, opening) & (cascade.opening is not None)
    edges = np.unique(np.linspace(0, len(first), _EDGES + 1).astype(int))
    edges = np.unique([*np.searchsorted(first, first[edges[:-1]]), len(first)])  # equals together
    total, ham = float(weights.sum()), float(weights[~spam].sum())
    points = []
    for start in edges.tolist():
        low = _edge(first, start)
        below = np.flatnonzero(out[:start] & (opening[:start] > low))
        kept = alone.sum(axis=0) + (read[below] - alone[below]).sum(axis=0)
        for end in edges[edges >= start].tolist():
            if start == end and start:
                continue
            sums = (kept + running[end] - running[start]).tolist()
            points.append(
                Point(
                    low=low,
                    high=_edge(first, end),
                    handed_over_percent=100 * sums[4] / total,
                    seconds=held.reflex_seconds + sums[3] / total,
                    errors_percent=100 * sums[0] / total,
                    junked_ham_percent=100 * sums[1] / max(ham, 1e-9),
                    loss=sums[2] / total,
                )
            )
    return points


def _counted(log_odds: F64, spam: Flags, weights: F64, seconds: F64, handed_over: float) -> F64:
    """Weighted errors, junked ham, loss, time of the reader and handings over, (n, 5)."""
    wrong = (log_odds >= 0) != spam
    junked = (log_odds >= JUNK_LOG_ODDS) & ~spam
    loss = np.logaddexp(0.0, np.where(spam, -log_odds, log_odds))
    asked = np.full(len(spam), handed_over)
    return np.stack([wrong, junked, loss, seconds, asked], axis=1) * weights[:, None]


def _edge(sorted_log_odds: F64, index: int) -> float:
    """A bound between the messages before a place and those from it on."""
    if index == 0:
        return -EVERYTHING
    if index == len(sorted_log_odds):
        return EVERYTHING
    return float((sorted_log_odds[index - 1] + sorted_log_odds[index]) / 2)
