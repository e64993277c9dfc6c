"""A model's graph is opened, changed by proved steps, and written with what was done to it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cascaded import LIMIT, PIECES, corpus_of, second_stage, write_reflex
from tests.compiler.exports import (
    Spelling,
    Writer,
    answers,
    bert,
    count,
    ir,
    kinds,
    reader,
    sketch,
    wiring,
)
from tests.synthetic import message
from winnow import recipe_compile
from winnow.answering import READER_FILE
from winnow.artifact import read_artifact, write_artifact
from winnow.compiler.graph import copied, opened, parsed, serialised
from winnow.compiler.inputs import feeds_of
from winnow.compiler.passes import Outcome, Pass, largest_difference
from winnow.errors import ArtifactError, InputError
from winnow.recipe_compile import Subject, applied, fuse, proof_of, run_graph, subject_of
from winnow.runtime.session import loaded_nodes
from winnow.verdict import Label

BOUND = 2e-6  # as for the single steps (tests/compiler)
FLOATS = reader(len(PIECES), LIMIT)
LEARNT = corpus_of([(message(n % 2 == 0, n), list(Label)[n % 2]) for n in range(60)])


def _subject(model: Any) -> Subject:
    return Subject(Path("some/m.onnx"), model, None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose reader is a network in floats."""
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


# ---- opening and writing


def test_a_bare_file_is_opened_changed_and_written(tmp_path: Path) -> None:
    """It answers as before, with fewer nodes; the first file stays as it was."""
    path, out = tmp_path / "m.onnx", tmp_path / "small.onnx"
    path.write_bytes(serialised(bert(Spelling(keys="three"))))
    before = path.read_bytes()
    subject = subject_of(path)
    assert (subject.name, subject.artifact) == ("m.onnx", None)
    step = fuse(subject, launches=False)
    recipe_compile.write_subject(subject, step.graph, out, step.history)
    assert path.read_bytes() == before
    again = opened(out)
    assert wiring(again) == wiring(step.graph)
    assert 0.0 < largest_difference(answers(subject.graph), answers(again)) <= BOUND
    assert out.stat().st_mode & 0o777 == path.stat().st_mode & 0o777
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.onnx", "small.onnx"]


def test_a_file_may_be_written_over_itself(tmp_path: Path) -> None:
    """It was read whole before."""
    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(bert(layers=1)))
    subject = subject_of(path)
    step = fuse(subject, launches=True)
    recipe_compile.write_subject(subject, step.graph, path, step.history)
    assert count(opened(path), "SkipLayerNormalization") == 2


@pytest.mark.parametrize(
    "place",
    [
        lambda folder: (folder / "notes.onnx").write_text("milk, bread"),
        lambda folder: (folder / "notes.onnx").write_bytes(b""),
        lambda folder: (folder / "notes.onnx").mkdir(),
        lambda folder: os.mkfifo(folder / "notes.onnx"),
    ],
    ids=["text", "empty", "folder", "pipe"],
)
def test_what_is_no_model_is_not_written_over(place: Any, tmp_path: Path) -> None:
    """Whatever its name says."""
    place(tmp_path)
    out = tmp_path / "notes.onnx"
    kept = out.read_bytes() if out.is_file() else None
    with pytest.raises(InputError, match="exists and is no ONNX file; name another --out"):
        recipe_compile.write_subject(_subject(FLOATS), FLOATS, out, [])
    assert out.exists()
    assert kept is None or out.read_bytes() == kept
    assert [file.name for file in tmp_path.iterdir()] == ["notes.onnx"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The system's own words, and nothing is left behind."""
    with pytest.raises(InputError, match="No such file or directory"):
        recipe_compile.write_subject(_subject(FLOATS), FLOATS, tmp_path / "none" / "m.onnx", [])
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "m.onnx"
    out.write_bytes(serialised(bert(layers=1)))
    before = out.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        recipe_compile.write_subject(_subject(FLOATS), FLOATS, out, [])
    assert out.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


def test_a_model_is_opened_changed_and_written(model: Path, tmp_path: Path) -> None:
    """Its reader is the new graph, all else is what it was, its history says what was done."""
    subject = subject_of(model)
    assert subject.artifact is not None
    assert subject.name == subject.artifact.label
    step = fuse(subject, launches=False)
    out = tmp_path / "small.winnow"
    recipe_compile.write_subject(subject, step.graph, out, step.history, {"more.txt": b"more"})
    before, after = read_artifact(model), read_artifact(out)
    assert after.faults == ()
    assert after.files["more.txt"] == b"more"
    assert after.calibration == before.calibration
    assert all(np.array_equal(after.tensors[n], before.tensors[n]) for n in before.tensors)
    others = set(before.files) - {READER_FILE}
    assert all(after.files[name] == before.files[name] for name in others)
    steps = [entry["step"] for entry in after.manifest["history"]]
    assert steps == ["train", "train reader", "fold", "settle", "fuse"]
    graph = parsed(after.files[READER_FILE], "reader")
    assert count(graph, "Attention") == 2
    feeds = [feeds_of(FLOATS, 2, 9, 1)]
    ours, theirs = (
        run_graph(one, feeds, ["log_odds", "shares"]) for one in (subject.graph, step.graph)
    )
    assert largest_difference(ours, theirs) <= BOUND


def test_a_model_without_a_reader(tmp_path: Path) -> None:
    """There is no graph; a folder that is no model is one neither."""
    write_reflex(tmp_path / "m.winnow", LEARNT)
    with pytest.raises(ArtifactError, match="has no reader: there is no graph to compile"):
        subject_of(tmp_path / "m.winnow")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError):
        subject_of(tmp_path / "empty")


