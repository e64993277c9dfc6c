"""The reflex, and the reader where the reflex is not sure; whatever happens there is an answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cascaded import (
    ALWAYS,
    LIMIT,
    PIECES,
    SCORES,
    Counted,
    corpus_of,
    with_files,
    with_reader,
    without_file,
    write_reflex,
)
from tests.runtime.graphs import table_graph, table_of
from tests.runtime.hardware import absent_device
from tests.strategies import raw_messages
from tests.synthetic import message
from winnow.answering import READER_FILE, TOKENIZER_FILE, Answer, Model
from winnow.artifact import Artifact, read_artifact, write_artifact
from winnow.errors import ArtifactError, DeviceError
from winnow.features import STREAM_HEAD, Tokenizer, plain, stream_hashes, without_word
from winnow.features.content import Named
from winnow.features.hashing import hash_bytes
from winnow.pipeline import Filter
from winnow.policy import Rules
from winnow.reading import read_evidence, text_form
from winnow.runtime import NO_STEP, NOT_CALIBRATED, Cascade, Reader, Step
from winnow.runtime.devices import AUTO
from winnow.runtime.reflex import LARGEST_MOVE
from winnow.store import Store
from winnow.tokens import Tokens
from winnow.verdict import Label, Learnt, Reason, Why

MAIL = [(message(s, n), Label.SPAM if s else Label.HAM) for n in range(40) for s in (True, False)]
SURE = replace(ALWAYS, low=0.0, high=0.0)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model of one stage."""
    return write_reflex(tmp_path_factory.mktemp("model") / "m.winnow", corpus_of(MAIL))


@pytest.fixture(scope="module")
def both(first: Artifact) -> Artifact:
    """With a reader that is always asked."""
    return with_reader(first)


def _answer(model: Model, raw: bytes, by: float | None = None) -> Answer:
    return model.answer(*read_evidence(raw), by=by)


def _with(artifact: Artifact, reader: Counted, cascade: Cascade = ALWAYS) -> Model:
    model = Model.of(with_reader(artifact, cascade=cascade))
    model.reader = reader  # type: ignore[assignment]
    return model


def test_a_model_of_one_stage_answers_with_it(first: Artifact) -> None:
    """Nothing changes for models without a reader, and they say so."""
    model = Model.of(first)
    evidence = read_evidence(MAIL[0][0])[2]
    answer = _answer(model, MAIL[0][0])
    assert (answer.stage, answer.why) == ("reflex", Why.ONLY_STAGE)
    assert answer.log_odds == model.reflex.log_odds(evidence)
    assert (answer.tokens, answer.reader, answer.shares) == (None, None, ())
    assert (model.reader, model.broken) == (None, "")


def test_both_answers_become_one(both: Artifact) -> None:
    """What the reader says of the message's own words counts by its gain, the reflex by its own."""
    model = Model.of(both)
    raw = b"Subject: cheap prize\n\nzzz the report\n"
    answer = _answer(model, raw)
    alone = model.reflex.log_odds(read_evidence(raw)[2])
    # [CLS] cheap prize [SEP] z ##z ##z the report [SEP]
    value = (8 + 8 - 8) / 10
    assert (answer.stage, answer.why) == ("reader", Why.UNSURE)
    assert answer.tokens is not None
    shown = " ".join(PIECES[index] for index in answer.tokens.ids.tolist())
    assert shown == "[CLS] cheap prize [SEP] z ##z ##z the report [SEP]"
    assert answer.reader == pytest.approx(value, abs=1e-6)
    assert answer.log_odds == pytest.approx(-0.25 + 0.5 * alone + value, abs=1e-6)
    assert answer.shares == (0, 8, 8, 0, 0, 0, 0, 0, -8, 0)


