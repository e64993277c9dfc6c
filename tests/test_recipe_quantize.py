"""A model in integers: decided on messages, written with its history, and not twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cascaded import LIMIT, PIECES, corpus_of, second_stage, write_reflex
from tests.compiler.integers import graph, ir, kinds, reader
from tests.synthetic import message
from winnow import recipe_quantize
from winnow.answering import READER_FILE, Model
from winnow.artifact import read_artifact, write_artifact
from winnow.compiler.graph import serialised
from winnow.compiler.quantize import quantize, restored, state_of
from winnow.compiler.quantize_search import Found
from winnow.corpus import Corpus, Example
from winnow.errors import ArtifactError, InputError
from winnow.recipe_compile import subject_of, write_subject
from winnow.recipe_quantize import JUDGED, LOOKED_AT, Wish, quantize_subject
from winnow.runtime import Reader
from winnow.tokens import Tokens
from winnow.verdict import Label

FLOATS = reader(len(PIECES), LIMIT)
LEARNT = corpus_of([(message(n % 2 == 0, n), list(Label)[n % 2]) for n in range(60)])
# Without labels: how spammy mail is says nothing of what rounding does.
MAIL = Corpus(
    "inbox", 30, False,
    lambda: iter(
        Example(str(n), message(n % 3 == 0, 900 + n), None, (n,), "inbox", None) for n in range(30)
    ),
)  # fmt: skip
WIDE = Wish(tolerance=1e9)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose reader is in floats."""
    folder = tmp_path_factory.mktemp("model")
    first = write_reflex(folder / "first.winnow", LEARNT)
    second = second_stage()
    write_artifact(
        folder / "m.winnow",
        fingerprint=first.fingerprint,
        tensors=first.tensors,
        calibration=first.calibration | {"cascade": dict(second.cascade)},
        training=first.manifest["training"],
        version="0",
        files={**second.files, READER_FILE: serialised(FLOATS)},
        stages=("reflex", "reader"),
        history=[{"step": "train reader"}],
    )
    return folder / "m.winnow"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The same graph as a file."""
    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(FLOATS))
    return path


def test_a_model_is_written_in_integers(model: Path, tmp_path: Path) -> None:
    """It answers as before, nearly; its history says what was done, node by node."""
    subject = subject_of(model)
    found = quantize_subject(subject, WIDE, [MAIL])
    out = tmp_path / "small.winnow"
    write_subject(subject, found.graph, out, found.history)
    small = read_artifact(out)
    assert found.unchanged == ""
    assert len(small.files[READER_FILE]) < 0.5 * found.bytes_before
    assert found.bytes_after == pytest.approx(len(small.files[READER_FILE]), rel=0.05)
    assert found.bytes_before == found.bytes_floats == len(serialised(FLOATS))
    one, two = Model.of(read_artifact(model)).reader, Model.of(small).reader
    assert one is not None
    assert two is not None
    tokens = Tokens(np.arange(9), np.arange(9) % 5)
    assert 0 < abs(one.read(tokens)[0] - two.read(tokens)[0]) < 0.05
    steps = [step["step"] for step in small.manifest["history"]]
    assert steps == ["train", "train reader", "quantize"]
    told = small.manifest["history"][-1]
    assert [row["node"] for row in told["quantized"]] == [
        "pieces.gather", "up.matmul", "down.matmul",
    ]  # fmt: skip
    assert {"head.matmul"} < {one["node"] for one in told["left"]}
    assert told["messages"] == "30 messages of inbox"
    assert told["mean_change"] == found.mean_change > 0
    assert told["bytes"] == found.bytes_after
    assert told["bits"] == 8
    json.dumps(told)


def test_without_mail_random_inputs_stand_for_it(bare: Path, tmp_path: Path) -> None:
    """A bare graph is written as one; the same each time."""
    subject = subject_of(bare)
    one, two = (quantize_subject(subject, WIDE) for _ in range(2))
    assert one.about == f"{LOOKED_AT + JUDGED} random inputs"
    assert serialised(one.graph) == serialised(two.graph)
    write_subject(subject, one.graph, tmp_path / "small.onnx", one.history)
    assert Reader((tmp_path / "small.onnx").read_bytes()).pieces == len(PIECES)


@pytest.mark.parametrize("wish", [WIDE, Wish(4, tolerance=1e9), Wish(8, True, 1e9)])
def test_what_is_in_integers_already_stays(bare: Path, tmp_path: Path, wish: Wish) -> None:
    """Asked for a second time nothing changes, not a byte, and it says so."""
    subject = subject_of(bare)
    found = quantize_subject(subject, wish)
    assert state_of(found.graph) == wish.state
    small = tmp_path / "small.onnx"
    write_subject(subject, found.graph, small, found.history)
    again = quantize_subject(subject_of(small), wish)
    assert again.unchanged == f"its products are in integers already ({wish.state})"
    assert serialised(again.graph) == small.read_bytes()
    assert again.history == ()
    assert again.bytes_after == small.stat().st_size


def test_another_form_begins_from_floats(bare: Path, tmp_path: Path) -> None:
    """What ships in 8 bits can be had in 4: the weights are brought back first."""
    small = tmp_path / "small.onnx"
    small.write_bytes(serialised(quantize(FLOATS)[0]))
    found = quantize_subject(subject_of(small), Wish(4, tolerance=1e9))
    assert state_of(found.graph) == "4 bits"
    assert found.bytes_before == small.stat().st_size
    assert found.bytes_floats == pytest.approx(len(serialised(FLOATS)), rel=0.01)
    assert found.bytes_after < found.bytes_before


def test_named_nodes_stay_in_floats(bare: Path) -> None:
    """By patterns as in a shell; a pattern that fits nothing is a mistake."""
    found = quantize_subject(subject_of(bare), Wish(tolerance=1e9, keep=("up.*",)))
    assert [row.node for row in found.rows] == ["pieces.gather", "down.matmul"]
    assert "MatMul" in kinds(found.graph)
    with pytest.raises(InputError, match="no node that could be rounded is called 'layer9"):
        quantize_subject(subject_of(bare), Wish(keep=("layer9.*",)))


def test_what_may_not_change_does_not(bare: Path) -> None:
    """No node fits a tolerance of nothing: the graph stays, and all is told."""
    found = quantize_subject(subject_of(bare), Wish(tolerance=0.0))
    assert found.unchanged == "no node can be rounded within 0"
    assert serialised(found.graph) == bare.read_bytes()
    assert found.history == ()
    assert len(found.rows) == 3
    assert all(row.kept for row in found.rows)


def test_a_graph_that_breaks_is_not_kept(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was decided: an output that is far off undoes it, and the reason is told."""

    def broken(model: Any, *_: Any) -> Found:
        (head,) = [node for node in model.graph if node.name == "head.matmul"]
        kernel = head.inputs[1]
        assert kernel is not None
        kernel.const_value = ir.tensor(1e6 * kernel.const_value.numpy(), name=kernel.name)
        return Found(model, (), (), 0.0, 0.0)

    monkeypatch.setattr(recipe_quantize, "search", broken)
    found = quantize_subject(subject_of(bare), WIDE)
    assert "it moved an output by" in found.unchanged
    assert serialised(found.graph) == bare.read_bytes()


