"""A classifier exported elsewhere becomes a model that answers, learns and can be calibrated."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cascaded import corpus_of, write_reflex, write_two_stages
from tests.imported import (  # skips without the extras
    BIAS,
    POSITIONS,
    VOCABULARY,
    classifier,
    helper,
    numpy_helper,
    onnx,
    table_of,
    tokenizer_json,
    write_classifier,
)
from tests.synthetic import message
from winnow import recipe_cascade
from winnow.accounting import Budget
from winnow.answering import GIVEN_FILE, READER_FILE, TOKENIZER_FILE, Model
from winnow.artifact import Artifact, read_artifact
from winnow.errors import ArtifactError, InputError
from winnow.pipeline import Filter
from winnow.policy import Rules
from winnow.reading import read_evidence
from winnow.recipe_import import (
    LARGEST_GRAPH_BYTES,
    Imported,
    Wishes,
    import_classifier,
)
from winnow.store import Store
from winnow.verdict import Label, Learnt, Why

# Sums of a few numbers below ten in another order.
TOLERANCE = 1e-5
MAIL = [(message(s, n), Label.SPAM if s else Label.HAM) for n in range(40) for s in (True, False)]
ODD = b"From: Pills <a@example.org>\nSubject: cheap Cheap\n\nthe meeting: casino!\n"
# [CLS] cheap cheap | pills | the meeting [UNK] casino ! [SEP], of the scores in tests.imported
ODD_SCORES = (0, 8, 8, 8, 0, -8, 0, 8, 0, 0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one stage, which gives the reflex."""
    return write_reflex(tmp_path_factory.mktemp("base") / "b.winnow", corpus_of(MAIL)).path


def _import(folder: Path, base: Path, model: Any = None, **wishes: Any) -> Imported:
    path = write_classifier(folder, model)
    return import_classifier(path, base, folder / "i.winnow", Wishes(**wishes))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Artifact:
    """A model whose reader says the mean of the scores of its tokens, less a half."""
    return _import(tmp_path_factory.mktemp("imported"), base).artifact


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Artifact:
    """One whose reader says the largest score, and not what each token added."""
    folder = tmp_path_factory.mktemp("silent")
    return _import(folder, base, classifier(pool="largest", final="Softmax")).artifact


def test_it_answers_as_the_classifier_does(imported: Artifact, base: Path) -> None:
    """From the message's bytes, by its own tokenizer, alone: the reflex's answer is not in it."""
    model = Model.of(imported)
    assert model.broken == ""
    answer = model.answer(*read_evidence(ODD))
    assert answer.tokens is not None
    shown = [VOCABULARY[index] for index in answer.tokens.ids.tolist()]
    assert shown == [
        "[CLS]",
        "cheap",
        "cheap",
        "pills",
        "the",
        "meeting",
        "[UNK]",
        "casino",
        "!",
        "[SEP]",
    ]
    assert answer.log_odds == pytest.approx(np.mean(ODD_SCORES) + BIAS, abs=TOLERANCE)
    assert answer.shares == pytest.approx([score + BIAS for score in ODD_SCORES], abs=TOLERANCE)
    assert (answer.stage, answer.why) == ("reader", Why.UNCALIBRATED)
    reflex = Model.of(read_artifact(base)).reflex.log_odds(read_evidence(ODD)[2])
    assert model.reflex.log_odds(read_evidence(ODD)[2]) == reflex


def test_what_is_written(imported: Artifact, base: Path) -> None:
    """The graph, the tokenizer as it is, how it is given a message; and how it came about."""
    assert set(imported.files) == {READER_FILE, TOKENIZER_FILE, GIVEN_FILE}
    assert imported.files[TOKENIZER_FILE] == tokenizer_json()
    assert imported.manifest["stages"] == ["reflex", "reader"]
    made = imported.manifest["training"]["reader"]
    assert made["imported"] == "model.onnx"
    assert (made["classes"], made["spam"], made["limit"]) == (2, 1, POSITIONS)
    first, step = imported.manifest["history"]
    assert (first["step"], step["step"]) == ("train", "import reader")
    assert step["bytes"] == len(imported.files[READER_FILE])
    assert 0 <= step["max_abs_error"] < TOLERANCE
    old = read_artifact(base)
    assert imported.manifest["training"] == old.manifest["training"] | {"reader": made}
    assert set(imported.tensors) == set(old.tensors)


def test_the_same_files_make_the_same_model(imported: Artifact, base: Path, tmp_path: Path) -> None:
    """Byte for byte, so that two machines agree on the digest."""
    again = _import(tmp_path, base).artifact
    assert again.files == imported.files
    assert again.digest == imported.digest