def test_where_the_reflex_is_sure_the_reader_is_not_asked(first: Artifact) -> None:
    """That is what makes the mean answer cheap; the reflex's own probability stands then."""
    reader = Counted(3.0)
    model = _with(first, reader, replace(ALWAYS, low=-1.0, high=1.0))
    for raw, _ in MAIL[:10]:
        alone = model.reflex.log_odds(read_evidence(raw)[2])
        assert abs(alone) > 1.0
        answer = _answer(model, raw)
        assert (answer.stage, answer.why, answer.log_odds) == ("reflex", Why.SURE, alone)
    assert reader.asked == 0
    odd = b"Subject: zebra\n\nquarterly\n"
    alone = model.reflex.log_odds(read_evidence(odd)[2])
    model.cascade = replace(ALWAYS, low=alone - 0.1, high=alone + 0.1)
    assert _answer(model, odd).log_odds == pytest.approx(-0.25 + 0.5 * alone + 3.0, abs=1e-6)
    assert reader.asked == 1


def test_a_reader_that_does_not_tell_is_asked_again_for_reasons(first: Artifact) -> None:
    """The words that moved it are found by readings that are few, however long the message is."""
    files = {READER_FILE: table_graph(table_of(SCORES, PIECES), shares=False)}
    model = Model.of(with_files(with_reader(first), files))
    ordinary = " ".join(["the", "of", "and"] * 12)
    raw = f"Subject: today\n\n{ordinary} casino {ordinary}\n".encode()
    _, reading, _ = read_evidence(raw)
    answer = replace(_answer(model, raw), log_odds=2.0)
    assert (answer.stage, answer.shares) == ("reader", ())
    assert model.reader is not None
    read, asked = model.reader.read, []
    model.reader.read = lambda tokens: read((asked.append(tokens), tokens)[1])  # type: ignore[method-assign,func-returns-value]
    assert [thing.text for thing in model.leading(answer, reading)][:1] == ["casino"]
    assert len(asked) <= 8


def test_a_reader_that_is_not_calibrated_answers_alone_and_says_so(both: Artifact) -> None:
    """For every message, also where the reflex is sure; nobody takes it for more than it is."""
    model = Model.of(
        replace(both, calibration=both.calibration | {"cascade": NOT_CALIBRATED.to_json()})
    )
    assert "not calibrated: run `winnow calibrate`" in model.notice
    assert Model.of(both).notice == ""
    for raw, _ in MAIL[:6]:
        answer = _answer(model, raw)
        assert (answer.stage, answer.why) == ("reader", Why.UNCALIBRATED)
        assert answer.log_odds == answer.reader


SMALL = {TOKENIZER_FILE: Tokenizer(PIECES[:-1], LIMIT, text_form()).to_json()}
SHORT = {TOKENIZER_FILE: Tokenizer(PIECES, LIMIT - 1, text_form()).to_json()}
OTHER_FORM = {TOKENIZER_FILE: Tokenizer(PIECES, LIMIT, "0123456789abcdef").to_json()}
BROKEN: dict[str, tuple[Callable[[Artifact], Artifact], str]] = {
    "no graph": (lambda a: without_file(a, READER_FILE), r"reader\.onnx is missing"),
    "no tokenizer": (lambda a: without_file(a, TOKENIZER_FILE), r"tokenizer\.json is missing"),
    "damaged when read": (
        lambda a: replace(without_file(a, READER_FILE), faults=("x", "m: reader.onnx is damaged")),
        r"^m: reader\.onnx is damaged",
    ),
    "graph cut off": (
        lambda a: with_files(a, {READER_FILE: a.files[READER_FILE][:99]}),
        r"reader\.onnx cannot be loaded",
    ),
    "no JSON": (lambda a: with_files(a, {TOKENIZER_FILE: b"{"}), "not one of Winnow's"),
    "a smaller vocabulary": (lambda a: with_files(a, SMALL), "does not fit"),
    "a shorter limit": (lambda a: with_files(a, SHORT), f"{LIMIT - 1} tokens, the graph"),
    "texts of another form": (lambda a: with_files(a, OTHER_FORM), "texts of another form"),
    "no cascade": (lambda a: replace(a, calibration=_no_cascade(a)), "when the reader is asked"),
    "a damaged cascade": (
        lambda a: replace(a, calibration=a.calibration | {"cascade": {"reflex": "x"}}),
        "when the reader is asked",
    ),
}


