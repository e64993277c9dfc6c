"""Labelled mail to a model of two stages, with a backbone small enough to train in a moment."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx_ir", reason="the extra [train] is not installed")
pytest.importorskip("optax", reason="the extra [train] is not installed")

from tests.cascaded import corpus_of
from tests.model.tiny import VOCABULARY, random_weights, small_shape, write_backbone
from tests.synthetic import message
from winnow.accounting import Budget
from winnow.answering import Model
from winnow.artifact import Artifact, read_artifact
from winnow.corpus import Corpus
from winnow.errors import InputError
from winnow.features import STREAM_HEAD, Named, Tokenizer, stream_hashes, without_word
from winnow.features.hashing import hash_bytes
from winnow.features.pieces import REQUIRED
from winnow.model.backbone import Backbone, read_backbone
from winnow.pipeline import Filter
from winnow.policy import Rules
from winnow.reading import read_evidence, text_form
from winnow.recipe_cascade import Handover
from winnow.recipe_graph import compiled
from winnow.recipe_reader import (
    VARIANTS,
    Mail,
    ReaderOptions,
    TrainedReader,
    gather_texts,
    make_with_reader,
    reader_record,
    reader_rows,
    split,
    teach,
    text_of,
    tokenizer_for,
)
from winnow.runtime import Reader, cascade_of
from winnow.tokens import Tokens
from winnow.training.cascade import HeldOut
from winnow.training.reader import Schedule, answer
from winnow.training.train import Options
from winnow.verdict import Label

# The last piece is a word of one source alone.
PIECES = (*VOCABULARY[:-1], "unheard")
HOW = ReaderOptions(
    layers=(0,),
    pieces=400,
    limit=32,
    schedule=Schedule(draws=320, batch=16, rate=3e-3, look=5),
)
ALL = Budget.parse("10s")


def _corpus(name: str, seeds: range, more: bytes = b"") -> Corpus:
    labels = ((True, Label.SPAM), (False, Label.HAM))
    mail = [(message(spam, n) + more, label) for n in seeds for spam, label in labels]
    return corpus_of(mail, name)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A tiny encoder of random weights."""
    return read_backbone(write_backbone(tmp_path_factory.mktemp("bert"), vocabulary=PIECES))


@pytest.fixture(scope="module")
def mail() -> Mail:
    """Three sources, of which one has a word of its own."""
    rest = [_corpus("b", range(25, 40)), _corpus("c", range(50, 60), b"unheard unheard\n")]
    return gather_texts([_corpus("a", range(25)), *rest])


@dataclass
class Made:
    """A model and what was said while it was made."""

    artifact: Artifact
    handover: Handover
    told: list[tuple[str, int, int | None]] = field(default_factory=list)

    @property
    def stages(self) -> list[str]:
        """Names of the stages of the work, in order."""
        return list(dict.fromkeys(stage.split(",")[0] for stage, _, _ in self.told))

    @property
    def reader(self) -> dict[str, Any]:
        """How the reader was trained."""
        found: dict[str, Any] = self.artifact.manifest["training"]["reader"]
        return found


def _make(mail: Mail, out: Path, backbone: Backbone, **changes: Any) -> Made:
    told: list[tuple[str, int, int | None]] = []
    how = {"budget": ALL, "progress": lambda *now: told.append(now)} | changes
    return Made(*make_with_reader(mail, out, Options(), HOW, backbone, **how), told)


