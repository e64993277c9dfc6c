"""Reasons are true: what is named moves the answer when it goes."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.messages import message, parsed_messages, texts
from winnow.features import explain_answer, read_content
from winnow.features.content import Named
from winnow.features.hashing import hash_bytes
from winnow.features.reasons import LEAST_SHARE, REASONS
from winnow.features.text import normalise
from winnow.message import Message
from winnow.runtime import Combiner, Reflex
from winnow.verdict import Reason

NOTHING = np.zeros(0, dtype=np.uint32)


def _reflex(seed: int) -> Reflex:
    random = np.random.default_rng(seed)
    weights = [random.normal(0, 2, 1 << bits).astype(np.float32) for bits in (16, 16, 10)]
    gains = tuple(random.uniform(0, 1, 4).tolist())
    return Reflex(
        [*weights, np.zeros(2, dtype=np.float32)],
        tuple(random.normal(size=4).tolist()),
        Combiner(gains, float(random.normal())),  # type: ignore[arg-type]
    )


REFLEXES = [_reflex(seed) for seed in range(8)]


def _explain(reflex: Reflex, parsed: Message) -> tuple[float, tuple[Reason, ...]]:
    reading = read_content(parsed)
    evidence = reading.evidence(NOTHING)
    reasons = explain_answer(
        reading,
        evidence,
        log_odds=lambda rest, thing: reflex.log_odds(rest),
        words=partial(reflex.weights_of, "words") if reflex.combiner.gains[0] else None,
        traits=partial(reflex.weights_of, "traits") if reflex.combiner.gains[2] else None,
        stream_without=None,
        silence=reflex.combiner.intercept,
    )
    return reflex.log_odds(evidence), reasons


@settings(max_examples=30)
@given(parsed_messages(), st.sampled_from(REFLEXES))
def test_reasons_are_few_ordered_and_on_one_side(parsed: Message, reflex: Reflex) -> None:
    """At most five, the strongest first, all for the answer that was given, none negligible."""
    answer, reasons = _explain(reflex, parsed)
    shares = [reason.share for reason in reasons]
    assert len(reasons) <= REASONS
    assert shares == sorted(shares, key=lambda share: -abs(share))
    for share in shares:
        assert LEAST_SHARE <= (share if answer >= 0 else -share) <= 1.0


@given(texts(), texts(), texts(), st.sampled_from(REFLEXES))
def test_a_named_word_deleted_from_the_text_moves_the_answer(
    subject: list[str], hidden: list[str], text: list[str], reflex: Reflex
) -> None:
    """Through the real path: the word is cut from the message, its words and grams read anew."""
    fields = {"subject": subject, "hidden": hidden, "text": text}
    parsed = message(**{key: " ".join(words) for key, words in fields.items()})
    answer, reasons = _explain(reflex, parsed)
    traits = read_content(parsed).evidence(NOTHING).traits
    for reason in reasons:
        if "word" not in reason.kind:
            continue
        # Digits count by shape, so that "10" and "20" are one thing and go together.
        shape = re.sub("[0-9]", "0", reason.text)
        left = {
            key: " ".join(w for w in words if re.sub("[0-9]", "0", normalise(w)) != shape)
            for key, words in fields.items()
        }
        sender = parsed.sender
        if normalise(sender.name) == reason.text:
            sender = type(sender)("", sender.address)
        shorter = read_content(message(sender=sender, **left)).evidence(NOTHING)
        rest = reflex.log_odds(type(shorter)(shorter.words, shorter.grams, traits, NOTHING))
        assert (answer - rest) * reason.share > 0


@settings(max_examples=30)
@given(parsed_messages(), st.sampled_from(REFLEXES))
def test_each_reason_moves_the_answer_by_its_share(parsed: Message, reflex: Reflex) -> None:
    """Taken out of any message, a reason takes its part of the evidence with it."""
    answer, reasons = _explain(reflex, parsed)
    reading = read_content(parsed)
    whole = reading.evidence(NOTHING)
    scale = max(abs(answer - reflex.combiner.intercept), abs(answer), 1.0)
    for reason in reasons:
        data = re.sub("[0-9]", "0", reason.text) if "word" in reason.kind else reason.text
        prefix = b"host " if reason.kind == "link" else b""
        thing = Named(reason.kind, reason.text, hash_bytes(prefix + data.encode()))
        if "\ufffd" in reason.text:  # a word that was cut within a sign cannot be typed again
            continue
        moved = (answer - reflex.log_odds(reading.without(thing, whole))) / scale
        assert np.clip(moved, -1, 1) == pytest.approx(reason.share, abs=1e-5)


def test_a_silent_model_has_no_reasons() -> None:
    """Without weights nothing moved the answer, and nothing is named."""
    assert _explain(Reflex.blank(), message())[1] == ()


def test_an_expert_that_is_not_heard_gives_no_reasons() -> None:
    """With gains of 0 for words and traits their candidates are not even tried."""
    reflex = _reflex(3)
    reflex.combiner = Combiner((0.0, 1.0, 0.0, 0.0), 0.0)
    assert _explain(reflex, message(text="some words here"))[1] == ()