def test_nothing_of_the_bases_own_reader_is_left(tmp_path: Path) -> None:
    """Its graph, its frontier and its cascade would be of another reader."""
    both = write_two_stages(tmp_path / "both.winnow", corpus_of(MAIL)).path
    found = _import(tmp_path, both).artifact
    assert set(found.files) == {READER_FILE, TOKENIZER_FILE, GIVEN_FILE}
    assert not Model.of(found).cascade.is_calibrated  # type: ignore[union-attr]


def test_reasons_are_true_of_the_classifier(imported: Artifact) -> None:
    """Words that it heard, each measured by reading again without it."""
    verdict = Filter(imported, Rules.default(), None).check(ODD)
    words = {reason.text: reason.share for reason in verdict.reasons}
    assert set(words) >= {"cheap", "casino"}
    assert "meeting" not in words  # it speaks against
    whole = np.mean(ODD_SCORES) + BIAS
    left = np.mean([0, 8, 0, -8, 0, 8, 0, 0]) + BIAS  # without "cheap", twice
    scale = max(abs(whole), 1.0)
    assert words["cheap"] == pytest.approx(min(1.0, (whole - left) / scale), abs=1e-4)


def test_reasons_of_one_that_does_not_tell(silent: Artifact) -> None:
    """The only word that moves the largest score is found among thirty."""
    ordinary = "the a of and to " * 6
    raw = f"From: x@example.org\nSubject: to\n\n{ordinary} Casino {ordinary}\n".encode()
    verdict = Filter(silent, Rules.default(), None).check(raw)
    assert verdict.probability > 0.99
    assert [reason.text for reason in verdict.reasons] == ["casino"]


def test_whoever_opens_it_is_told(imported: Artifact, caplog: pytest.LogCaptureFixture) -> None:
    """`check`, `learn` and `serve` say that it is not calibrated, and what to do."""
    with caplog.at_level(logging.WARNING, "winnow.pipeline"):
        Filter(imported, Rules.default(), None)
    assert caplog.messages == [
        f"{imported.label}: the reader answers alone, not calibrated: run `winnow calibrate` on "
        "labelled mail"
    ]


def test_a_correction_is_kept_until_it_counts(imported: Artifact, tmp_path: Path) -> None:
    """The reader answers alone, so that nothing moves; once calibrated the reflex is heard."""
    store = Store.open(tmp_path / "s.db")
    small = Filter(imported, Rules.default(), store)
    before = small.check(ODD).probability
    assert small.learn(ODD, Label.HAM, source="test") is Learnt.LEARNT
    assert small.check(ODD).probability == before
    small.close()
    shutil.copytree(imported.path, tmp_path / "c.winnow")
    budget = Budget.parse("1s")
    mail = corpus_of([(message(s, 900 + n), label) for n in range(40) for s, label in _BOTH])
    calibrated, _ = recipe_cascade.calibrate(tmp_path / "c.winnow", [mail], budget)
    fresh = Filter(calibrated, Rules.default(), None)
    taught = Filter(calibrated, Rules.default(), Store.open(tmp_path / "s.db"))
    taught.refresh()
    assert taught.check(ODD).probability < fresh.check(ODD).probability
    taught.close()


_BOTH = ((True, Label.SPAM), (False, Label.HAM))


def test_calibrated_on_mail_it_is_a_stage_as_any_other(imported: Artifact, tmp_path: Path) -> None:
    """Gains that are fitted, a band for the budget, no more notice; what it says is weighed."""
    shutil.copytree(imported.path, tmp_path / "c.winnow")
    mail = corpus_of([(message(s, 900 + n), label) for n in range(60) for s, label in _BOTH])
    calibrated, handover = recipe_cascade.calibrate(
        tmp_path / "c.winnow", [mail], Budget.parse("1s")
    )
    cascade = handover.cascade
    assert cascade.is_calibrated
    assert cascade.reader > 0
    model = Model.of(calibrated)
    assert (model.broken, model.notice) == ("", "")
    model.cascade = cascade.__class__(cascade.reflex, cascade.reader, cascade.intercept, -1e6, 1e6)
    answer = model.answer(*read_evidence(ODD))
    assert answer.why is Why.UNSURE
    first = model.reflex.log_odds(read_evidence(ODD)[2])
    assert answer.reader is not None
    assert answer.log_odds == pytest.approx(cascade.log_odds(first, answer.reader), abs=1e-4)
    assert calibrated.manifest["history"][-1]["step"] == "calibrate"
    assert calibrated.files[READER_FILE] == imported.files[READER_FILE]


