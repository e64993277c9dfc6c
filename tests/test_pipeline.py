"""Raw message to verdict, and corrections back."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cascaded import SCORES, corpus_of, with_reader, write_reflex, write_two_stages
from tests.strategies import raw_messages
from tests.synthetic import message, write_corpus
from winnow import pipeline, recipe
from winnow.answering import Answer, Model
from winnow.artifact import Artifact
from winnow.corpus import open_corpus
from winnow.errors import ArtifactError, DeviceError, StoreError
from winnow.features import Reading
from winnow.pipeline import Filter
from winnow.policy import Rules
from winnow.reading import read_evidence
from winnow.runtime import STANDS_OUT, Cascade, Opening, Step
from winnow.store import Store
from winnow.training.train import Options
from winnow.verdict import Action, Envelope, Label, Learnt, Why

Opener = Callable[..., Filter]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of synthetic mail."""
    folder = tmp_path_factory.mktemp("model")
    gathered = recipe.gather([open_corpus(write_corpus(folder / "mail"))])
    recipe.make(gathered, folder / "small.winnow", Options())
    return folder / "small.winnow"


@pytest.fixture(scope="module")
def reader(model: Path) -> Filter:
    """A filter without a store, for tests that only ask."""
    return Filter.open(model)


@pytest.fixture
def opened(model: Path, tmp_path: Path) -> Iterator[Opener]:
    """Opens filters on one store, and closes them at the end."""
    filters: list[Filter] = []

    def open_one(of: Path = model) -> Filter:
        filters.append(Filter.open(of, store=tmp_path / "s.db"))
        return filters[-1]

    yield open_one
    for one in filters:
        one.close()


def test_unseen_mail_is_told_apart(reader: Filter) -> None:
    """Mail of both kinds that training did not see lands on its side of the rule."""
    answers = [reader.check(message(spam, 1000 + n)) for spam in (True, False) for n in range(10)]
    assert all(answer.probability > 0.5 for answer in answers[:10])
    assert all(answer.action is Action.DELIVER for answer in answers[10:])


@settings(max_examples=40)
@given(raw=st.one_of(st.binary(max_size=3000), raw_messages()))
def test_any_bytes_have_an_answer(reader: Filter, raw: bytes) -> None:
    """Whatever comes in, a verdict comes out, the same with and without its reasons."""
    verdict = reader.check(raw)
    assert 0.0 <= verdict.probability <= 1.0
    assert verdict.size_bytes == len(raw)
    assert len(verdict.reasons) <= 5
    json.dumps(verdict.to_json())
    plain = reader.check(raw, explain=False)
    assert (plain.probability, plain.action, plain.id) == (
        verdict.probability,
        verdict.action,
        verdict.id,
    )
    assert plain.reasons == ()


@settings(max_examples=12)
@given(raw=raw_messages(), spam=st.booleans())
def test_any_bytes_can_be_taught_and_forgotten(
    model: Path, tmp_path_factory: pytest.TempPathFactory, raw: bytes, spam: bool
) -> None:
    """No message is too odd to be corrected, and forgetting it restores its answer."""
    small = Filter.open(model, store=tmp_path_factory.mktemp("s") / "s.db")
    before = small.check(raw).probability
    assert small.learn(raw, Label.SPAM if spam else Label.HAM, source="test") is Learnt.LEARNT
    after = small.check(raw).probability
    assert (after >= before) if spam else (after <= before)
    assert small.forget(raw, source="test") is Learnt.FORGOTTEN
    assert small.check(raw).probability == pytest.approx(before, abs=1e-3)
    small.close()


def test_the_verdict_names_the_message_and_the_model(reader: Filter) -> None:
    """Message-ID where there is one, else the identity; the size is that of the whole message."""
    raw = message(True, 1)
    verdict = reader.check(raw, Envelope(), size_bytes=10**6)
    assert verdict.id == "True1@prize-24.example.top"
    assert verdict.size_bytes == 10**6
    assert verdict.stage == "reflex"
    assert re.fullmatch(r"small@[0-9a-f]{8}", verdict.model)
    bare = reader.check(b"Subject: x\n\ny\n")
    assert bare.id == bare.identity


