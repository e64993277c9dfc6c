"""Why an answer: the words, links and traits without which it would have been another.

Candidates are picked by weight, but only the answer itself is believed: each one is taken out of
the message, the rest is scored again, and what did not move the answer is not named. So a reason
is true by construction.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Evidence
from winnow.features.content import Named, Reading
from winnow.verdict import Reason

CANDIDATE_WORDS = 4
CANDIDATE_TRAITS = 4
REASONS = 5
# A reason that takes away less than this part of the evidence is noise to its reader.
LEAST_SHARE = 0.01


def explain_answer(
    reading: Reading,
    evidence: Evidence,
    *,
    log_odds: Callable[[Evidence], float],
    weights: NDArray[np.float32],
    word_gain: float,
    trait_gain: float,
    silence: float,
) -> tuple[Reason, ...]:
    """Name what moved an answer, strongest first.

    For an answer of 0.5 or more these are the things that speak for spam, below it those that
    speak against.

    Args:
        reading: the content view of the message.
        evidence: its buckets.
        log_odds: the model's answer for some evidence.
        weights: (CONTENT_BUCKETS,) of the content view, to pick candidates.
        word_gain: factor of the words' expert.
        trait_gain: factor of the traits' expert.
        silence: the model's answer when nothing speaks.

    Returns:
        At most 5 reasons.
    """
    whole = log_odds(evidence)
    side = 1.0 if whole >= 0 else -1.0
    candidates: list[Named] = []
    if word_gain > 0:
        candidates += reading.strongest(weights, side, CANDIDATE_WORDS)
    if trait_gain > 0:
        candidates += reading.strongest_traits(weights, side, CANDIDATE_TRAITS)
    scale = max(abs(whole - silence), abs(whole), 1.0)
    reasons = []
    for thing in candidates:
        share = (whole - log_odds(reading.without(thing, evidence))) / scale
        if share * side >= LEAST_SHARE:
            reasons.append(Reason(thing.kind, thing.text, max(-1.0, min(1.0, share))))
    reasons.sort(key=lambda reason: -abs(reason.share))
    return tuple(reasons[:REASONS])