def test_a_reader_that_tells_nothing_gets_no_weight(base: Path, tmp_path: Path) -> None:
    """Nobody has weighed it, so what is believed without mail to show for it is the reflex."""
    path = _import(tmp_path, base, classifier(table=table_of({}))).artifact.path
    mail = corpus_of([(message(s, 900 + n), label) for n in range(30) for s, label in _BOTH])
    _, handover = recipe_cascade.calibrate(path, [mail], Budget.parse("1s"))
    assert abs(handover.cascade.reader) < 0.05
    assert handover.cascade.reflex > 0.5


def test_evaluated_it_is_as_good_as_its_answers(imported: Artifact) -> None:
    """The figures are of the reader's own answers, all of them."""
    mail = [(message(s, 900 + n), label) for n in range(20) for s, label in _BOTH]
    model = Model.of(imported)
    found = recipe_cascade.apply(model, [corpus_of(mail)], corpus="mail", view="both")
    assert found.read_percent == 100
    right = [
        (model.answer(*read_evidence(raw)).log_odds >= 0) is (label is Label.SPAM)
        for raw, label in mail
    ]
    assert found.figures["accuracy_percent"] == pytest.approx(100 * np.mean(right))


BROKEN = {
    "no tokenizer": (TOKENIZER_FILE, None, r"tokenizer\.json is missing"),
    "no way to give": (GIVEN_FILE, None, r"reader\.json is missing"),
    "another tokenizer": (TOKENIZER_FILE, b"{}", "no tokenizer of Hugging Face"),
    "another reader.json": (GIVEN_FILE, b"{}", "not one of Winnow's"),
    "more tokens than places": (
        GIVEN_FILE,
        b'{"tokenizer": "hugging-face", "limit": 128, "fields": ["text"]}',
        f"128 tokens, the graph {len(VOCABULARY)} and {POSITIONS}",
    ),
    "more pieces than rows": (
        TOKENIZER_FILE,
        tokenizer_json((*VOCABULARY, "more")),
        f"{len(VOCABULARY) + 1} pieces",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_reader_leaves_the_reflex_answering(imported: Artifact, fault: str) -> None:
    """As with a reader of our own."""
    name, data, told = BROKEN[fault]
    files = {other: content for other, content in imported.files.items() if other != name}
    if data is not None:
        files[name] = data
    model = Model.of(_with(imported, files))
    assert model.answer(*read_evidence(ODD)).why is Why.BROKEN
    with pytest.raises(ArtifactError, match=told):
        raise ArtifactError(model.broken)


def _with(artifact: Artifact, files: dict[str, bytes]) -> Artifact:
    fields = ("path", "name", "digest", "manifest", "calibration", "tensors")
    return Artifact(*(getattr(artifact, name) for name in fields), files)


def test_without_the_tokenizers_library_the_reflex_answers(
    imported: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on which the extra was forgotten goes on, and says what to install."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    model = Model.of(imported)
    assert "pip install 'winnow-mail[import]'" in model.broken
    assert model.answer(*read_evidence(ODD)).stage == "reflex"


def test_wishes_are_followed(base: Path, tmp_path: Path) -> None:
    """Another tokenizer file, the other class, fewer tokens, another order of fields."""
    other = tmp_path / "other.json"
    other.write_bytes(tokenizer_json())
    model = classifier(pool="first")
    path = write_classifier(tmp_path, model, b"{}")
    wishes = Wishes(tokenizer=other, spam=0, tokens=20, fields=("text", "subject"))
    artifact = import_classifier(path, base, tmp_path / "i.winnow", wishes).artifact
    assert json.loads(artifact.files[GIVEN_FILE])["fields"] == ["text", "subject"]
    answer = Model.of(artifact).answer(*read_evidence(b"Subject: cheap\n\n" + b"the " * 200))
    assert answer.tokens is not None
    assert len(answer.tokens.ids) == 20
    assert answer.log_odds == pytest.approx(-BIAS, abs=TOLERANCE)  # [CLS] has 0


def test_a_table_of_places_that_begins_later_is_not_overrun(base: Path, tmp_path: Path) -> None:
    """As RoBERTa's, whose first place is the third row."""
    model = classifier()
    for node in model.graph.node:
        if node.name == "places.whole":
            node.output[0] = "places.from0"
    late = helper.make_node("Add", ["places.from0", "two"], ["places.whole"], name="late")
    position = next(n for n, node in enumerate(model.graph.node) if node.name == "positions")
    model.graph.node.insert(position, late)
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, dtype=np.int64), "two"))
    assert _import(tmp_path, base, model).record["limit"] == POSITIONS - 2
    with pytest.raises(InputError, match=rf"cannot read {POSITIONS} tokens .*--tokens"):
        _import(tmp_path, base, model, tokens=POSITIONS)