def _no_cascade(artifact: Artifact) -> dict[str, Any]:
    return {key: value for key, value in artifact.calibration.items() if key != "cascade"}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_reader_leaves_the_reflex_answering(
    both: Artifact, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that was lost costs the second stage, not the mail: answers say so, and a log why."""
    spoil, told = BROKEN[fault]
    with caplog.at_level(logging.WARNING, "winnow.answering"):
        model = Model.of(spoil(both))
    assert caplog.messages == [f"the reflex answers alone: {model.broken}"]
    with pytest.raises(ArtifactError, match=told):
        raise ArtifactError(model.broken)
    for raw, _ in MAIL[:4]:
        answer = _answer(model, raw, by=0.0)
        assert (answer.stage, answer.why) == ("reflex", Why.BROKEN)
        assert answer.log_odds == model.reflex.log_odds(read_evidence(raw)[2])
    assert model.second(*read_evidence(MAIL[0][0])) is None
    assert (model.reader, model.tokenizer, model.cascade) == (None, None, None)


def test_a_file_that_was_damaged_on_disk_leaves_the_reflex_answering(
    both: Artifact, tmp_path: Path
) -> None:
    """From the disk to the verdict: a bit that flips in the graph costs the reader only."""
    path = tmp_path / "m.winnow"
    write_artifact(
        path,
        fingerprint=both.fingerprint,
        tensors=both.tensors,
        calibration=both.calibration,
        training={},
        version="0",
        files=both.files,
        stages=("reflex", "reader"),
    )
    raw = MAIL[0][0]
    assert Filter.open(path).check(raw).stage == "reader"
    data = bytearray((path / READER_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (path / READER_FILE).write_bytes(data)
    model = Model.of(read_artifact(path))
    assert "reader.onnx is damaged" in model.broken
    verdict = Filter.open(path).check(raw)
    assert (verdict.stage, verdict.why) == ("reflex", str(Why.BROKEN))
    (path / READER_FILE).unlink()
    assert "reader.onnx is missing" in Model.of(read_artifact(path)).broken


def test_a_device_that_is_not_to_be_had_is_no_broken_reader(
    first: Artifact, both: Artifact
) -> None:
    """Who asks for hardware is told, and does not find the reflex answering in its place."""
    for artifact, name in ((first, absent_device()), (both, absent_device()), (both, "fast")):
        with pytest.raises(DeviceError, match=f"device '?{name}"):
            Model.of(artifact, name)
    assert (Model.of(first, "auto").device, Model.of(both).device) == ("cpu", "cpu")
    assert Model.of(both, "auto").device in AUTO


def test_a_reader_that_fails_once_costs_one_answer(
    first: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    """The reflex's answer stands, is told as such and logged; the next message is read again."""
    reader = Counted(2.0, fails=True)
    model = _with(first, reader)
    raw = MAIL[0][0]
    alone = model.reflex.log_odds(read_evidence(raw)[2])
    with caplog.at_level(logging.WARNING, "winnow.answering"):
        answer = _answer(model, raw)
    assert (answer.stage, answer.why, answer.log_odds) == ("reflex", Why.FAILED, alone)
    assert caplog.messages == ["the reflex's answer stands: the reader failed: out of order"]
    assert model.second(*read_evidence(raw)) is None
    reader.fails = False
    assert _answer(model, raw).why is Why.UNSURE


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Counted], None]:
    """Returns a function that lets a reader move the clock."""

    def use(reader: Counted) -> None:
        fake = SimpleNamespace(perf_counter=lambda: reader.now)
        monkeypatch.setattr("winnow.answering.time", fake)

    return use


def test_a_slow_reader_is_not_asked_when_it_would_come_too_late(
    first: Artifact, clock: Callable[[Counted], None]
) -> None:
    """A mail server waits so long and no longer: by then there is an answer, the reflex's."""
    reader = Counted(2.0, seconds=0.1)
    clock(reader)
    model = _with(first, reader)
    raw = MAIL[0][0]
    for _ in range(40):
        assert _answer(model, raw).why is Why.UNSURE  # nobody waits
    asked = reader.asked
    alone = model.reflex.log_odds(read_evidence(raw)[2])
    for left in (0.15, 0.0, -5.0):
        late = _answer(model, raw, by=reader.now + left)
        assert (late.stage, late.why, late.log_odds) == ("reflex", Why.LATE, alone)
    assert reader.asked == asked
    assert _answer(model, raw, by=reader.now + 0.25).why is Why.UNSURE
    assert _answer(model, raw).why is Why.UNSURE


