"""When a model's reflex hands over, for a budget; figures of all its stages; spam in disguise."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cascaded import ALWAYS, corpus_of, second_stage, write_reflex, write_two_stages
from tests.synthetic import message
from winnow import recipe_cascade
from winnow.accounting import Budget, this_processor
from winnow.answering import Model
from winnow.artifact import read_artifact, write_artifact
from winnow.corpus import Corpus, Example
from winnow.corpus.evasion import EVASIONS
from winnow.errors import ArtifactError, InputError
from winnow.pipeline import Filter
from winnow.reading import read_evidence
from winnow.recipe_cascade import Handover, frontier_files, hand_over, shown_points
from winnow.runtime import Cascade, Opening, sigmoid
from winnow.training.cascade import HeldOut
from winnow.verdict import Label, Why

MAIL = [(message(s, n), Label.SPAM if s else Label.HAM) for n in range(40) for s in (True, False)]
KEPT = ("reflex.safetensors", "reader.onnx", "tokenizer.json")
SURE = replace(ALWAYS, low=0.0, high=0.0)


def _strange(spam: bool, seed: int) -> bytes:
    """Mail of words that the reflex never met; the reader knows one of them for spam."""
    word = "viagra" if spam else "zebra"
    return f"From: a@example.org\nSubject: {seed}\n\n{word} letter {chr(97 + seed)}\n".encode()


STRANGE = [
    (_strange(s, n), Label.SPAM if s else Label.HAM) for n in range(20) for s in (True, False)
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose reader knows a word that its reflex does not."""
    path = tmp_path_factory.mktemp("model") / "m.winnow"
    first = write_reflex(path, corpus_of(MAIL))
    second = second_stage({"viagra": 40.0}, ALWAYS)
    write_artifact(
        path,
        fingerprint=first.fingerprint,
        tensors=first.tensors,
        calibration=first.calibration | {"cascade": dict(second.cascade)},
        training=first.manifest["training"],
        version="0",
        files=second.files,
        stages=("reflex", "reader"),
        history=[{"step": "train reader"}, {"step": "quantize reader"}],
    )
    return path


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(trained, tmp_path / "copy.winnow"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model whose two stages know the same words; everything is handed over."""
    path = tmp_path_factory.mktemp("both") / "m.winnow"
    return Model.of(write_two_stages(path, corpus_of(MAIL)))


def _contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_a_budget_below_the_reflex_hands_nothing_over(model: Path) -> None:
    """What is too little for the reader is still enough for an answer: the reflex gives it."""
    before = _contents(model)
    artifact, handover = recipe_cascade.calibrate(
        model, [corpus_of(STRANGE)], Budget.parse("0.001us")
    )
    assert handover.chosen == handover.points[0]
    assert handover.chosen.handed_over_percent == 0
    small = Model.of(read_artifact(model))
    assert small.cascade == handover.cascade
    assert small.cascade is not None
    assert all(small.cascade.is_sure(value) for value in (-1e9, -3.0, 0.0, 3.0, 1e9))
    verdict = Filter.open(model).check(STRANGE[0][0])
    assert (verdict.stage, verdict.why) == ("reflex", str(Why.SURE))
    assert {name: artifact.files.get(name) for name in KEPT[1:]} == {
        name: before[name] for name in KEPT[1:]
    }


def test_a_large_budget_buys_what_helps(model: Path) -> None:
    """Mail that only the reader can tell apart is handed over, and then told apart."""
    _, handover = recipe_cascade.calibrate(model, [corpus_of(STRANGE)], Budget.parse("10s"))
    assert handover.chosen == handover.points[-1]
    assert handover.chosen.handed_over_percent > 40
    assert handover.chosen.errors_percent == 0 < handover.points[0].errors_percent
    small = Filter.open(model)
    for spam in (True, False):
        verdict = small.check(_strange(spam, 22))
        assert (verdict.stage, verdict.probability > 0.5) == ("reader", spam)


def test_what_is_written(model: Path) -> None:
    """The weights of both stages are as they were; how the choice was made lies beside them."""
    before = _contents(model)
    budget = Budget.parse(" 10s ")
    artifact, handover = recipe_cascade.calibrate(model, [corpus_of(STRANGE)], budget)
    after = _contents(model)
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    assert artifact.digest == read_artifact(model).digest
    assert artifact.calibration["cascade"] == handover.cascade.to_json()
    unchanged = {key: value for key, value in artifact.calibration.items() if key != "cascade"}
    assert unchanged.items() <= json.loads(before["calibration.json"]).items()
    history = [entry["step"] for entry in artifact.manifest["history"]]
    assert history == ["train", "train reader", "quantize reader", "calibrate"]
    assert artifact.manifest["history"][-1]["budget"] == "10s"
    assert artifact.manifest["history"][-1]["messages"] == len(STRANGE)
    assert artifact.manifest["stages"] == ["reflex", "reader"]
    assert artifact.manifest["training"] == json.loads(before["manifest.json"])["training"]
    table = json.loads(after["frontier.json"])
    assert table["budget"] == "10s"
    assert table["chosen"]["seconds"] == handover.chosen.seconds
    costs = [point["seconds"] for point in table["points"]]
    assert costs == sorted(costs)
    assert after["frontier.svg"].startswith(b"<svg ")
    again, _ = recipe_cascade.calibrate(model, [corpus_of(STRANGE)], budget)
    assert [entry["step"] for entry in again.manifest["history"]] == [*history, "calibrate"]


def test_gains_are_fitted_from_those_of_the_model(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site's little mail turns what was learnt from much; it does not begin anew."""
    began: list[Cascade | None] = []

    def spy(held: HeldOut, budget: Budget, *, before: Cascade | None) -> Handover:
        began.append(before)
        return hand_over(held, budget, before=before)

    monkeypatch.setattr(recipe_cascade, "hand_over", spy)
    recipe_cascade.calibrate(model, [corpus_of(STRANGE)], Budget.parse("1s"))
    assert began == [ALWAYS]


def test_openings_are_measured_and_what_is_made_of_them_is_kept(both: Model) -> None:
    """The band is for the answers that will be given, and no padding is tried on a site's mail."""
    opening = Opening(2, -0.1, 1.0, 0.5, -1.0)
    cascade = replace(ALWAYS, low=0.0, high=0.0, opening=opening)
    model = Model(both.reflex, both.reader, both.tokenizer, cascade)
    assert both.reader is not None
    assert both.tokenizer is not None
    held = recipe_cascade._measured(
        model, both.reader, both.tokenizer, [corpus_of(MAIL)], lambda *_: None
    )
    expected = []
    for raw, _ in MAIL:
        _, reading, evidence = read_evidence(raw)
        found = model.opening(reading, evidence, model.reflex.scores(evidence))
        assert found is not None
        expected.append(found[1])
    assert held.opening is not None
    assert held.opening.tolist() == expected
    assert hand_over(held, Budget.parse("1s"), before=cascade).cascade.opening == opening
    assert hand_over(held, Budget.parse("1s")).cascade.opening is None


def test_another_place_leaves_the_model_as_it_was(model: Path, tmp_path: Path) -> None:
    """`--out` is a trial: the model in use is not touched."""
    before = _contents(model)
    out = tmp_path / "new.winnow"
    artifact, _ = recipe_cascade.calibrate(model, [corpus_of(STRANGE)], Budget.parse("1s"), out=out)
    assert (artifact.path, _contents(model)) == (out, before)
    assert Model.of(read_artifact(out)).broken == ""


def test_calibrating_tells_its_progress(model: Path, tmp_path: Path) -> None:
    """Messages answered so far; how many there are is not known before."""
    told: list[tuple[str, int, int | None]] = []
    recipe_cascade.calibrate(
        model,
        [corpus_of(STRANGE[:20]), corpus_of(STRANGE[20:], "more")],
        Budget.parse("1s"),
        out=tmp_path / "new.winnow",
        progress=lambda *now: told.append(now),
    )
    assert told == [("answering", n, None) for n in range(1, len(STRANGE) + 1)]


def test_a_model_without_a_reader_is_told(tmp_path: Path) -> None:
    """There is nothing to hand over to, and the error says how to get it."""
    path = tmp_path / "m.winnow"
    write_reflex(path, corpus_of(MAIL))
    with pytest.raises(ArtifactError, match=r"has no reader .*--stage reader"):
        recipe_cascade.calibrate(path, [corpus_of(STRANGE)], Budget.parse("1ms"))


def test_a_broken_reader_is_told(model: Path) -> None:
    """A model is not written again without the stage that it lost."""
    (model / "reader.onnx").write_bytes(b"x")
    before = _contents(model)
    with pytest.raises(ArtifactError, match=r"reader\.onnx is damaged"):
        recipe_cascade.calibrate(model, [corpus_of(STRANGE)], Budget.parse("1ms"))
    assert _contents(model) == before


def _unlabelled(name: str = "box") -> Corpus:
    example = Example("7", b"Subject: x\n\ny", None, (0,), name, 13)
    return Corpus(name, 1, False, lambda: iter([example]))


def test_mail_that_cannot_be_calibrated_on_is_told(model: Path) -> None:
    """Unlabelled, too little, or of one class: a sentence, and the model stays as it is."""
    before = _contents(model)
    for corpora, told in (
        ([_unlabelled()], r"box: 7 has no label.*index\.tsv"),
        ([corpus_of(STRANGE[:4])], "too little mail"),
        ([corpus_of([entry for entry in STRANGE if entry[1] is Label.HAM])], "too little mail"),
        ([corpus_of([])], "too little mail"),
    ):
        with pytest.raises(InputError, match=told):
            recipe_cascade.calibrate(model, corpora, Budget.parse("1ms"))
    assert _contents(model) == before


def test_figures_are_of_the_whole_model(both: Model, trained: Path) -> None:
    """The probabilities that a server would give, and how many of them are the reader's."""
    applied = recipe_cascade.apply(both, [corpus_of(MAIL)], corpus="mail", view="content")
    assert applied.scored.ids == tuple(str(n) for n in range(len(MAIL)))
    assert applied.scored.label.tolist() == [label is Label.SPAM for _, label in MAIL]
    assert (applied.figures["corpus"], applied.figures["protocol"]) == ("mail", "apply")
    assert (applied.figures["view"], applied.figures["n_spam"]) == ("content", 40)
    assert applied.read_percent == 100
    assert 0 < applied.milliseconds < 1_000
    whole = Filter.open(trained)
    found = recipe_cascade.apply(
        Model.of(read_artifact(trained)), [corpus_of(STRANGE)], corpus="x", view="both"
    )
    wanted = [whole.check(raw, explain=False).probability for raw, _ in STRANGE]
    assert found.scored.probability.tolist() == wanted


def test_figures_say_how_much_the_reader_read(both: Model) -> None:
    """Of mail that the reflex is sure of none is; of some mail, some."""
    first = sorted(both.reflex.log_odds(read_evidence(raw)[2]) for raw, _ in MAIL[:20])
    told: list[tuple[str, int, int | None]] = []
    for cascade, percent in (
        (SURE, 0.0),
        (replace(ALWAYS, low=first[4], high=first[15]), 50.0),
    ):
        some = Model(both.reflex, both.reader, both.tokenizer, cascade)
        applied = recipe_cascade.apply(
            some,
            [corpus_of(MAIL[:20])],
            corpus="x",
            view="both",
            progress=lambda *now: told.append(now),
        )
        assert applied.read_percent == percent
    assert told == [("answering", n, None) for n in range(1, 21)] * 2


def test_repeated_and_unlabelled_mail(both: Model) -> None:
    """A message that comes twice counts once; one without a label is told."""
    applied = recipe_cascade.apply(both, [corpus_of([*MAIL, *MAIL[:10]])], corpus="x", view="both")
    assert len(applied.scored.ids) == len(MAIL)
    with pytest.raises(InputError, match="has no label"):
        recipe_cascade.apply(both, [_unlabelled()], corpus="x", view="both")


def test_spam_in_disguise_is_counted(both: Model) -> None:
    """Each evasion on the same spam; clean mail is what is compared with."""
    spam = [raw for raw, label in MAIL if label is Label.SPAM]
    said = np.array([both.answer(*read_evidence(raw)).log_odds for raw in spam])
    down = float(np.median(said)) - 2.0  # so that not all of it is caught
    cascade = replace(ALWAYS, intercept=ALWAYS.intercept - down)
    wary = Model(both.reflex, both.reader, both.tokenizer, cascade)
    found = recipe_cascade.evasions(wary, [corpus_of(MAIL)], seed=3)
    assert [entry.evasion for entry in found] == ["clean", *EVASIONS]
    clean, probability = found[0], [sigmoid(value - down) for value in said]
    assert clean.caught_at_half == sum(value >= 0.5 for value in probability)
    assert clean.caught_at_junk == sum(value >= 0.9 for value in probability)
    assert 0 < clean.caught_at_junk < clean.caught_at_half
    assert clean.kept_percent == 100
    for entry in found:
        assert entry.spam == len(spam)
        assert 0 <= entry.caught_at_junk <= entry.caught_at_half <= entry.spam
        assert entry.kept_percent == 100 * entry.caught_at_half / clean.caught_at_half
    assert recipe_cascade.evasions(wary, [corpus_of(MAIL)], seed=3) == found


def test_evasions_are_tried_on_so_much_spam(both: Model) -> None:
    """A large corpus does not take hours; progress goes up to its total, one message at a time."""
    told: list[tuple[str, int, int | None]] = []
    found = recipe_cascade.evasions(
        both, [corpus_of(MAIL)], most=3, progress=lambda *now: told.append(now)
    )
    assert {entry.spam for entry in found} == {3}
    total = 3 * (1 + len(EVASIONS))
    assert told == [("evading", n, total) for n in range(1, total + 1)]


def test_spam_that_is_never_caught_has_lost_nothing(both: Model) -> None:
    """Nothing is divided by nothing."""
    blind = Model(both.reflex, both.reader, both.tokenizer, replace(ALWAYS, intercept=-1e3))
    found = recipe_cascade.evasions(blind, [corpus_of(MAIL)], most=3)
    assert {(entry.caught_at_half, entry.kept_percent) for entry in found} == {(0, 100.0)}


def test_without_spam_there_is_nothing_to_disguise(both: Model) -> None:
    """Ham alone is told, not counted as 100%."""
    ham = [entry for entry in MAIL if entry[1] is Label.HAM]
    with pytest.raises(InputError, match="no spam"):
        recipe_cascade.evasions(both, [corpus_of(ham)])


def _held(count: int = 400) -> HeldOut:
    """Answers of two stages of which the second is the better one."""
    random = np.random.default_rng(0)
    spam = np.arange(count) % 2 == 0
    side = np.where(spam, 1.0, -1.0)
    return HeldOut(
        reflex=side + random.normal(0, 1.5, count),
        reader=2 * side + random.normal(0, 1.5, count),
        spam=spam,
        weights=np.ones(count),
        reflex_seconds=1e-4,
        reader_seconds=np.full(count, 2e-3),
    )


@pytest.mark.parametrize("budget", ["0.1ms", "0.2ms", "0.5ms", "1ms", "2mJ", "5ms"])
def test_the_mean_cost_is_within_the_budget(budget: str) -> None:
    """More money, no more errors; and never more money than there is."""
    handover = hand_over(_held(), Budget.parse(budget))
    allowed = Budget.parse(budget).as_cpu_seconds(this_processor()).value
    assert handover.chosen.seconds <= allowed
    cheaper = hand_over(_held(), Budget.parse("0.05ms")).chosen
    assert handover.chosen.errors_percent <= cheaper.errors_percent
    assert (handover.cascade.low, handover.cascade.high) == (
        handover.chosen.low,
        handover.chosen.high,
    )


def test_gains_are_shrunk_before_the_band_is_chosen() -> None:
    """Humility changes what the reader's answer is worth, and so what is worth handing over."""
    whole = hand_over(_held(), Budget.parse("1ms")).cascade

    def half(cascade: Cascade) -> Cascade:
        return replace(cascade, reflex=cascade.reflex / 2, reader=cascade.reader / 2)

    shrunk = hand_over(_held(), Budget.parse("1ms"), shrink=half).cascade
    assert shrunk.reflex == pytest.approx(whole.reflex / 2, rel=1e-9)
    assert shrunk.reader == pytest.approx(whole.reader / 2, rel=1e-9)


def test_gains_stay_close_to_those_before() -> None:
    """A site with little mail turns the dials a little; without mail to tell, not at all."""
    held, before = _held(10), Cascade(0.2, 1.5, 0.0, -1.0, 1.0)
    found = [hand_over(held, Budget.parse("1ms"), before=b).cascade for b in (before, None)]
    assert abs(found[0].reader - 1.5) < abs(found[1].reader - 1.5)


@pytest.mark.parametrize("most", [2, 5, 16, 10_000])
def test_a_table_shows_a_part_of_the_frontier(most: int) -> None:
    """Cheapest, dearest and the chosen one are always among it, in order of their cost."""
    handover = hand_over(_held(), Budget.parse("0.7ms"))
    points = handover.points
    shown = shown_points(handover, most)
    assert len(shown) <= min(len(points), most + 1)
    assert handover.chosen in shown
    assert (shown[0], shown[-1]) == (points[0], points[-1])
    assert shown == sorted(shown, key=lambda point: point.seconds)


def test_the_frontier_in_json() -> None:
    """Seconds, joules and percent of each point; an estimate says so."""
    handover = hand_over(_held(), Budget.parse("1ms"))
    table: dict[str, Any] = json.loads(frontier_files(handover)["frontier.json"])
    first = table["points"][0]
    assert first["joules"] == pytest.approx(first["seconds"] * this_processor().watts, rel=1e-12)
    assert first["joules_quality"] == "estimated"
    assert table["chosen"]["low"] == handover.cascade.low
    assert b"chosen" in frontier_files(handover)["frontier.svg"]