def test_where_nobody_says_how_many_tokens_fit_it_is_tried(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what fails, and half of that; no tokens at all is refused."""
    monkeypatch.setattr("winnow.recipe_import.positions_of", lambda graph: 4 * POSITIONS)
    assert _import(tmp_path, base).record["limit"] == POSITIONS
    monkeypatch.setattr("winnow.recipe_import.positions_of", lambda graph: 8 * POSITIONS)
    monkeypatch.setattr("winnow.recipe_import.MOST_TOKENS", 8 * POSITIONS)
    with pytest.raises(InputError, match=rf"cannot read {8 * POSITIONS} tokens .*--tokens"):
        _import(tmp_path, base)


def test_weights_beside_the_graph_are_taken_in(
    base: Path, imported: Artifact, tmp_path: Path
) -> None:
    """What exporters do with large models becomes one file."""
    path = write_classifier(tmp_path)
    onnx.save(classifier(), path, save_as_external_data=True, location="w.data", size_threshold=0)
    artifact = import_classifier(path, base, tmp_path / "i.winnow", Wishes()).artifact
    assert artifact.files[READER_FILE] == imported.files[READER_FILE]
    (tmp_path / "w.data").unlink()
    with pytest.raises(InputError, match=r"needs w\.data beside it"):
        import_classifier(path, base, tmp_path / "i.winnow", Wishes())


def _nan(model: Any) -> None:
    table = table_of()
    table[7, 0] = np.nan
    one = next(one for one in model.graph.initializer if one.name == "table")
    one.CopyFrom(numpy_helper.from_array(table, "table"))


def _kind(model: Any, node: str, kind: str, domain: str = "") -> None:
    found = next(one for one in model.graph.node if one.name == node)
    found.op_type, found.domain = kind, domain
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))


def _branch(model: Any) -> None:
    branch = helper.make_graph([], "branch", [], [])
    node = helper.make_node("If", ["one"], ["never"], name="branching")
    node.attribute.append(helper.make_attribute("then_branch", branch))
    model.graph.node.append(node)


def _opset(model: Any) -> None:
    model.opset_import[0].version = 11


def _picture(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("pixels", 1, ["b", 3, 224, 224]))


def _output(model: Any, name: str) -> None:
    model.graph.output[0].name = name


SPOILT = {
    "not a number": (_nan, "'table' holds a value that is no number"),
    "an operator that nobody has": (lambda m: _kind(m, "pooled", "Divv"), "ONNX Runtime"),
    "an operator of others": (lambda m: _kind(m, "pooled", "Div", "x.y"), r"domain 'x\.y'"),
    "control flow": (_branch, "control flow"),
    "an old opset": (_opset, r"opset 11; export it with one of 13"),
    "a picture": (_picture, "pixels"),
    "no answer": (lambda m: _output(m, "hidden"), "no text classifier"),
    "a mask": (lambda m: _output(m, "mask.float"), "no text classifier"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_what_is_no_classifier_is_refused(fault: str, base: Path, tmp_path: Path) -> None:
    """One sentence with the file's name and the reason; no model is made."""
    spoil, told = SPOILT[fault]
    model = classifier()
    spoil(model)
    with pytest.raises(InputError, match=told) as refused:
        _import(tmp_path, base, model)
    assert "model.onnx" in str(refused.value)
    assert not (tmp_path / "i.winnow").exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no ONNX file"),
        (b"PK\x03\x04" * 50, "no ONNX file"),
        (classifier().SerializeToString()[:200], "no ONNX file"),
    ],
    ids=["empty", "an archive", "cut off"],
)
def test_what_is_no_graph_is_refused(data: bytes, told: str, base: Path, tmp_path: Path) -> None:
    """A damaged download is told as such."""
    path = write_classifier(tmp_path)
    path.write_bytes(data)
    with pytest.raises(InputError, match=told):
        import_classifier(path, base, tmp_path / "i.winnow", Wishes())