def test_a_model_whose_reader_is_damaged(model: Path, tmp_path: Path) -> None:
    """The fault of the artifact is the sentence."""
    copy = tmp_path / "m.winnow"
    copy.mkdir()
    for file in model.iterdir():
        data = file.read_bytes()
        (copy / file.name).write_bytes(data[:-9] if file.name == READER_FILE else data)
    with pytest.raises(ArtifactError, match=READER_FILE):
        subject_of(copy)


def test_no_file_and_no_graph(tmp_path: Path) -> None:
    """As opening says (compiler/graph.py)."""
    with pytest.raises(InputError, match="No such file"):
        subject_of(tmp_path / "none.onnx")
    (tmp_path / "m.onnx").write_text("hello")
    with pytest.raises(InputError, match="no ONNX file"):
        subject_of(tmp_path / "m.onnx")


# ---- running and proving


def test_a_graph_runs_as_it_is_written() -> None:
    """Values in between, outputs, each as often as it is asked for, in order."""
    model = bert(layers=1)
    feeds = [feeds_of(model, 2, 5, 1), feeds_of(model, 1, 3, 2)]
    first = model.graph[5].outputs[0].name
    found = run_graph(model, feeds, ["logits", first, "logits"])
    assert len(found) == 2
    for values, (batch, _) in zip(found, ((2, 5), (1, 3)), strict=True):
        assert values[0].shape == (batch, 2)
        assert np.array_equal(values[0], values[2])
    assert [output.name for output in model.graph.outputs] == ["logits"]
    assert run_graph(model, feeds[:1], ["logits"])[0][0].tolist() == found[0][0].tolist()


def test_a_graph_that_cannot_run_is_an_error() -> None:
    """Of the runtime's words one line."""
    model = bert(layers=1)
    with pytest.raises(InputError, match="ONNX Runtime failed"):
        run_graph(model, [feeds_of(model, 1, 25, 1)], ["logits"])
    model.graph[-1].op_type = "Wonder"
    with pytest.raises(InputError, match="ONNX Runtime cannot load the graph"):
        run_graph(model, [feeds_of(model, 1, 3, 1)], ["logits"])


def test_what_a_pass_is_proved_on() -> None:
    """One token, padding, the longest message; what is given beside; the same each time."""
    model = bert(layers=1, positions=80)
    more = feeds_of(model, 1, 2, 99)
    proof = proof_of(model, [more])
    shapes = [feeds["input_ids"].shape for feeds in proof.feeds]
    assert shapes == [(1, 1), (1, 7), (3, 16), (2, 64), (1, 80), (1, 2)]
    assert not proof.feeds[2]["attention_mask"].all()
    assert np.array_equal(proof.feeds[2]["input_ids"], proof_of(model).feeds[2]["input_ids"])
    short = [feeds["input_ids"].shape for feeds in proof_of(bert(layers=1, positions=7)).feeds]
    assert short == [(1, 1), (1, 7)]
    assert largest_difference(proof.outputs(model), proof.outputs(copied(model))) == 0.0