def test_a_reader_without_a_past_is_tried(
    first: Artifact, clock: Callable[[Counted], None]
) -> None:
    """Nothing is known of its speed before the first message; a time that is over is over."""
    reader = Counted(2.0, seconds=0.001)
    clock(reader)
    model = _with(first, reader)
    assert _answer(model, MAIL[0][0], by=reader.now - 1e-3).why is Why.LATE
    assert _answer(model, MAIL[0][0], by=reader.now + 1e-3).why is Why.UNSURE


def test_a_slow_minute_does_not_silence_the_reader_for_ever(
    first: Artifact, clock: Callable[[Counted], None]
) -> None:
    """When the machine is fast again mail is read again, though every caller has a deadline."""
    reader = Counted(2.0, seconds=5.0)
    clock(reader)
    model = _with(first, reader)
    for _ in range(20):
        _answer(model, MAIL[0][0], by=reader.now + 60)
    assert _answer(model, MAIL[0][0], by=reader.now + 1.0).why is Why.LATE
    asked, reader.seconds = reader.asked, 0.001
    whys = [_answer(model, MAIL[0][0], by=reader.now + 1.0).why for _ in range(1_000)]
    back = whys.index(Why.UNSURE)
    assert 20 < back < 500
    assert set(whys[back:]) == {Why.UNSURE}
    assert reader.asked == asked + len(whys) - back
    # While it stays slow it is seldom tried.
    reader.seconds = 5.0
    whys = [_answer(model, MAIL[0][0], by=reader.now + 1.0).why for _ in range(1_000)]
    assert whys.count(Why.UNSURE) < 20


# Gains and bands as budgets give them; the last hands everything over.
CASCADES = {
    "both": Cascade(0.5, 1.0, -0.25, -4.0, 4.0),
    "mostly the reader": Cascade(0.1, 2.0, 0.5, -4.0, 4.0),
    "mostly the reflex": Cascade(1.0, 0.6, 0.0, -6.0, 3.0),
    "no band": Cascade(0.8, 1.0, 0.0, -1e6, 1e6),
}


def _mixed(seed: int) -> bytes:
    """A message of both kinds of words, which the reflex is not sure of."""
    spam, ham = (message(kind, seed).decode().split("\n\n")[1] for kind in (True, False))
    return f"From: a@example.org\nSubject: x\n\n{spam} {ham}\n".encode()


@pytest.mark.parametrize("taught", [Label.SPAM, Label.HAM])
@pytest.mark.parametrize("name", CASCADES)
def test_a_correction_counts_at_once_though_the_reader_answered(
    first: Artifact, tmp_path: Path, name: str, taught: Label
) -> None:
    """The person's word wins against both stages, and can be taken back and turned round."""
    spam = taught is Label.SPAM
    wrong = dict.fromkeys(SCORES, -6.0 if spam else 6.0)
    store = Store.open(tmp_path / "s.db")
    small = Filter(with_reader(first, wrong, CASCADES[name]), Rules.default(), store)
    other = Label.HAM if spam else Label.SPAM
    corrected = 0
    for seed in range(8):
        raw = _mixed(seed)
        before = small.check(raw)
        if before.stage != "reader" or (before.probability > 0.5) is spam:
            continue
        corrected += 1
        assert small.learn(raw, taught, source="test") is Learnt.LEARNT
        learnt = small.check(raw).probability
        assert learnt > 0.9 if spam else learnt < 0.1
        assert small.learn(raw, other, source="test") is Learnt.RELABELLED
        turned = small.check(raw).probability
        assert turned < 0.5 if spam else turned > 0.5
        assert small.forget(raw, source="test") is Learnt.FORGOTTEN
        assert small.check(raw).probability == pytest.approx(before.probability, abs=1e-3)
    small.close()
    assert corrected >= 3