def test_files_that_are_none(base: Path, tmp_path: Path) -> None:
    """What is not there, a folder, a pipe, what is too large: told before anything is read."""
    path = write_classifier(tmp_path)
    out = tmp_path / "i.winnow"
    for place, told in (("gone.onnx", "is not there"), (".", "is no file")):
        with pytest.raises(InputError, match=rf"{told}; it should be the ONNX file"):
            import_classifier(tmp_path / place, base, out, Wishes(tokenizer=_beside(path)))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no file"):
        import_classifier(tmp_path / "pipe", base, out, Wishes(tokenizer=_beside(path)))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST_GRAPH_BYTES + 1)  # no block of it is on the disk
    for graph, words in ((tmp_path / "large", _beside(path)), (path, tmp_path / "large")):
        with pytest.raises(InputError, match="large is larger than"):
            import_classifier(graph, base, out, Wishes(tokenizer=words))
    _beside(path).unlink()
    with pytest.raises(InputError, match=r"tokenizer\.json is not there.* --tokenizer"):
        import_classifier(path, base, out, Wishes())
    assert not out.exists()


def _beside(path: Path) -> Path:
    return path.with_name("tokenizer.json")


def test_a_tokenizer_of_another_model_is_refused(base: Path, tmp_path: Path) -> None:
    """Ids beyond the table would be looked up nowhere."""
    with pytest.raises(InputError, match=rf"{len(VOCABULARY)} pieces .* two models"):
        _import(tmp_path, base, classifier(table=table_of()[:-2]))


def test_a_table_with_rows_to_spare_is_fine(base: Path, tmp_path: Path) -> None:
    """Exporters pad it to a multiple of eight."""
    table = table_of(rows=len(VOCABULARY) + 7)
    record = _import(tmp_path, base, classifier(table=table)).record
    assert record["pieces"] == len(VOCABULARY) + 7


def test_probabilities_that_cannot_be_taken_back_are_refused(base: Path, tmp_path: Path) -> None:
    """A softmax that is spelt out would be taken for logits, all of them between 0 and 1."""
    model = classifier(output="logits")
    _output(model, "answer")
    model.graph.node.extend(
        [
            helper.make_node("Exp", ["logits"], ["e"], name="e"),
            helper.make_node("ReduceSum", ["e", "last"], ["s"], name="s", keepdims=1),
            helper.make_node("Div", ["e", "s"], ["answer"], name="answer"),
        ]
    )
    with pytest.raises(InputError, match="gives probabilities"):
        _import(tmp_path, base, model)


def test_a_graph_whose_answer_is_no_number_is_refused(base: Path, tmp_path: Path) -> None:
    """Every message would fall back to the reflex."""
    model = classifier(pool="average", names=("input_ids",))
    _output(model, "answer")
    model.graph.node.extend(
        [
            helper.make_node("Sub", ["logits", "logits"], ["none"], name="none"),
            helper.make_node("Div", ["none", "none"], ["answer"], name="answer"),
        ]
    )
    with pytest.raises(InputError, match="no number"):
        _import(tmp_path, base, model)


def test_answers_that_moved_are_no_import(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the adapted graph to say something else than the file, nothing would be written."""
    import winnow.recipe_import as recipe

    real = recipe.adapt

    def wrong(model: Any, head: Any) -> Any:
        return replace(real(model, replace(head, spam=1 - head.spam)), head=head)

    monkeypatch.setattr(recipe, "adapt", wrong)
    with pytest.raises(InputError, match="its answers moved by"):
        _import(tmp_path, base)
    assert not (tmp_path / "i.winnow").exists()


def test_a_base_that_is_none(tmp_path: Path, base: Path) -> None:
    """The reflex must be one of this Winnow's; a place that is taken by other things stays."""
    path = write_classifier(tmp_path)
    with pytest.raises(ArtifactError, match="no model at"):
        import_classifier(path, tmp_path / "gone", tmp_path / "i.winnow", Wishes())
    with pytest.raises(ArtifactError, match="exists and is no model"):
        import_classifier(path, base, tmp_path, Wishes())
    assert path.exists()


def test_labels_beside_the_classifier_are_read(base: Path, tmp_path: Path) -> None:
    """config.json as Hugging Face writes it: spam first, and fewer places than the table has."""
    config = {"id2label": {"0": "spam", "1": "ham"}, "max_position_embeddings": 30}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = _import(tmp_path, base, classifier(pool="first"))
    assert (found.head.spam, found.labels, found.record["limit"]) == (0, ("spam", "ham"), 30)
    answer = Model.of(found.artifact).answer(*read_evidence(b""))
    assert answer.log_odds == pytest.approx(-BIAS, abs=TOLERANCE)
    (tmp_path / "config.json").write_bytes(b"{")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        _import(tmp_path, base)