@pytest.fixture(scope="module")
def made(mail: Mail, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model of both stages."""
    return _make(mail, tmp_path_factory.mktemp("model") / "m.winnow", backbone)


def test_texts_belong_to_their_rows(mail: Mail) -> None:
    """A label that slips by one message teaches the reader the opposite."""
    assert len(mail.texts) == len(mail.variants) == len(mail.dataset) == 100
    corpora = (_corpus("a", range(25)), _corpus("b", range(25, 40)))
    raws = [example.raw for corpus in corpora for example in corpus]
    for row, raw in enumerate(raws):
        parsed, reading, evidence = read_evidence(raw)
        assert mail.texts[row] == text_of(parsed, reading)
        assert mail.dataset.evidence(row).to_bytes() == evidence.to_bytes()
    words = [set(" ".join(text).split()) for text in mail.texts[:2]]
    assert [bool(found & {"meeting", "lunch", "report", "draft"}) for found in words] == [
        False,
        True,
    ]
    assert mail.dataset.spam[:2].tolist() == [True, False]


def test_repeated_mail_has_no_text(backbone: Backbone) -> None:
    """A message that comes twice is one row, one text and one variant."""
    found = gather_texts([_corpus("a", range(3)), _corpus("b", range(5))])
    assert len(found.texts) == len(found.variants) == len(found.dataset) == 10


def test_variants_are_the_same_mail_in_disguise() -> None:
    """Each message once as an evader would write it; the seed chooses how."""
    told: list[tuple[str, int, int | None]] = []
    first = gather_texts([_corpus("a", range(20))], progress=lambda *now: told.append(now))
    again = gather_texts([_corpus("a", range(20))])
    other = gather_texts([_corpus("a", range(20))], seed=1)
    assert first.variants == again.variants != other.variants
    assert first.texts == other.texts
    changed = [text != variant for text, variant in zip(first.texts, first.variants, strict=True)]
    assert np.mean(changed) > 0.5
    assert told == [(stage, n, 40) for stage in ("reading", "varying") for n in range(1, 41)]
    assert gather_texts([_corpus("a", range(20))], variants=False).variants == []


def test_pieces_are_those_that_the_mail_uses(mail: Mail) -> None:
    """A small vocabulary has room for the words of this mail, and fits the reader's input."""
    found = tokenizer_for(mail.texts, PIECES, pieces=10_000, limit=32)
    kept = found.pieces.pieces
    assert kept[: len(REQUIRED)] == REQUIRED
    assert {"meeting", "pills", "unheard"} <= set(kept)
    assert "[UNK]" not in kept
    assert (found.limit, found.form) == (32, text_form())
    small = tokenizer_for(mail.texts, PIECES, pieces=len(REQUIRED) + 50, limit=32)
    assert small.pieces.pieces == kept[: len(REQUIRED) + 50]


@pytest.fixture(scope="module")
def tokenizer(mail: Mail) -> Tokenizer:
    """Of all the mail."""
    return tokenizer_for(mail.texts, PIECES, pieces=400, limit=32)


def test_rows_are_mail_and_its_variants(mail: Mail, tokenizer: Tokenizer) -> None:
    """Each message is drawn by its weight, its variant so much less often, under the same label."""
    members = np.array([7, 2, 90, 5])
    rows = reader_rows(mail, members, tokenizer)
    spam = mail.dataset.spam[members]
    assert len(rows) == 8
    assert rows.target.tolist() == [*spam.tolist(), *spam.tolist()]
    for place, row in enumerate(members.tolist()):
        for offset, texts in ((0, mail.texts), (4, mail.variants)):
            wanted = tokenizer.assemble(texts[row])
            assert rows.tokens[place + offset].ids.tolist() == wanted.ids.tolist()
        assert rows.weight[place + 4] == rows.weight[place] * VARIANTS[bool(spam[place])]
    own = rows.weight[:4]
    assert own[spam].sum() == pytest.approx(own[~spam].sum(), rel=1e-9)
    assert len(reader_rows(replace(mail, variants=[]), members, tokenizer)) == 4


def test_the_readers_texts_are_no_part_of_the_reflexs_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a budget that counts in milliseconds would be spent before the reader is asked."""

    def slow(*_: object) -> tuple[str, ...]:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        return ("", "", "", "", "")

    monkeypatch.setattr("winnow.recipe_reader.text_of", slow)
    found = gather_texts([_corpus("a", range(10))], variants=False)
    assert len(found.texts) == 20
    assert found.gathered.seconds < 0.2


def test_openings_and_padding_reach_the_cascade(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four answers of the reflex for each held-out message, and the opening's for each tested."""
    long = b" ".join(message(False, 900 + n).split(b"\n\n")[1] for n in range(3))
    mail = gather_texts([_corpus("mail", range(60), long)])
    kept: list[HeldOut] = []
    given: list[Any] = []

    class Spy:
        def log_odds(self, reflex: Any, reader: Any, opening: Any) -> Any:
            given.extend([reflex, opening])
            return reflex

    def spy(held: HeldOut, budget: Budget) -> Any:
        kept.append(held)
        return SimpleNamespace(cascade=Spy())

    monkeypatch.setattr("winnow.recipe_reader.hand_over", spy)
    split(mail, Options(), HOW, backbone, corpus="mail")
    (held,) = kept
    assert held.opening is not None
    assert held.padded is not None
    assert held.padded_opening is not None
    assert held.padded_opening.tolist() == held.opening.tolist()  # what is added lies below it
    for one, other in ((held.reflex, held.opening), (held.reflex, held.padded), given):
        assert one.tolist() != other.tolist()
    assert held.padded.tolist() != held.opening.tolist()


def test_mail_of_one_place_keeps_its_share_of_spam(mail: Mail, tokenizer: Tokenizer) -> None:
    """Nine spam and one ham are drawn as nine and one where that share says something."""
    uneven = np.flatnonzero(mail.dataset.spam)[:9]
    uneven = np.append(uneven, np.flatnonzero(~mail.dataset.spam)[:1])
    rows = reader_rows(replace(mail, variants=[]), uneven, tokenizer, even_classes=False)
    assert rows.weight[:9].sum() > 2 * rows.weight[9]


def _untrained(tokenizer: Tokenizer) -> TrainedReader:
    """A reader of random weights."""
    shape = small_shape(pieces=len(tokenizer.pieces.pieces), positions=tokenizer.limit, layers=1)
    return TrainedReader(tokenizer, shape, random_weights(shape), [(5, 0.5, float("nan"))], 1.25)


def test_a_teacher_is_heard_beside_the_label(mail: Mail, tokenizer: Tokenizer) -> None:
    """Seven parts of ten are what it says, the rest is the truth; which mail is drawn stays."""
    teacher = _untrained(tokenizer)
    rows = reader_rows(mail, np.arange(20), tokenizer)
    taught = teach(teacher, rows)
    said = 1 / (1 + np.exp(-answer(teacher.weights, rows, teacher.shape)))
    assert np.abs(taught.target - (0.3 * rows.target + 0.7 * said)).max() < 1e-6
    assert taught.target.dtype == np.float32
    assert np.ptp(said) > 0.01
    assert taught.tokens is rows.tokens
    assert taught.weight is rows.weight


@pytest.mark.parametrize(
    ("held_out", "told"),
    [
        (["a", "nobody"], r"--held-out nobody: the corpora are a, b, c\."),
        (["a", "b", "c"], "left to learn from is of one class"),
    ],
)
def test_what_cannot_be_held_out_is_told(
    mail: Mail, backbone: Backbone, tmp_path: Path, held_out: Sequence[str], told: str
) -> None:
    """A name that was mistyped, or everything: before any training, with the names there are."""
    with pytest.raises(InputError, match=told):
        _make(mail, tmp_path / "m.winnow", backbone, held_out=held_out)
    assert not list(tmp_path.iterdir())


def test_one_class_cannot_be_held_out(backbone: Backbone, tmp_path: Path) -> None:
    """A corpus of ham alone tells nothing about when to stop."""
    ham = corpus_of([(message(False, n), Label.HAM) for n in range(300, 310)], "ham")
    both = gather_texts([_corpus("a", range(20)), ham])
    with pytest.raises(InputError, match="held out is of one class"):
        _make(both, tmp_path / "m.winnow", backbone, held_out=["ham"])


@pytest.mark.slow
def test_a_model_of_both_stages(made: Made) -> None:
    """What is written is read, answers by its reader, and tells unseen mail apart."""
    artifact = read_artifact(made.artifact.path)
    assert artifact.manifest["stages"] == ["reflex", "reader"]
    assert artifact.digest == made.artifact.digest
    assert artifact.faults == ()
    assert set(artifact.files) == {
        *("reader.onnx", "tokenizer.json", "reader-learning.svg", "frontier.svg", "frontier.json"),
    }
    model = Model.of(artifact)
    assert model.broken == ""
    assert model.cascade == made.handover.cascade
    assert model.reader is not None
    both = Filter.open(made.artifact.path)
    for n in range(20):
        raw = message(bool(n % 2), 900 + n)
        verdict = both.check(raw)
        assert (verdict.probability > 0.5) == bool(n % 2)
        parsed, reading, evidence = read_evidence(raw)
        said = model.answer(parsed, reading, evidence)
        assert verdict.stage == said.stage
        # The reader by itself, which saw none of these either.
        assert model.tokenizer is not None
        alone, _ = model.reader.read(model.tokenizer.read(parsed, reading))
        assert (alone > 0) == bool(n % 2)


@pytest.mark.slow
def test_reasons_of_a_transformer_are_true(made: Made) -> None:
    """A named thing, when it goes, moves what both stages say together by its share."""
    fitted = made.handover.cascade
    cascade = replace(fitted, low=-1e6, high=1e6, reader=max(0.5, fitted.reader))
    calibration = made.artifact.calibration | {"cascade": cascade.to_json()}
    artifact = replace(made.artifact, calibration=calibration)
    model, both = Model.of(artifact), Filter(artifact, Rules.default(), None)
    assert model.reader is not None
    assert model.tokenizer is not None
    moved_by_reader = 0
    for n in range(8):
        raw = message(bool(n % 2), 950 + n)
        parsed, reading, evidence = read_evidence(raw)
        answer = model.answer(parsed, reading, evidence)
        assert answer.tokens is not None
        silence = model.reflex.combiner.intercept
        scale = max(abs(answer.log_odds - silence), abs(answer.log_odds), 1.0)
        for reason in both.check(raw).reasons:
            pieces = model.tokenizer.pieces.of(reason.text, 9)
            if reason.kind != "word" or len(pieces) > 1:
                continue
            thing = Named("word", reason.text, hash_bytes(reason.text.encode()))
            rest = replace(
                reading.without(thing, evidence),
                stream=stream_hashes(without_word(raw[:STREAM_HEAD], reason.text)),
            )
            kept = answer.tokens.ids != pieces[0]
            left = Tokens(answer.tokens.ids[kept], answer.tokens.fields[kept])
            second, _ = model.reader.read(left)
            combined = cascade.log_odds(model.reflex.log_odds(rest), second)
            assert reason.share == pytest.approx((answer.log_odds - combined) / scale, abs=1e-5)
            moved_by_reader += abs(second - model.reader.read(answer.tokens)[0]) > 1e-3
    assert moved_by_reader > 8


@pytest.mark.slow
def test_the_manifest_says_how_it_was_made(made: Made) -> None:
    """Layers, pieces, schedule, curve and what rounding did: enough to make it again."""
    record = made.reader
    assert (record["backbone_layers"], record["limit"]) == ([0], 32)
    assert record["pieces"] == len(json.loads(made.artifact.files["tokenizer.json"])["pieces"])
    assert record["schedule"]["draws"] == 320
    assert [step for step, _, _ in record["curve"]] == [5, 10, 15, 20, record["curve"][-1][0]]
    assert {unseen for _, _, unseen in record["curve"]} == {None}  # nothing to stop by
    assert record["curve"][-1][1] < record["curve"][0][1]
    assert record["cpu_seconds"] > 0
    history = made.artifact.manifest["history"]
    steps = ["train", "train reader", "quantize reader"]
    assert [entry["step"] for entry in history] == steps
    # The file gives the answer of both stages, too.
    assert 0 < len(made.artifact.files["reader.onnx"]) - history[2]["bytes"] < 8_192
    assert history[2]["bytes"] < history[1]["bytes"]
    graph = Reader(made.artifact.files["reader.onnx"])
    assert graph.cascade == cascade_of(made.artifact).spelt()
    assert b"How the reader learnt" in made.artifact.files["reader-learning.svg"]
    assert made.stages[:1] == ["calibrating"]
    assert made.stages.count("reader") == 1
    told = [entry for entry in made.told if entry[0].startswith("reader")]
    assert [done for _, done, _ in told] == [16 * n for n in range(1, len(told) + 1)]
    assert {total for _, _, total in told} == {16 * len(told)}


@pytest.mark.slow
def test_the_same_mail_gives_the_same_reader(
    made: Made, mail: Mail, backbone: Backbone, tmp_path: Path
) -> None:
    """A model can be made again, bit by bit; and one that was trained is not trained again."""
    first = _make(mail, tmp_path / "a.winnow", backbone, checkpoint=tmp_path / "kept")
    names = ("reader.onnx", "tokenizer.json")
    for name in names:
        assert first.artifact.files[name] == made.artifact.files[name]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["reader.safetensors"]
    again = _make(mail, tmp_path / "b.winnow", backbone, checkpoint=tmp_path / "kept")
    assert "reader" in first.stages
    assert "reader" not in again.stages
    for name in names:
        assert again.artifact.files[name] == made.artifact.files[name]
    assert again.reader["curve"] == first.reader["curve"]


@pytest.mark.slow
def test_a_corpus_that_is_held_out_is_not_learnt(
    mail: Mail, backbone: Backbone, tmp_path: Path
) -> None:
    """It says when to stop and when to hand over; a teacher comes first and is kept, too."""
    found = _make(
        mail,
        tmp_path / "m.winnow",
        backbone,
        held_out=["c"],
        teacher=replace(HOW, layers=(1,)),
        checkpoint=tmp_path / "kept",
    )
    assert [stage for stage in found.stages if stage in ("teacher", "reader")] == [
        "teacher",
        "reader",
    ]
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {
        "teacher.safetensors",
        "reader.safetensors",
    }
    assert all(unseen > 0 for _, _, unseen in found.reader["curve"])
    pieces = json.loads(found.artifact.files["tokenizer.json"])["pieces"]
    assert "meeting" in pieces
    assert "unheard" not in pieces
    assert found.reader["compiled"]["messages"] == 20
    # What the teacher said is what the reader learnt: without it the reader is another one.
    alone = _make(mail, tmp_path / "n.winnow", backbone, held_out=["c"])
    assert alone.artifact.files["tokenizer.json"] == found.artifact.files["tokenizer.json"]
    assert alone.artifact.files["reader.onnx"] != found.artifact.files["reader.onnx"]
    assert alone.reader["backbone_layers"] == found.reader["backbone_layers"] == [0]


@pytest.mark.slow
def test_a_split_is_answered_by_both(mail: Mail, backbone: Backbone) -> None:
    """The reflex alone and the cascade are judged on the same mail, which neither has seen."""
    alone, both = split(mail, Options(), HOW, backbone, corpus="mail")
    assert alone.scored.ids == both.scored.ids
    assert len(alone.scored.ids) == 30
    for found in (alone, both):
        assert (found.figures["corpus"], found.figures["protocol"]) == ("mail", "split")
        assert found.figures["one_minus_roca_percent"] < 5
    assert alone.scored.probability.tolist() != both.scored.probability.tolist()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"layers": (0, 2)}, "has layers 0 to 1"),
        ({"limit": 129}, "made for 128 tokens"),
    ],
)
def test_what_the_backbone_does_not_have_is_told(
    mail: Mail, backbone: Backbone, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    """Nothing is written, and the error says what there is."""
    with pytest.raises(InputError, match=told):
        make_with_reader(mail, tmp_path / "m.winnow", Options(), replace(HOW, **change), backbone)
    assert not list(tmp_path.iterdir())


def test_files_and_record_of_a_reader(mail: Mail, tokenizer: Tokenizer) -> None:
    """JSON without NaN, and a picture also of a training that looked once."""
    trained = _untrained(tokenizer)
    rows = reader_rows(replace(mail, variants=[]), np.arange(4), tokenizer)
    small = compiled(trained.weights, trained.shape, rows)
    record = reader_record(trained, HOW, small)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["curve"] == [[5, 0.5, None]]
    assert record["cpu_seconds"] == 1.2