def test_one_voice_does_not_rewrite_the_model(first: Artifact) -> None:
    """Where the reader contradicts with all its weight, the reflex moves so far and no further."""
    model = Model.of(with_reader(first, dict.fromkeys(SCORES, -300.0), CASCADES["no band"]))
    mail, reading, evidence = read_evidence(_mixed(1))
    before = model.answer(mail, reading, evidence).log_odds
    was = model.reflex.log_odds(evidence)
    step = model.reflex.step_for(evidence, spam=True, then=model.second(mail, reading, evidence))
    model.reflex.apply(evidence, step)
    moved = model.reflex.log_odds(evidence) - was
    assert LARGEST_MOVE - 0.1 < moved < LARGEST_MOVE + 0.1
    after = model.answer(mail, reading, evidence).log_odds
    assert after - before == pytest.approx(0.8 * moved, abs=1e-3)


def test_a_correction_that_cannot_win_stops_where_it_comes_closest(first: Artifact) -> None:
    """Where a larger step makes the answer worse again, it is not taken."""
    model = Model.of(first)
    evidence = read_evidence(_mixed(1))[2]
    was = model.reflex.log_odds(evidence)

    def then(value: float, step: Step) -> float:
        return 1.0 - abs(value - was - 6.0)

    model.reflex.apply(evidence, model.reflex.step_for(evidence, spam=True, then=then))
    assert abs(model.reflex.log_odds(evidence) - was - 6.0) < 2.5


def test_a_correction_is_no_larger_than_it_must_be(first: Artifact, tmp_path: Path) -> None:
    """Where the reader says the same as the person, the reflex is moved as without a reader."""
    raw = message(False, 800)
    steps = []
    for artifact in (first, with_reader(first, dict.fromkeys(SCORES, 40.0))):
        small = Filter(artifact, Rules.default(), None)
        model, (mail, reading, evidence) = small._model, read_evidence(raw)
        then = model.second(mail, reading, evidence)
        steps.append(model.reflex.step_for(evidence, spam=True, then=then))
    assert steps[0] == steps[1]
    model = Model.of(with_reader(first, dict.fromkeys(SCORES, -40.0)))
    mail, reading, evidence = read_evidence(raw)
    more = model.reflex.step_for(evidence, spam=True, then=model.second(mail, reading, evidence))
    assert more.amounts[0] > steps[0].amounts[0]


def test_what_becomes_of_the_reflex_is_what_the_answer_would_be(first: Artifact) -> None:
    """A correction is measured by the very answer that the next copy of the message gets."""
    cascade = CASCADES["both"]
    model = _with(first, Counted(2.0), cascade)
    then = model.second(*read_evidence(MAIL[0][0]))
    assert then is not None
    assert [then(value, NO_STEP) for value in (-7.0, -4.0, 4.0)] == [-7.0, -4.0, 4.0]
    assert then(1.5, NO_STEP) == cascade.log_odds(1.5, 2.0)


TABLES = {
    "the words of the tests": SCORES,
    "against the reflex": {word: -score for word, score in SCORES.items()},
    "chance": dict(
        zip(PIECES, np.random.default_rng(3).normal(0, 6, len(PIECES)).tolist(), strict=True)
    ),
}


def _share_by_hand(model: Model, raw: bytes, answer: Answer, reason: Reason) -> float:
    """What an answer loses with a thing, in log-odds, without asking the model for it."""
    assert model.cascade is not None
    assert model.tokenizer is not None
    assert answer.tokens is not None
    _, reading, evidence = read_evidence(raw)
    host = b"host " if reason.kind == "link" else b""
    text = "".join("0" if sign in "123456789" else sign for sign in reason.text)
    data = text if "word" in reason.kind else reason.text
    thing = Named(reason.kind, reason.text, hash_bytes(host + data.encode()))
    rest = reading.without(thing, evidence)
    if model.reflex.hears_stream and "word" in reason.kind:
        left = without_word(raw[:STREAM_HEAD], reason.text)
        rest = replace(rest, stream=stream_hashes(left))
    first = model.reflex.log_odds(rest)
    kept = np.ones(len(answer.tokens.ids), dtype=bool)
    if reason.kind != "trait":
        shown = [PIECES[index] for index in answer.tokens.ids.tolist()]
        wanted = [PIECES[i] for i in model.tokenizer.pieces.of(plain(reason.text), LIMIT)]
        for start in range(len(shown) - len(wanted) + 1):
            end = start + len(wanted)
            whole = end == len(shown) or not shown[end].startswith("##")
            if wanted and shown[start:end] == wanted and whole:
                kept[start:end] = False
    second = float(np.array(answer.shares)[kept].mean())
    cascade = model.cascade
    return answer.log_odds - (cascade.intercept + cascade.reflex * first + cascade.reader * second)


