"""The reflex: four logistic experts over hashed evidence, and a combiner that weighs them.

Each expert reads one kind of evidence and is a logistic regression of its own:

    score_e = bias_e + sum(weights_e[h >> (32 - bits_e)] for h in hashes) / sqrt(len(hashes))

with 2**bits_e weights, so that a hash is looked up by its highest bits. The division gives every
message the same length, so that a long message is not surer than a short one. The experts are
trained apart: trained together, the strongest kind of evidence at home explains the others away,
and away from home nothing is left (measured, docs/decisions/0006). The combiner is fitted on mail
that the experts never saw:

    log-odds = intercept + sum(gain_e * score_e)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Evidence, Hashes

F32 = NDArray[np.float32]
Scores = tuple[float, float, float, float]

EXPERTS = ("words", "grams", "traits", "stream")
# Weights of each expert, as powers of two: 12.6 MB in all. The 24,000 messages that the shipped
# model is trained on hold two million words and pairs, of which it learns those that two sources
# have; among a million weights these rarely meet.
BITS = (20, 20, 16, 20)


@dataclass(frozen=True, slots=True)
class Combiner:
    """How the experts' scores become one calibrated log-odds.

    Attributes:
        gains: one factor per expert, in the order of EXPERTS, none below 0.
        intercept: log-odds when every expert is silent.
    """

    gains: tuple[float, float, float, float]
    intercept: float

    def log_odds(self, scores: Sequence[float]) -> float:
        """Combine the scores of EXPERTS."""
        return self.intercept + sum(g * s for g, s in zip(self.gains, scores, strict=True))


@dataclass(frozen=True, slots=True)
class Step:
    """One online correction: what is added to every weight of each expert that a message has.

    Steps are additive and so commute: weights are the trained ones plus the sum of all steps.

    Attributes:
        amounts: addition per weight, in the order of EXPERTS.
        intercept: addition to the combiner's intercept.
    """

    amounts: tuple[float, float, float, float]
    intercept: float

    def __neg__(self) -> Step:
        """The step that takes this one back."""
        a, b, c, d = self.amounts
        return Step((-a, -b, -c, -d), -self.intercept)

    def to_bytes(self) -> bytes:
        """Five little-endian float32; values that these cannot hold are an OverflowError."""
        return struct.pack("<5f", *self.amounts, self.intercept)

    @classmethod
    def from_bytes(cls, data: bytes) -> Step:
        """Inverse of `to_bytes`; raises ValueError on anything else."""
        try:
            a, b, c, d, intercept = struct.unpack("<5f", data)
        except struct.error as error:
            raise ValueError(f"a step is 20 bytes, not {len(data)}") from error
        if not all(map(math.isfinite, (a, b, c, d, intercept))):
            raise ValueError("a step holds a value that is no number")
        return cls((a, b, c, d), intercept)


NO_STEP = Step((0.0, 0.0, 0.0, 0.0), 0.0)


def sigmoid(log_odds: float) -> float:
    """Probability of log-odds, without overflow."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    power = math.exp(log_odds)
    return power / (1.0 + power)


# Each expert's own learning rate, in the order of EXPERTS: how far one surprising message moves
# its score. 1.0 would move the score of the message itself by its error. Evidence that is rarely
# repeated (raw bytes) takes large steps, the few traits that every message shares small ones;
# chosen on the online protocol (`python -m bench online`), where a factor of two either way
# changes little.
ONLINE_RATES = (10.0, 10.0, 2.0, 20.0)
INTERCEPT_RATE = 0.05
# A person's correction puts its message on the right side by this much log-odds, 0.91 or 0.09, so
# that what was called spam is junk when it comes again; but it never moves the answer by more than
# LARGEST_MOVE: one voice must not rewrite the model. Where less would do it takes LEAST_STEP of the
# plain step: people correct what is wrong only, and a whole step then carries too far. Of 2,000 ham
# of a left-out corpus, corrected wherever wrong, 0.09% got 0.90 or more with it, 0.52% with 1.
MARGIN = 2.3
LEAST_STEP = 0.5
LARGEST_MOVE = 14.0


