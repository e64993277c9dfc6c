"""The reflex: four logistic experts over hashed evidence, and a combiner that weighs them.

Each expert reads one kind of evidence and is a logistic regression of its own:

    score_e = bias_e + sum(weights_e[b] for b in buckets) / sqrt(len(buckets))

The division gives every message the same length, so that a long message is not surer than a
short one. The experts are trained apart: trained together, the strongest kind of evidence at home
explains the others away, and away from home nothing is left (measured, docs/decisions/0006). The
combiner is fitted on mail that the experts never saw:

    log-odds = intercept + sum(gain_e * score_e)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Buckets, Evidence

F32 = NDArray[np.float32]

EXPERTS = ("words", "grams", "traits", "stream")


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
    """One online correction: what is added to every present bucket of each expert.

    Steps are additive and so commute: weights are the trained ones plus the sum of all steps.

    Attributes:
        amounts: addition per bucket, in the order of EXPERTS.
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


# An expert's own learning rate: how far one surprising message moves its score. 1.0 would move
# the score of the message itself by its error; chosen on the online protocol (make bench).
ONLINE_RATE = 4.0
INTERCEPT_RATE = 0.05
# A correction is repeated until its message is answered on the right side by this much log-odds,
# but never moves the answer by more than LARGEST_MOVE: one voice must not rewrite the model.
MARGIN = 1.0
LARGEST_MOVE = 14.0


class Reflex:
    """Weights in use. `log_odds` may run in several threads while `apply` runs in one of them.

    Attributes:
        content: (content_buckets,) weights of words, grams and traits, in rooms of their own.
        stream: (stream_buckets,) weights of the raw byte n-grams.
        biases: one per expert.
        combiner: how scores become log-odds.
    """

    def __init__(
        self, content: F32, stream: F32, biases: tuple[float, ...], combiner: Combiner
    ) -> None:
        self.content = content
        self.stream = stream
        self.biases = biases
        self.combiner = combiner

    @classmethod
    def blank(cls, content_buckets: int, stream_buckets: int) -> Reflex:
        """A reflex that has learnt nothing and answers 0.5."""
        content = np.zeros(content_buckets, dtype=np.float32)
        stream = np.zeros(stream_buckets, dtype=np.float32)
        return cls(content, stream, (0.0,) * 4, Combiner((1.0, 1.0, 1.0, 1.0), 0.0))

    def scores(self, evidence: Evidence) -> tuple[float, float, float, float]:
        """Score of each expert, in the order of EXPERTS; an expert without evidence says 0."""
        b = self.biases
        return (
            _score(self.content, evidence.words, b[0]),
            _score(self.content, evidence.grams, b[1]),
            _score(self.content, evidence.traits, b[2]),
            _score(self.stream, evidence.stream, b[3]),
        )

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
    ) -> Step:
        """Compute the correction that a label calls for; changes nothing.

        Each expert takes its own gradient step on the logistic loss.

        Args:
            evidence: the message.
            spam: its true class.
            insist: enlarge the step until this message is answered rightly (a person's
                correction); without it, a plain gradient step (a stream of labelled mail).
            taken_back: an earlier correction that is taken back at the same time, with the
                evidence it was made for; another copy of a message has other headers.
        """
        target = 1.0 if spam else 0.0
        arrays = _arrays(evidence)
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
        moved = ONLINE_RATE * sum(g * e for g, e in zip(gains, errors, strict=True))
        factor = _insistence(combined + shift, moved, spam) if insist else 1.0
        # An expert that is not heard learns, but has no part in what is missing.
        w, g, t, s = (
            (factor if gain else 1.0) * ONLINE_RATE * error / math.sqrt(max(1, len(a)))
            for gain, error, a in zip(gains, errors, arrays, strict=True)
        )
        return Step((w, g, t, s), shift)

    def apply(self, evidence: Evidence, step: Step) -> None:
        """Add a step to the weights.

        Raises:
            ValueError: the evidence is of other spaces than the weights; nothing was added.
        """
        for weights, buckets in zip(self._spaces(), _arrays(evidence), strict=True):
            if len(buckets) and int(buckets.max()) >= len(weights):
                raise ValueError("evidence of another space")
        words, grams, traits, stream = step.amounts
        self.content[evidence.words] += np.float32(words)
        self.content[evidence.grams] += np.float32(grams)
        self.content[evidence.traits] += np.float32(traits)
        self.stream[evidence.stream] += np.float32(stream)
        c = self.combiner
        self.combiner = Combiner(c.gains, c.intercept + step.intercept)

    def _spaces(self) -> tuple[F32, F32, F32, F32]:
        return self.content, self.content, self.content, self.stream


def _arrays(evidence: Evidence) -> tuple[Buckets, Buckets, Buckets, Buckets]:
    return evidence.words, evidence.grams, evidence.traits, evidence.stream


def _scores_without(
    scores: Sequence[float], arrays: Sequence[Buckets], before: Evidence, step: Step
) -> list[float]:
    """What the scores of a message would be without a step that was made for some evidence."""
    left = []
    for score, mine, theirs, amount in zip(
        scores, arrays, _arrays(before), step.amounts, strict=True
    ):
        shared = len(np.intersect1d(mine, theirs, assume_unique=True))
        left.append(score - amount * shared / math.sqrt(max(1, len(mine))))
    return left


def _score(weights: F32, buckets: Buckets, bias: float) -> float:
    if len(buckets) == 0:
        return 0.0
    return bias + float(weights[buckets].sum()) / math.sqrt(len(buckets))


def _insistence(log_odds: float, moved: float, spam: bool) -> float:
    """How many times the plain step must be taken, between 1 and the largest move."""
    side = 1.0 if spam else -1.0
    if moved * side <= 1e-6:
        return 1.0
    missing = MARGIN - side * log_odds
    factor = max(1.0, missing / (moved * side))
    return min(factor, max(1.0, LARGEST_MOVE / (moved * side)))