def test_a_graph_with_nothing_to_round(tmp_path: Path) -> None:
    """It is refused before any work."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("Abs", [x])]

    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(graph(build)))
    with pytest.raises(InputError, match="no product or table with constant weights"):
        quantize_subject(subject_of(path), WIDE)


def test_mail_needs_a_tokenizer(bare: Path, tmp_path: Path) -> None:
    """Of a bare graph nobody knows it; one that is broken is told."""
    with pytest.raises(InputError, match="is a bare graph"):
        quantize_subject(subject_of(bare), WIDE, [MAIL])


def test_a_tokenizer_that_does_not_work(model: Path) -> None:
    """The reason is the model's own."""
    subject = subject_of(model)
    assert subject.artifact is not None
    files = dict(subject.artifact.files)
    del files["tokenizer.json"]
    subject.artifact.files.clear()
    subject.artifact.files.update(files)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        quantize_subject(subject, WIDE, [MAIL])


def test_no_mail(model: Path) -> None:
    """An empty folder says nothing."""
    empty = Corpus("empty", 0, False, lambda: iter(()))
    with pytest.raises(InputError, match="holds no message"):
        quantize_subject(subject_of(model), WIDE, [empty])


@pytest.mark.parametrize("count", [1, 2, 700])
def test_some_of_the_mail_is_read(model: Path, count: int) -> None:
    """However little or much there is: a part that is looked at, and a part that is judged."""
    mail = Corpus(
        "mail", count, False,
        lambda: iter(
            Example(str(n), message(n % 2 == 0, n), None, (n,), "mail", None) for n in range(count)
        ),
    )  # fmt: skip
    subject = subject_of(model)
    probes, about = recipe_quantize._probes(subject, FLOATS, [mail], lambda *_: None)
    wanted = {1: (1, 1), 2: (1, 1), 700: (LOOKED_AT, JUDGED)}[count]
    assert (len(probes.looked_at), len(probes.judged)) == wanted
    assert about.startswith(f"{min(count, LOOKED_AT + JUDGED)} messages of mail")
    if count > 1:
        looked = {feeds["ids"].tobytes() for feeds in probes.looked_at}
        judged = {feeds["ids"].tobytes() for feeds in probes.judged}
        assert len(looked & judged) < len(looked)


def test_the_default_tolerance_depends_on_the_bits() -> None:
    """4 bits cannot do what 8 can."""
    assert Wish(8).allowed == 0.05
    assert Wish(4).allowed == 0.1
    assert Wish(4, tolerance=0.3).allowed == 0.3
    assert state_of(restored(FLOATS)) == ""