class Reflex:
    """Weights in use. `log_odds` may run in several threads while `apply` runs in one of them.

    Attributes:
        weights: one vector per expert, in the order of EXPERTS, (2**bits,) each.
        biases: one per expert.
        combiner: how scores become log-odds.
    """

    def __init__(
        self, weights: Sequence[F32], biases: tuple[float, ...], combiner: Combiner
    ) -> None:
        self.weights = tuple(weights)
        self._stream_learnt = bool(self.weights[3].any())
        self.biases = biases
        self.combiner = combiner

    @classmethod
    def blank(cls, bits: Sequence[int] = BITS) -> Reflex:
        """A reflex that has learnt nothing and answers 0.5."""
        weights = [np.zeros(1 << b, dtype=np.float32) for b in bits]
        return cls(weights, (0.0,) * len(EXPERTS), Combiner((1.0, 1.0, 1.0, 1.0), 0.0))

    @property
    def hears_stream(self) -> bool:
        """Whether raw bytes can move an answer: their expert has learnt something."""
        return self._stream_learnt and self.combiner.gains[3] > 0

    def weights_of(self, expert: str, hashes: Hashes) -> F32:
        """What one expert holds for hashes, (n,) -> (n,)."""
        weights = self.weights[EXPERTS.index(expert)]
        found: F32 = weights[places(hashes, weights)]
        return found

    def scores(self, evidence: Evidence) -> Scores:
        """Score of each expert, in the order of EXPERTS; an expert without evidence says 0."""
        (w, g, t, s), (a, b, c, d) = self.weights, self.biases
        return (
            _score(w, evidence.words, a),
            _score(g, evidence.grams, b),
            _score(t, evidence.traits, c),
            _score(s, evidence.stream, d),
        )

    def rescored(self, evidence: Evidence, scores: Scores, before: Evidence) -> Scores:
        """Scores of evidence that shares some of its arrays with evidence whose scores are known.

        Args:
            evidence: to score; only arrays that are others than those of `before` are looked at.
            scores: of `before`.
            before: the evidence that `evidence` was made from.
        """
        a, b, c, d = (
            score if new is old else _score(weights, new, bias)
            for score, old, new, weights, bias in zip(
                scores, before.kinds, evidence.kinds, self.weights, self.biases, strict=True
            )
        )
        return a, b, c, d

    def log_odds(self, evidence: Evidence) -> float:
        """Calibrated log-odds of spam."""
        return self.combiner.log_odds(self.scores(evidence))

    def probability(self, evidence: Evidence) -> float:
        """Calibrated probability of spam, in 0..1."""
        return sigmoid(self.log_odds(evidence))

    def step_for(
        self,
        evidence: Evidence,
        *,
        spam: bool,
        insist: bool = True,
        taken_back: tuple[Evidence, Step] | None = None,
        then: Callable[[float, Step], float] | None = None,
    ) -> Step:
        """Compute the correction that a label calls for; changes nothing.

        Each expert takes its own gradient step on the logistic loss.

        Args:
            evidence: the message.
            spam: its true class.
            insist: a person's correction of a wrong answer, which this message's next answer
                follows; without it, a plain gradient step (a stream of labelled mail).
            taken_back: an earlier correction that is taken back at the same time, with the
                evidence it was made for; another copy of a message has other headers.
            then: where another stage has its say, what becomes of the reflex's log-odds for the
                message once a step is taken: given both.
        """
        target = 1.0 if spam else 0.0
        arrays = evidence.kinds
        scores: Sequence[float] = self.scores(evidence)
        combined = self.combiner.log_odds(scores)
        if taken_back is not None:
            scores = _scores_without(scores, arrays, *taken_back)
            combined = self.combiner.log_odds(scores) - taken_back[1].intercept
        errors = [
            target - sigmoid(score) if len(a) else 0.0
            for score, a in zip(scores, arrays, strict=True)
        ]
        shift = INTERCEPT_RATE * (target - sigmoid(combined))
        gains = self.combiner.gains
        pulls = [rate * error for rate, error in zip(ONLINE_RATES, errors, strict=True)]
        moved = sum(g * p for g, p in zip(gains, pulls, strict=True))

        def times(factor: float) -> Step:
            # An expert that is not heard learns, but has no part in what is missing.
            w, g, t, s = (
                (factor if gain else 1.0) * pull / math.sqrt(max(1, len(a)))
                for gain, pull, a in zip(gains, pulls, arrays, strict=True)
            )
            return Step((w, g, t, s), shift)

        if not insist:
            return times(1.0)
        side = 1.0 if spam else -1.0
        before = combined + shift

        def reached(factor: float) -> float:
            first = before + factor * moved
            return side * (first if then is None else then(first, times(factor)))

        return times(_insistence(side * before, side * moved, reached))

    def apply(self, evidence: Evidence, step: Step) -> None:
        """Add a step to the weights; one that two hashes of a message share is moved once."""
        for weights, hashes, amount in zip(self.weights, evidence.kinds, step.amounts, strict=True):
            weights[places(hashes, weights)] += np.float32(amount)
        self._stream_learnt = self._stream_learnt or step.amounts[3] != 0
        c = self.combiner
        self.combiner = Combiner(c.gains, c.intercept + step.intercept)


def places(hashes: Hashes, weights: F32) -> Hashes:
    """Where hashes are found in a vector of 2**bits weights: by their highest bits."""
    return hashes >> np.uint32(33 - len(weights).bit_length())


def _scores_without(
    scores: Sequence[float], arrays: Sequence[Hashes], before: Evidence, step: Step
) -> list[float]:
    """What the scores of a message would be without a step that was made for some evidence."""
    left = []
    for score, mine, theirs, amount in zip(scores, arrays, before.kinds, step.amounts, strict=True):
        shared = len(np.intersect1d(mine, theirs, assume_unique=True))
        left.append(score - amount * shared / math.sqrt(max(1, len(mine))))
    return left


def _score(weights: F32, hashes: Hashes, bias: float) -> float:
    if len(hashes) == 0:
        return 0.0
    found = weights.take(places(hashes, weights))
    return bias + float(found.sum()) / math.sqrt(len(hashes))


def _insistence(before: float, moved: float, reached: Callable[[float], float]) -> float:
    """How many times the plain step is taken, so that the margin and no more is reached.

    Where another stage has its say, both the reflex's answer and what becomes of it reach it.

    Args:
        before: the reflex's log-odds towards the wanted side.
        moved: what one step adds to them.
        reached: the answer towards the wanted side after so many steps.
    """
    if moved <= 1e-6:
        return 1.0
    most = LARGEST_MOVE / moved
    factor = min(max(LEAST_STEP, (MARGIN - before) / moved), most)
    found, best = reached(factor), factor
    nearest = found
    while found < MARGIN - 1e-9 and factor < most:
        factor = min(most, factor + max(0.1, MARGIN - found) / moved)
        found = reached(factor)
        if found > nearest:
            nearest, best = found, factor
    return best