@pytest.mark.parametrize("name", TABLES)
def test_each_reason_moves_the_combined_answer_by_its_share(first: Artifact, name: str) -> None:
    """Taken out, a named word, link or trait takes its part of what both stages said with it."""
    artifact = with_reader(first, TABLES[name])
    small = Filter(artifact, Rules.default(), None)
    model = Model.of(artifact)
    named: set[str] = set()

    @settings(max_examples=40)
    @given(raw_messages() | st.builds(message, st.booleans(), st.integers(0, 500)))
    def check(raw: bytes) -> None:
        answer = _answer(model, raw)
        assert answer.stage == "reader"
        silence = model.reflex.combiner.intercept
        scale = max(abs(answer.log_odds - silence), abs(answer.log_odds), 1.0)
        for reason in small.check(raw).reasons:
            if "\ufffd" in reason.text:  # a word that was cut within a sign cannot be typed again
                continue
            moved = _share_by_hand(model, raw, answer, reason) / scale
            assert np.clip(moved, -1, 1) == pytest.approx(reason.share, abs=1e-4)
            assert reason.share * answer.log_odds >= 0
            named.add(reason.kind)

    check()
    assert {"word", "trait"} <= named


@pytest.mark.parametrize("seed", range(6))
def test_a_word_that_is_named_lowers_the_answer_when_it_goes(first: Artifact, seed: int) -> None:
    """From the raw bytes: without the word another mail, another reading, a lower answer."""
    small = Filter(with_reader(first), Rules.default(), None)
    raw = message(True, 2_000 + seed)
    verdict = small.check(raw)
    assert verdict.stage == "reader"
    words = [reason for reason in verdict.reasons if reason.kind == "word"]
    assert words
    for reason in words:
        head, _, body = raw.decode().partition("\n\n")
        before, _, subject = head.partition("Subject: ")
        kept = [[w for w in text.split() if w != reason.text] for text in (subject, body)]
        rest = f"{before}Subject: {' '.join(kept[0])}\n\n{' '.join(kept[1])}\n"
        assert small.check(rest.encode()).probability < verdict.probability


def test_words_that_only_the_reader_knows_are_named(first: Artifact) -> None:
    """What decided is told, also where the hashed words never met it in training."""
    artifact = with_reader(first, {"viagra": 30.0})
    small = Filter(artifact, Rules.default(), None)
    raw = b"From: a@example.org\nSubject: x\n\nbuy V.I.A.G.R.A or v1agra here, viagra\n"
    verdict = small.check(raw)
    assert verdict.probability > 0.9
    found = [reason.text for reason in verdict.reasons if reason.share > 0.3]
    assert found
    assert found[0] in {"viagra", "v1agra"}
    silent = Filter(with_reader(first, {}), Rules.default(), None).check(raw)
    assert "viagra" not in [reason.text for reason in silent.reasons]


def test_a_reader_that_fails_while_reasons_are_sought_costs_a_reason(first: Artifact) -> None:
    """The answer was given; what cannot be asked again does not take it back."""
    reader = Counted(2.0)
    model = _with(first, reader)
    raw = MAIL[0][0]
    answer, rest = _answer(model, raw), read_evidence(raw)[2]
    word = raw.split(b"Subject: ")[1].split()[0].decode()
    assert answer.tokens is not None
    reader.fails, asked = True, reader.asked
    gone = Named("word", word, hash_bytes(word.encode()))
    assert model.again(answer, 1.0, rest, gone) == ALWAYS.log_odds(1.0, 2.0)
    assert reader.asked == asked + 1
    assert model.again(answer, 1.0, rest, Named("trait", word, 1)) == ALWAYS.log_odds(1.0, 2.0)
    assert model.again(answer, 1.0, rest, Named("word", "zebra", 1)) == ALWAYS.log_odds(1.0, 2.0)
    assert model.again(answer, 1.0, rest, None) == ALWAYS.log_odds(1.0, 2.0)
    assert reader.asked == asked + 1  # where the reader sees no difference it is not asked