# ---- steps


def test_what_a_step_tells() -> None:
    """Reports, the whole difference, nodes as loaded, one round trip; history for what stood."""
    subject = _subject(bert(Spelling(norm="spelt out")))
    step = fuse(subject, launches=True)
    assert [report.name for report in step.reports] == ["fold", "settle", "fuse"]
    assert [report.undone for report in step.reports] == ["", "", ""]
    assert step.reports[0].nodes_before == len(list(subject.graph.graph))
    assert step.reports[2].nodes_after == len(list(step.graph.graph)) == 24
    assert 0.0 < step.max_abs_error <= BOUND
    assert step.nodes_loaded == loaded_nodes(serialised(step.graph)) <= 24
    assert step.round_trips == 1
    assert [entry["step"] for entry in step.history] == ["fold", "settle", "fuse"]
    first = step.history[0]
    assert first["nodes_before"] == step.reports[0].nodes_before
    assert first["nodes"] == step.reports[0].nodes_after
    assert first["bytes_before"] == len(serialised(subject.graph)) > first["bytes"]
    assert step.history[-1]["bytes"] == len(serialised(step.graph))
    json.dumps(step.history)


def test_a_pass_that_is_undone_is_no_history() -> None:
    """And the next ones go on from the graph before it."""

    def spoil(model: Any) -> Outcome:
        model.graph.outputs[0].name = "other"
        return Outcome(model)

    def nothing(model: Any) -> Outcome:
        return Outcome(model)

    subject = _subject(bert(layers=1))
    step = applied(subject, [Pass("spoil", spoil, None), Pass("nothing", nothing, 0.0)])
    assert [bool(report.undone) for report in step.reports] == [True, False]
    assert [entry["step"] for entry in step.history] == ["nothing"]
    assert step.max_abs_error == 0.0
    assert serialised(step.graph) == serialised(subject.graph)


def test_a_compiled_graph_is_the_same_each_time() -> None:
    """Bit by bit."""
    one, other = (
        serialised(fuse(_subject(bert(Spelling(keys="three"))), launches=True).graph)
        for _ in range(2)
    )
    assert one == other


# ---- graphs from elsewhere: fused where they can be, else as they were, with the reason


def _fused(model: Any, launches: bool = True, bound: float = BOUND) -> Any:
    """What becomes of a graph that went through a file; no pass may be undone."""
    model = parsed(serialised(model), "m")
    step = fuse(_subject(model), launches=launches)
    assert [report.undone for report in step.reports] == ["", "", ""]
    assert step.max_abs_error <= bound
    assert largest_difference(answers(model), answers(step.graph)) <= bound
    return step.graph


@pytest.mark.parametrize("opset", [13, 14, 16, 17, 18, 20, 21, 23])
def test_every_opset(opset: int) -> None:
    """From the oldest on; an old one is raised until it knows LayerNormalization."""
    model = _fused(bert(Spelling(norm="spelt out", opset=opset)))
    assert len(list(model.graph)) == 24
    assert model.graph.opset_imports[""] == max(opset, 17)


@pytest.mark.parametrize("shape", [(1, "t"), ("b", 16), (2, 16)])
def test_a_graph_of_fixed_sizes(shape: Any) -> None:
    """Exported for one message, for one length, or for both."""
    model = bert()
    for value in model.graph.inputs:
        value.shape = ir.Shape(shape)
    graph = _fused(model)
    assert count(graph, "Attention") == 2
    assert count(graph, "SkipLayerNormalization") >= 3
    assert list(graph.graph.inputs[0].shape) == list(model.graph.inputs[0].shape)


def test_targets_that_an_exporter_wrote_out_for_one_message() -> None:
    """[1, -1, 4, 4] means [0, 0, 4, 4] where there is one message."""

    def write(to: Writer) -> Any:
        x = to.norm(to.looked_up(), "n")
        q, k, v = (to.dense(x, part, 16, 16) for part in "qkv")
        q, k, v = (to.Reshape(y, to.ints(1, -1, 4, 4)) for y in (q, k, v))
        q, k, v = (
            to.Transpose(y, perm=list(p))
            for y, p in ((q, (0, 2, 1, 3)), (k, (0, 2, 3, 1)), (v, (0, 2, 1, 3)))
        )
        p = to.Softmax(to.Div(to.MatMul(q, k), to.number(2.0)), axis=-1)
        return to.Reshape(to.Transpose(to.MatMul(p, v), perm=[0, 2, 1, 3]), to.ints(1, -1, 16))

    model = sketch(write)
    model.graph.inputs[0].shape = ir.Shape([1, "t"])
    assert count(_fused(model), "Attention") == 1


