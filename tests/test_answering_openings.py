"""Messages that begin like spam and go on like ham: innocent text below does not hide them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cascaded import SCORES, corpus_of, with_reader, write_reflex
from tests.synthetic import message
from winnow.answering import Answer, Model
from winnow.artifact import Artifact
from winnow.pipeline import Filter
from winnow.policy import Rules
from winnow.reading import read_evidence
from winnow.runtime import STANDS_OUT, Cascade, Opening
from winnow.store import Store
from winnow.verdict import Action, Label, Learnt, Why

MAIL = [(message(s, n), Label.SPAM if s else Label.HAM) for n in range(40) for s in (True, False)]
OPENING = Opening(40, 0.0, 0.5, 0.5, 0.0)
CASCADE = Cascade(0.7, 0.3, 0.0, -1.5, 4.0, OPENING)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model of one stage."""
    return write_reflex(tmp_path_factory.mktemp("model") / "m.winnow", corpus_of(MAIL))


def padded(seed: int, spam: bool = True, below: int = 14) -> bytes:
    """A message with the texts of some ham below its own."""
    texts = [message(False, 500 + n).decode().split("\n\n")[1] for n in range(below)]
    return message(spam, seed) + "\n".join(texts).encode() + b"\n"


def answered(model: Model, raw: bytes) -> Answer:
    mail, reading, evidence = read_evidence(raw)
    return model.answer(mail, reading, evidence)


def test_padding_alone_hides_spam_from_the_reflex(first: Artifact) -> None:
    """The tests below would show nothing otherwise."""
    model = Model.of(first)
    assert all(answered(model, message(True, n)).log_odds > 0 for n in range(100, 110))
    assert all(answered(model, padded(n)).log_odds < CASCADE.low for n in range(100, 110))


def test_padded_spam_is_flagged(first: Artifact) -> None:
    """The reader is asked for the opening's sake, the answer says so, and it is no junk."""
    model = Model.of(with_reader(first, SCORES, CASCADE))
    without = Model.of(with_reader(first, SCORES, Cascade(0.7, 0.3, 0.0, -1.5, 4.0)))
    for seed in range(100, 110):
        answer = answered(model, padded(seed))
        assert (answer.stage, answer.why) == ("reader", Why.OPENING)
        assert 0 < answer.log_odds < 2.197
        alone = answered(without, padded(seed))
        assert (alone.stage, alone.why) == ("reflex", Why.SURE)
        assert alone.log_odds < -1.5


def test_ham_costs_no_more_than_before(first: Artifact) -> None:
    """A long message that begins as it goes on is not handed over."""
    model = Model.of(with_reader(first, SCORES, CASCADE))
    for seed in range(100, 110):
        answer = answered(model, padded(seed, spam=False))
        assert (answer.stage, answer.why) == ("reflex", Why.SURE)


def test_the_opening_counts_within_the_band_too(first: Artifact) -> None:
    """With every message handed over, padded spam gets the same answer."""
    wide = Cascade(0.7, 0.3, 0.0, -1e6, 1e6, OPENING)
    model = Model.of(with_reader(first, SCORES, wide))
    small = Model.of(with_reader(first, SCORES, CASCADE))
    for seed in range(100, 110):
        answer = answered(model, padded(seed))
        assert answer.why == Why.UNSURE
        assert answer.log_odds == answered(small, padded(seed)).log_odds


def test_the_words_of_the_opening_are_the_reasons(first: Artifact) -> None:
    """Each reason is true: without its word the answer is that much lower."""
    small = Filter(with_reader(first, SCORES, CASCADE), Rules.default(), None)
    model = Model.of(with_reader(first, SCORES, CASCADE))
    named = 0
    for seed in range(100, 110):
        raw = padded(seed)
        verdict = small.check(raw)
        assert verdict.action is Action.FLAG
        assert all(reason.share > 0 for reason in verdict.reasons)
        words = [reason for reason in verdict.reasons if reason.kind == "word"]
        named += bool(words)
        mail, reading, evidence = read_evidence(raw)
        answer = model.answer(mail, reading, evidence)
        for reason in words:
            (thing,) = reading.find([reason.text], str, 10_000)[:1]
            rest = reading.without(thing, evidence)
            first_log_odds = model.reflex.log_odds(rest)
            left = model.again(answer, first_log_odds, rest, thing)
            assert left < answer.log_odds
    assert named >= 5


@pytest.mark.parametrize("taught", [Label.SPAM, Label.HAM])
def test_a_correction_turns_the_answer(first: Artifact, tmp_path: Path, taught: Label) -> None:
    """A person's word counts at once, though it was the opening that decided, and can be undone."""
    store = Store.open(tmp_path / "s.db")
    small = Filter(with_reader(first, SCORES, CASCADE), Rules.default(), store)
    for seed in range(100, 106):
        raw = padded(seed)
        before = small.check(raw)
        assert before.why == str(Why.OPENING)
        assert small.learn(raw, taught, source="test") is Learnt.LEARNT
        after = small.check(raw).probability
        assert after > 0.9 if taught is Label.SPAM else after < 0.5
        assert small.forget(raw, source="test") is Learnt.FORGOTTEN
        assert small.check(raw).probability == pytest.approx(before.probability, abs=1e-3)
    small.close()


def test_only_what_stands_out_is_looked_at_twice(first: Artifact) -> None:
    """Spam that the reflex is sure of, and short mail, have no opening of their own."""
    model = Model.of(with_reader(first, SCORES, CASCADE))
    short = b"From: a@example.org\nSubject: cheap\n\nprize money\n"
    for raw, wanted in ((short, False), (padded(100), True)):
        _, reading, evidence = read_evidence(raw)
        scores = model.reflex.scores(evidence)
        found = model.opening(reading, evidence, scores)
        assert (found is not None) is wanted
        if found is not None:
            assert found[1] - model.reflex.combiner.log_odds(scores) > STANDS_OUT
    sure = message(True, 3) + b" ".join([b"casino prize cheap"] * 40)
    _, reading, evidence = read_evidence(sure)
    low = Model.of(with_reader(first, SCORES, Cascade(0.7, 0.3, 0.0, -1.5, 1.0, OPENING)))
    assert low.opening(reading, evidence, low.reflex.scores(evidence)) is None