def test_a_reflex_that_answered_alone_is_explained_alone(first: Artifact) -> None:
    """Nothing is asked of the reader for a message that it never read."""
    reader = Counted(9.0)
    model = _with(first, reader, SURE)
    message_, reading, evidence = read_evidence(MAIL[0][0])
    answer = model.answer(message_, reading, evidence)
    assert answer.stage == "reflex"
    assert model.again(answer, 0.75, evidence, Named("word", "money", 1)) == 0.75
    assert model.leading(answer, reading) == []
    assert reader.asked == 0


UTF_8 = b"Content-Type: text/plain; charset=utf-8\n\n"
RIGHT_TO_LEFT = "مرحبا بك في العرض المجاني שלום עולם "
MIXED = "Fr\u0435\u0435 m\u043en\u0435y 発票 бесплатно Ελλάδα ไทย हिन्दी money "
ODD = {
    "empty": b"",
    "one line end": b"\n",
    "one token": b"\n\nmoney",
    "no body": b"Subject: free money\n\n",
    "100,000 words": b"Subject: x\n\n" + b"meeting money zebra " * 33_334,
    "100,000 letters": b"Subject: x\n\n" + b"a" * 100_000,
    "100,000 subjects": b"Subject: " + b"free " * 100_000 + b"\n\nx",
    "emoji": "Subject: 🎁🎁\n".encode() + UTF_8 + "🎉🔥💰".encode() * 3_000,
    "right to left": "Subject: שלום\n".encode() + UTF_8 + RIGHT_TO_LEFT.encode() * 500,
    "mixed scripts": UTF_8 + MIXED.encode() * 500,
    "marks": UTF_8 + "a\u0301\u0323".encode() * 30_000,
    "binary": bytes(range(256)) * 400,
    "hidden": b"Content-Type: text/html\n\n" + b"<p style='display:none'>free money</p>" * 5_000,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_mail_has_an_answer_in_bounded_time(both: Artifact, name: str) -> None:
    """No message is so long or so strange that it stops the filter or goes without the reader."""
    small = Filter(both, Rules.default(), None)
    small.check(b"")
    start = time.process_time()
    verdict = small.check(ODD[name])
    assert time.process_time() - start < 2.0
    assert (verdict.stage, verdict.why) == ("reader", str(Why.UNSURE))
    assert 0.0 <= verdict.probability <= 1.0
    tokens = _answer(Model.of(both), ODD[name]).tokens
    assert tokens is not None
    assert 1 <= len(tokens.ids) <= LIMIT


@settings(max_examples=40)
@given(raw=st.one_of(st.binary(max_size=3000), raw_messages()))
def test_any_bytes_have_an_answer_of_both_stages(both: Artifact, raw: bytes) -> None:
    """Whatever comes in, reflex and reader answer it, alike with and without reasons."""
    small = Filter(both, Rules.default(), None)
    verdict = small.check(raw)
    assert verdict.stage == "reader"
    assert verdict.probability == small.check(raw, explain=False).probability
    assert len(verdict.reasons) <= 5


def test_the_table_is_what_the_tests_think(both: Artifact) -> None:
    """The graph of these tests is read as any other: sizes, words and all."""
    reader = Reader(both.files[READER_FILE])
    assert (reader.pieces, reader.limit) == (len(PIECES), LIMIT)
    assert both.files[READER_FILE] == table_graph(table_of(SCORES, PIECES), limit=LIMIT)
    ids = np.array([PIECES.index("money"), PIECES.index("lunch"), 0])
    value, shares = reader.read(Tokens(ids, np.zeros(3, dtype=np.int64)))
    assert (value, shares.tolist()) == (0.0, [8.0, -8.0, 0.0])