def test_hidden_states_that_are_outputs() -> None:
    """All layers' vectors are asked for: nothing that changes them is done."""
    model = bert()
    norms = [n.outputs[0] for n in model.graph if n.op_type == "LayerNormalization"]
    for n, value in enumerate((norms[2], norms[4])):
        value.name, value.type = f"hidden{n}", model.graph.outputs[0].type
        model.graph.outputs.append(value)
    graph = _fused(model, bound=4e-6)  # numbers up to 4
    assert [output.name for output in graph.graph.outputs] == ["logits", "hidden0", "hidden1"]
    assert count(graph, "Attention") == 2


def test_a_first_token_s_vector_as_the_output() -> None:
    """An encoder of sentences; chosen before the last layer's products."""

    def write(to: Writer) -> Any:
        x = to.norm(to.embedded(40, 24), "embed.norm")
        for n in range(2):
            x = to.layer(x, n, 32, None)
        return to.Gather(x, to.constant("0", np.int64(0)), axis=1)

    graph = _fused(sketch(write, Spelling(mask="none")), bound=4e-6)  # numbers up to 4
    assert graph.graph.outputs[0].producer().op_type == "SkipLayerNormalization"


def test_a_norm_that_comes_first() -> None:
    """Attention is fused; the sums around it are no skip with a norm after."""

    def write(to: Writer) -> Any:
        x = to.embedded(40, 24)
        mask = to.added_mask()
        for n in range(2):
            x = to.Add(to.attention(to.norm(x, f"{n}.n1"), f"layer{n}", mask), x)
            up = to.gelu(to.dense(to.norm(x, f"{n}.n2"), f"{n}.up", 16, 32))
            x = to.Add(to.dense(up, f"{n}.down", 32, 16), x)
        return to.head(to.norm(x, "last"))

    graph = _fused(sketch(write, Spelling(keys="three")))
    assert count(graph, "Attention") == 2
    assert count(graph, "LayerNormalization") >= 3


def test_layers_that_share_their_weights() -> None:
    """Packed once for all, so that the graph does not grow by being fused."""

    def write(to: Writer) -> Any:
        x = to.norm(to.embedded(40, 24), "embed.norm")
        mask = to.added_mask()
        for _ in range(4):
            x = to.layer(x, 0, 32, mask)
        return to.head(x)

    model = sketch(write, Spelling())
    graph = _fused(model)
    packed = {n.inputs[1].name for n in graph.graph if n.op_type == "Attention"}
    assert len(packed) == 1
    assert count(graph, "Attention") == 4
    assert len(serialised(graph)) < len(serialised(model))


def test_attention_to_a_window_of_tokens() -> None:
    """Short messages fit into it: only a long one tells it from a mask of padding."""

    def write(to: Writer) -> Any:
        whole = to.Shape(to.ids)
        tokens = to.Squeeze(to.Slice(whole, to.ints(1), to.ints(2), to.ints(0)), to.ints(0))
        order = to.Range(to.constant("0", np.int64(0)), tokens, to.constant("1", np.int64(1)))
        apart = to.Abs(to.Sub(to.Unsqueeze(order, to.ints(0)), to.Unsqueeze(order, to.ints(1))))
        near = to.LessOrEqual(apart, to.ints(16))
        keep = to.And(to.Cast(to.Unsqueeze(to.inputs[1], to.ints(1, 2)), to=9), near)
        mask = to.Where(keep, to.number(0.0), to.number(-10_000.0))
        x = to.norm(to.embedded(40, 24), "embed.norm")
        return to.head(to.layer(x, 0, 32, mask))

    model = parsed(serialised(sketch(write, Spelling())), "m")
    step = fuse(_subject(model), launches=False)
    assert [report.undone for report in step.reports] == ["", "", ""]
    reasons = {refusal.reason for report in step.reports for refusal in report.refused}
    assert "what is added does not say which keys are padding" in reasons
    assert count(step.graph, "Softmax") == 1
    assert largest_difference(answers(model), answers(step.graph)) <= BOUND


