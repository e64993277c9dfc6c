"""Why an answer: the words, links and traits without which it would have been another.

Candidates are picked by weight, but only the answer itself is believed: each one is taken out of
the message, the rest is scored again, and what did not move the answer is not named. So a reason
is true by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from winnow.evidence import Evidence, Hashes
from winnow.features.content import Named, Reading, Weights
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
    log_odds: Callable[[Evidence, Named | None], float],
    words: Weights | None,
    traits: Weights | None,
    stream_without: Callable[[str], Hashes] | None,
    silence: float,
    more: Sequence[Named] = (),
) -> tuple[Reason, ...]:
    """Name what moved an answer, strongest first.

    For an answer of 0.5 or more these are the things that speak for spam, below it those that
    speak against.

    Args:
        reading: the content view of the message.
        evidence: its hashes.
        log_odds: the model's answer for what is left without a thing: its evidence, and the thing
            that is gone, None when nothing is.
        words: weights of the words' expert, to pick candidates; None when it is not heard.
        traits: as `words`, of the traits' expert.
        stream_without: the stream's hashes of the message without a word; None when the stream's
            expert is not heard.
        silence: the model's answer when nothing speaks.
        more: further candidates, of a stage that reads something else than evidence.

    Returns:
        At most 5 reasons.
    """
    whole = log_odds(evidence, None)
    side = 1.0 if whole >= 0 else -1.0
    candidates: list[Named] = []
    if words is not None:
        candidates += reading.strongest(words, side, CANDIDATE_WORDS)
    if traits is not None:
        candidates += reading.strongest_traits(traits, side, CANDIDATE_TRAITS)
    known = {(thing.kind, thing.key) for thing in candidates}
    candidates += [thing for thing in more if (thing.kind, thing.key) not in known]
    scale = max(abs(whole - silence), abs(whole), 1.0)
    reasons = []
    for thing in candidates:
        rest = reading.without(thing, evidence)
        if stream_without is not None and thing.kind.endswith("word"):
            rest = replace(rest, stream=stream_without(thing.text))
        share = (whole - log_odds(rest, thing)) / scale
        if share * side >= LEAST_SHARE:
            reasons.append(Reason(thing.kind, thing.text, max(-1.0, min(1.0, share))))
    reasons.sort(key=lambda reason: -abs(reason.share))
    return tuple(reasons[:REASONS])