def test_the_envelope_reaches_the_rule(model: Path, tmp_path: Path) -> None:
    """A rule on the envelope's sender decides whatever the model says."""
    rules = tmp_path / "rules.toml"
    conditions = 'envelope_sender = "a@b.example"\naligned = false'
    rules.write_text(f'[[rule]]\nname = "friend"\naction = "deliver"\n{conditions}\n')
    small = Filter.open(model, rules=rules)
    verdict = small.check(message(True, 5), Envelope(sender="a@b.example"))
    assert (verdict.rule, verdict.action) == ("friend", Action.DELIVER)


@pytest.fixture(scope="module")
def cascaded(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model whose second stage is a table of words; everything is handed over."""
    folder = tmp_path_factory.mktemp("cascaded")
    mail = open_corpus(write_corpus(folder / "mail", ham=30, spam=30))
    return write_two_stages(folder / "both.winnow", mail)


def test_the_verdict_says_which_stage_answered_and_why(reader: Filter, cascaded: Artifact) -> None:
    """Whoever asks why a message was slow, or not read closely, finds it in the verdict."""
    raw = message(True, 1)
    both = Filter.open(cascaded.path)
    verdict = both.check(raw)
    assert (verdict.stage, verdict.why) == ("reader", str(Why.UNSURE))
    assert verdict.to_json()["stage"] == "reader"
    assert verdict.to_json()["why"] == "the reflex is unsure"
    assert reader.check(raw).why == str(Why.ONLY_STAGE)
    sure = cascaded.calibration["cascade"] | {"low": 0.0, "high": 0.0}
    calibration = cascaded.calibration | {"cascade": sure}
    alone = Filter(replace(cascaded, calibration=calibration), Rules.default(), None).check(raw)
    assert (alone.stage, alone.why) == ("reflex", str(Why.SURE))
    assert alone.probability != verdict.probability


def test_a_deadline_reaches_the_reader(cascaded: Artifact) -> None:
    """A caller whose time is over has the reflex's answer; one with time left has both."""
    both, raw = Filter.open(cascaded.path), message(True, 2)
    late = both.check(raw, by=time.perf_counter())
    assert (late.stage, late.why) == ("reflex", str(Why.LATE))
    assert both.check(raw, by=time.perf_counter() + 60).why == str(Why.UNSURE)
    assert both.check(raw).why == str(Why.UNSURE)


def test_a_correction_moves_what_the_reader_answered(cascaded: Artifact, tmp_path: Path) -> None:
    """The next copy is on the side that the person said, for every process on the store."""
    small = Filter.open(cascaded.path, store=tmp_path / "s.db")
    raw = b"From: a@example.org\nSubject: minutes\n\nzebra report letter prize\n"
    before = small.check(raw)
    assert before.stage == "reader"
    wanted = Label.HAM if before.probability > 0.5 else Label.SPAM
    assert small.learn(raw, wanted, source="test") is Learnt.LEARNT
    learnt = small.check(raw)
    assert learnt.stage == "reader"
    assert (learnt.probability > 0.5) is (wanted is Label.SPAM)
    other = Filter.open(cascaded.path, store=tmp_path / "s.db")
    assert other.check(raw).probability == pytest.approx(learnt.probability, abs=1e-6)
    other.close()
    small.close()


@pytest.mark.parametrize("seed", range(8))
def test_removing_a_reason_lowers_the_answer(reader: Filter, seed: int) -> None:
    """A named word is deleted from the raw message, and the answer falls: reasons are true."""
    raw = message(True, 2000 + seed)
    verdict = reader.check(raw)
    words = [reason for reason in verdict.reasons if reason.kind == "word"]
    assert words
    for reason in words:
        assert reason.share > 0
        text = raw.decode()
        head, _, body = text.partition("\n\n")
        lines = [
            line if not line.startswith("Subject:") else _without(line, reason.text)
            for line in head.split("\n")
        ]
        rest = "\n".join(lines) + "\n\n" + _without(body, reason.text)
        assert reader.check(rest.encode()).probability < verdict.probability


def _without(text: str, word: str) -> str:
    return re.sub(rf"\b{re.escape(word)}\b", "", text, flags=re.IGNORECASE)


def test_a_correction_counts_at_once_and_can_be_taken_back(opened: Opener) -> None:
    """Learnt, learnt twice, learnt the other way, forgotten: each moves the answer as it says."""
    small = opened()
    raw = message(False, 3000)
    before = small.check(raw).probability
    assert small.learn(raw, Label.SPAM, source="test") is Learnt.LEARNT
    learnt = small.check(raw).probability
    assert learnt > 0.5
    assert small.learn(raw, Label.SPAM, source="test") is Learnt.ALREADY
    assert small.check(raw).probability == learnt
    assert small.learn(raw, Label.HAM, source="test") is Learnt.RELABELLED
    assert small.check(raw).probability < 0.5
    assert small.forget(raw, source="test") is Learnt.FORGOTTEN
    assert small.check(raw).probability == pytest.approx(before, abs=1e-3)
    assert small.forget(raw, source="test") is Learnt.UNKNOWN


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_with_other_headers_is_the_same_message(opened: Opener, seed: int) -> None:
    """Relabelled through a copy that other servers marked, its answer still changes sides."""
    small = opened()
    raw = message(True, 3100 + seed)
    copy = b"Received: from far.example by near.example; today\n" * 30 + raw
    assert small.learn(raw, Label.HAM, source="test") is Learnt.LEARNT
    assert small.check(raw).probability < 0.5
    assert small.learn(copy, Label.SPAM, source="test") is Learnt.RELABELLED
    assert small.check(copy).probability > 0.5
    assert small.check(raw).probability > 0.5


def test_one_correction_leaves_other_mail_alone(opened: Opener) -> None:
    """A wrong word for one message does not push unrelated mail over a threshold."""
    small = opened()
    others = [message(spam, 3200 + n) for spam in (False, True) for n in range(30)]
    before = [small.check(raw).probability for raw in others]
    odd = b"From: x@y.test\nSubject: quarterly zebra\n\nSome zebras ran along distant rivers.\n"
    was = small.check(odd).probability
    small.learn(odd, Label.HAM if was > 0.5 else Label.SPAM, source="test")
    assert (small.check(odd).probability > 0.5) != (was > 0.5)
    after = [small.check(raw).probability for raw in others]
    moves = [abs(a - b) for a, b in zip(after, before, strict=True)]
    assert sum(moves) / len(moves) < 0.05
    assert [a > 0.5 for a in after] == [b > 0.5 for b in before]


def test_another_process_sees_the_correction(opened: Opener) -> None:
    """Two filters on one store have the same weights after a refresh, and after a restart."""
    first, second = opened(), opened()
    raw = message(False, 4000)
    first.learn(raw, Label.SPAM, source="test")
    assert second.refresh() == 1
    assert second.refresh() == 0
    answers = {one.check(raw).probability for one in (first, second, opened())}
    assert len(answers) == 1


def test_two_writers_converge(opened: Opener) -> None:
    """Corrections from both sides, contradicting ones too, end in the same weights for all."""
    first, second = opened(), opened()
    mail = [message(n % 2 == 0, 4100 + n) for n in range(6)]
    for n, raw in enumerate(mail):
        (first, second)[n % 2].learn(raw, (Label.SPAM, Label.HAM)[n % 2], source="test")
    assert second.learn(mail[0], Label.SPAM, source="test") is Learnt.ALREADY
    assert second.learn(mail[0], Label.HAM, source="test") is Learnt.RELABELLED
    assert first.forget(mail[1], source="test") is Learnt.FORGOTTEN
    third = opened()
    for one in (first, second):
        one.refresh()
    for raw in mail:
        wanted = third.check(raw).probability
        assert first.check(raw).probability == pytest.approx(wanted, abs=1e-4)
        assert second.check(raw).probability == pytest.approx(wanted, abs=1e-4)


def test_a_correction_is_computed_on_what_the_others_taught(
    model: Path, opened: Opener, tmp_path: Path
) -> None:
    """A writer that lags takes the others' rows over first: its step is as if it had not."""
    first, lagging, alone = opened(), opened(), Filter.open(model, store=tmp_path / "alone.db")
    raw = message(False, 4200)
    for one, other in ((first, lagging), (alone, alone)):
        one.learn(raw, Label.SPAM, source="test")
        assert other.learn(raw, Label.HAM, source="test") is Learnt.RELABELLED
    assert first.store is not None
    assert alone.store is not None
    steps = [one.store.corrections()[-1].step for one in (first, alone) if one.store]
    assert steps[0] == steps[1]
    alone.close()


def test_a_crash_in_between_leaves_nothing(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retraction and new label are kept together or not at all."""
    small = opened()
    raw = message(False, 5000)
    small.learn(raw, Label.SPAM, source="test")
    learnt = small.check(raw).probability
    assert small.store is not None

    def crash(*_: object, **__: object) -> Step:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("winnow.runtime.reflex.Reflex.step_for", crash)
        with pytest.raises(RuntimeError, match="killed"):
            small.learn(raw, Label.HAM, source="test")
    assert len(small.store.corrections()) == 1
    assert small.check(raw).probability == learnt
    assert small.learn(raw, Label.HAM, source="test") is Learnt.RELABELLED


def test_rows_of_other_features_are_passed_over(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are counted, not applied; the same word said again then counts."""
    first = opened()
    raw = message(False, 5100)
    before = first.check(raw).probability
    monkeypatch.setattr(first, "_fingerprint", "older")
    first.learn(raw, Label.SPAM, source="test")
    second = opened()
    assert second.skipped_corrections == 1
    assert second.check(raw).probability == before
    assert second.learn(raw, Label.SPAM, source="test") is Learnt.LEARNT
    assert second.check(raw).probability > 0.5
    assert second.forget(raw, source="test") is Learnt.FORGOTTEN
    assert second.check(raw).probability == pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize("damaged", ["features", "step"])
def test_damaged_rows_are_passed_over(opened: Opener, tmp_path: Path, damaged: str) -> None:
    """One bad row neither stops the filter nor poisons its weights, and can be taken back."""
    raw = message(False, 5200)
    first = opened()
    before = first.check(raw).probability
    store = Store.open(tmp_path / "s.db")
    blobs = {"features": pipeline.read_evidence(raw)[2].to_bytes(), "step": b"\0" * 20}
    blobs[damaged] = b"\xff" * 20
    with store.correction() as log:
        log.append(
            identity=first.check(raw).identity,
            label=Label.HAM,
            kind="learn",
            at=1.0,
            source="test",
            fingerprint=pipeline.fingerprint(),
            model="m@1",
            **blobs,
        )
    store.close()
    assert first.refresh() == 1
    assert first.skipped_corrections == 1
    assert first.check(raw).probability == before
    assert first.learn(raw, Label.SPAM, source="test") is Learnt.RELABELLED
    assert first.check(raw).probability > 0.5
    assert opened().check(raw).probability == first.check(raw).probability


def test_what_training_took_in_is_not_added_twice(opened: Opener, tmp_path: Path) -> None:
    """A model that was trained on the store's corrections starts from its own weights."""
    raw, later = message(False, 6000), message(False, 6001)
    first = opened()
    first.learn(raw, Label.SPAM, source="test")
    mail = open_corpus(write_corpus(tmp_path / "mail"))
    gathered = recipe.gather([mail], store=first.store)
    assert gathered.corrections_through == 1
    recipe.make(gathered, tmp_path / "new.winnow", Options())
    first.learn(later, Label.SPAM, source="test")
    alone = Filter.open(tmp_path / "new.winnow")
    alone_with = opened(tmp_path / "new.winnow")
    assert alone_with.skipped_corrections == 0
    assert alone_with.check(later).probability > alone.check(later).probability + 0.05
    # Taking back what training took in waits for the next training: nothing is subtracted.
    before = alone_with.check(raw).probability
    assert alone_with.forget(raw, source="test") is Learnt.FORGOTTEN
    assert alone_with.check(raw).probability == before
    alone_with.forget(later, source="test")
    for other in (raw, later):
        wanted = alone.check(other).probability
        assert alone_with.check(other).probability == pytest.approx(wanted, abs=1e-3)


def test_a_model_trained_with_another_store_hears_this_one(
    model: Path, opened: Opener, tmp_path: Path
) -> None:
    """Row numbers of a store that is gone do not silence the corrections of a new one."""
    other = Filter.open(model, store=tmp_path / "old.db")
    for n in range(3):
        other.learn(message(False, 6100 + n), Label.SPAM, source="test")
    mail = open_corpus(write_corpus(tmp_path / "mail"))
    recipe.make(recipe.gather([mail], store=other.store), tmp_path / "new.winnow", Options())
    other.close()
    small = opened(tmp_path / "new.winnow")
    raw = message(False, 6200)
    for n in range(3):
        small.learn(message(False, 6300 + n), Label.SPAM, source="test")
    small.learn(raw, Label.SPAM, source="test")
    assert small.check(raw).probability > 0.5
    again = opened(tmp_path / "new.winnow")
    assert again.check(raw).probability == small.check(raw).probability


def test_without_a_store_nothing_is_learnt(reader: Filter) -> None:
    """There is nowhere to keep a correction, and the error says what to do."""
    with pytest.raises(StoreError, match="--store"):
        reader.learn(b"x", Label.SPAM, source="test")
    with pytest.raises(StoreError, match="--store"):
        reader.forget(b"x", source="test")
    assert reader.refresh() == 0


def test_what_cannot_be_opened_is_named(model: Path, tmp_path: Path) -> None:
    """No model, no folder for the store, and a store that is none: each has its own error."""
    with pytest.raises(ArtifactError, match="no model"):
        Filter.open(tmp_path / "none.winnow")
    (tmp_path / "file").write_text("x" * 200)
    with pytest.raises(StoreError, match="cannot make"):
        Filter.open(model, store=tmp_path / "file" / "s.db")
    with pytest.raises(StoreError):
        Filter.open(model, store=tmp_path / "file")
    with pytest.raises(DeviceError, match="no device 'x'"):
        Filter.open(model, store=tmp_path / "s.db", device="x")


def test_a_model_of_other_features_is_refused(model: Path, tmp_path: Path) -> None:
    """It must be trained again; nothing is left open."""
    shutil.copytree(model, tmp_path / "old.winnow")
    manifest = json.loads((model / "manifest.json").read_text())
    (tmp_path / "old.winnow" / "manifest.json").write_text(json.dumps(manifest | {"features": "0"}))
    with pytest.raises(ArtifactError, match="other features"):
        Filter.open(tmp_path / "old.winnow", store=tmp_path / "s.db")


def test_the_store_has_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """WINNOW_STORE first, then XDG_STATE_HOME, then the home folder."""
    monkeypatch.setenv("WINNOW_STORE", str(tmp_path / "a.db"))
    assert pipeline.default_store_path() == tmp_path / "a.db"
    monkeypatch.delenv("WINNOW_STORE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert pipeline.default_store_path() == tmp_path / "winnow" / "winnow.db"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pipeline.default_store_path() == tmp_path / ".local/state/winnow/winnow.db"


# Messages that begin like spam and go on like ham: innocent text below does not hide them.

OPENING = Opening(40, 0.0, 0.5, 0.5, 0.0)
CASCADE = Cascade(0.7, 0.3, 0.0, -1.5, 4.0, OPENING)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model of one stage."""
    mail = [
        (message(s, n), Label.SPAM if s else Label.HAM) for n in range(40) for s in (True, False)
    ]
    return write_reflex(tmp_path_factory.mktemp("model") / "m.winnow", corpus_of(mail))


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


@pytest.mark.parametrize("scores", [SCORES, {}])
def test_the_words_of_the_opening_are_the_reasons(
    first: Artifact, scores: dict[str, float]
) -> None:
    """Each reason is true, also of the opening alone: without its word the answer is lower."""
    small = Filter(with_reader(first, scores, CASCADE), Rules.default(), None)
    model = Model.of(with_reader(first, scores, CASCADE))
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


def test_spam_that_the_reflex_is_sure_of_is_not_looked_at_twice(
    first: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is spam however it begins, and answers cost what they must."""
    model = Model.of(with_reader(first, SCORES, CASCADE))
    looked: list[int] = []
    monkeypatch.setattr(Reading, "opening", lambda self, words: looked.append(words))
    sure = message(True, 3) + b" ".join([b"casino prize cheap"] * 40)
    assert answered(model, sure).why == Why.SURE
    assert looked == []
    answered(model, padded(100))
    assert looked == [OPENING.words]


@pytest.mark.parametrize("below", [0, 3, 14])
def test_a_correction_is_measured_by_the_answer_that_follows(first: Artifact, below: int) -> None:
    """What a step would do, opening and all, is what it does; so is a spam that becomes ham."""
    low = Cascade(0.7, 0.3, 0.0, -1.5, 1.0, OPENING)
    for cascade, label in itertools.product((CASCADE, low), (True, False)):
        model = Model.of(with_reader(first, SCORES, cascade))
        mail, reading, evidence = read_evidence(padded(104, below=below))
        then = model.second(mail, reading, evidence)
        assert then is not None
        step = model.reflex.step_for(evidence, spam=label, then=then)
        moved = model.reflex.log_odds(evidence)
        model.reflex.apply(evidence, step)
        after = model.reflex.log_odds(evidence)
        answer = model.answer(mail, reading, evidence).log_odds
        assert then(after, step) == pytest.approx(answer, abs=1e-3)
        assert (answer > 0) is label
        assert abs(after - moved) < 12