def test_weights_of_16_bits() -> None:
    """They run as before, cast when they are needed."""

    def write(to: Writer) -> Any:
        x = to.norm(to.embedded(40, 24), "embed.norm")
        return to.head(to.layer(x, 0, 32, to.added_mask()))

    model = sketch(write, Spelling())
    for name, value in list(model.graph.initializers.items()):
        array = value.const_value.numpy()
        if name.endswith("kernel"):
            half = ir.Value(name=f"{name}.half")
            half.const_value = ir.tensor(array.astype(np.float16), name=half.name)
            model.graph.register_initializer(half)
            cast = ir.Node("", "Cast", [half], [ir.AttrInt64("to", 1)], name=f"{name}.cast")
            cast.outputs[0].name = f"{name}.whole"
            model.graph.insert_before(model.graph[0], cast)
            ir.convenience.replace_all_uses_with(value, cast.outputs[0])
            del model.graph.initializers[name]
    assert count(_fused(model), "Attention") == 1


def test_a_network_of_16_bits_is_left_as_it_was_or_answers_alike() -> None:
    """Its rounding is coarser than the bound: what moves an answer is undone with the reason."""

    def write(to: Writer) -> Any:
        low = to.Cast(to.looked_up(), to=10)
        for n in range(2):
            kernel = (to.chance.normal(0, 0.3, (16, 16))).astype(np.float16)
            low = to.Tanh(to.MatMul(to.Mul(low, to.constant("half", np.float16(0.7))),
                                    to.constant(f"kernel{n}", kernel)))  # fmt: skip
        return to.Cast(low, to=1)

    model = sketch(write)
    step = fuse(_subject(model), launches=True)
    assert step.max_abs_error <= 1e-5
    assert [report.undone for report in step.reports] == ["", "", ""]


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("past_key_values.0.key", "FLOAT", ("b", 4, "p", 4)),
        ("pixel_values", "FLOAT", ("b", 3, 224, 224)),
        ("more_input_ids", "INT64", ("b", "t")),
        ("choices_mask", "INT64", ("b", "n", "t")),
    ],
)
def test_graphs_that_read_something_else_are_refused(name: str, kind: str, shape: Any) -> None:
    """Earlier keys, pictures, two texts, several choices: a sentence, and nothing is written."""
    model = bert(layers=1)
    model.graph.inputs.append(ir.val(name, ir.DataType[kind], shape))
    with pytest.raises(InputError):
        fuse(_subject(model), launches=False)


def test_a_graph_that_does_not_run_is_refused() -> None:
    """There would be nothing to compare with."""
    model = bert(layers=1)
    name = "classifier.bias"
    model.graph.initializers[name].const_value = ir.tensor(np.zeros(3, np.float32), name=name)
    with pytest.raises(InputError, match="ONNX Runtime"):
        fuse(_subject(model), launches=False)


def test_what_onnx_runtime_s_own_program_fused() -> None:
    """Its operators are known: nothing is lost, and the graph is as small as ours."""
    optimizer = pytest.importorskip("onnxruntime.transformers.optimizer")
    onnx = pytest.importorskip("onnx")
    model = bert(Spelling(shapes="constants", positions="sliced"))
    proto = onnx.ModelProto.FromString(serialised(model))
    found = optimizer.optimize_by_fusion(proto, "bert", num_heads=4, hidden_size=16)
    fused = found.model.SerializeToString()
    theirs = parsed(fused, "theirs")
    assert len(list(theirs.graph)) < len(list(model.graph))
    assert largest_difference(answers(model), answers(theirs)) <= 1e-5
    again = _fused(theirs)
    assert len(list(again.graph)) <= len(list(theirs.graph))
    assert kinds(again).count("Attention") == 2


def test_what_onnx_runtime_writes_when_it_loads_a_graph(tmp_path: Path) -> None:
    """Outputs that are left out have no name there."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    options.log_severity_level = 4
    model = bert(replace(Spelling(), kinds="zeros"))
    ort.InferenceSession(serialised(model), options, providers=["CPUExecutionProvider"])
    loaded = opened(tmp_path / "loaded.onnx")
    step = fuse(_subject(loaded), launches=True)
    assert [report.undone for report in step.reports] == ["", "", ""]
    assert largest_difference(answers(model), answers(step.graph)) <= 1e-5
