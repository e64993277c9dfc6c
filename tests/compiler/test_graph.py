"""A graph is opened with distrust and written the same each time; bad input is a sentence, soon."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.exports import Spelling, Writer, answers, bert, ir, sketch
from winnow.compiler.graph import (
    array_of,
    copied,
    drop_unused,
    executable,
    opened,
    parsed,
    serialised,
)
from winnow.compiler.passes import largest_difference
from winnow.compiler.verify import fault_of
from winnow.errors import InputError

onnx = pytest.importorskip("onnx", reason="the extra [compile] is not installed")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

SECONDS = 5.0  # of the processor; what is refused takes hundredths


def _proto(**spelling: Any) -> Any:
    return onnx.ModelProto.FromString(serialised(bert(Spelling(**spelling), layers=1)))


def _written(proto: Any, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def _refusal(path: Path, **options: Any) -> str:
    """Why a file is refused: one sentence, in bounded time."""
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        opened(path, **options)
    assert time.process_time() - started < SECONDS
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 500
    return text


def _outside(proto: Any, folder: Path, **entries: Any) -> Any:
    """Keep the words' table beside the file, with these entries."""
    tensor = next(one for one in proto.graph.initializer if one.name == "words.table")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in ({"location": "weights.bin"} | entries).items():
        tensor.external_data.add(key=key, value=str(value))
    (folder / "weights.bin").write_bytes(data)
    return proto


# ---- what is read, and how it is written


def test_written_and_read_again_it_is_the_same_graph(tmp_path: Path) -> None:
    """Nodes, names, weights, answers; and the bytes."""
    model = bert(Spelling(kinds="input"))
    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(model))
    again = opened(path)
    assert [node.name for node in again.graph] == [node.name for node in model.graph]
    assert largest_difference(answers(model), answers(again)) == 0.0
    assert serialised(parsed(serialised(again), "m")) == serialised(again)


def test_the_same_graph_is_the_same_bytes() -> None:
    """Written twice, or copied first."""
    model = bert()
    assert serialised(model) == serialised(model) == serialised(copied(model))


def test_a_copy_is_changed_alone() -> None:
    """Its nodes are its own; weights, which nobody changes, are shared."""
    model = bert()
    other = copied(model)
    before = serialised(model)
    other.graph[5].name = "renamed"
    other.graph.initializers["words.table"].const_value = ir.tensor(np.zeros(1, np.float32))
    assert serialised(model) == before
    table = "position.table"
    ours, theirs = (m.graph.initializers[table].const_value for m in (model, other))
    assert ours is theirs


def test_constants_are_weights_and_are_not_executed(tmp_path: Path) -> None:
    """A node Constant becomes a weight when a file is opened, and never counts."""
    proto = _proto(mask="none")
    tensor = numpy_helper.from_array(np.full(2, 3.0, np.float32), "three")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["three"], value=tensor))
    last = proto.graph.node[-1]
    last.output[0] = "before"
    proto.graph.node.append(helper.make_node("Add", ["before", "three"], ["logits"], name="more"))
    raw = ir.from_proto(proto)
    assert executable(raw) == len(list(raw.graph)) - 1
    model = opened(_written(proto, tmp_path))
    assert executable(model) == len(list(model.graph)) == executable(raw)
    assert array_of(model.graph[-1].inputs[1]).tolist() == [3.0, 3.0]


def test_numbers_of_a_value() -> None:
    """Of a constant, not of what is computed, given, or given unless nobody does."""
    model = bert(layers=1)
    table = model.graph.initializers["words.table"]
    assert array_of(table).shape == (40, 16)
    assert array_of(model.graph[0].outputs[0]) is None
    assert array_of(model.graph.inputs[0]) is None
    assert array_of(None) is None
    model.graph.inputs.append(table)
    assert array_of(table) is None


def test_what_nobody_needs_goes() -> None:
    """Nodes and weights, in a chain, too."""
    model = sketch(lambda to: to.looked_up())
    dead = ir.Node("", "Tanh", [model.graph[0].outputs[0]], name="dead")
    model.graph.append(dead)
    model.graph.append(ir.Node("", "Neg", [dead.outputs[0]], name="deader"))
    drop_unused(model)
    assert [node.op_type for node in model.graph] == ["Gather"]


def test_functions_are_unfolded(tmp_path: Path) -> None:
    """As the newer exporter of PyTorch writes them; rules look at nodes alone."""
    proto = _proto(mask="none")
    body = [helper.make_node("Neg", ["x"], ["n"]), helper.make_node("Neg", ["n"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    proto.functions.append(helper.make_function("own", "Twice", ["x"], ["y"], body, opsets))
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.graph.node[-1].output[0] = "before"
    proto.graph.node.append(helper.make_node("Twice", ["before"], ["logits"], domain="own"))
    model = opened(_written(proto, tmp_path))
    assert [node.op_type for node in model.graph][-2:] == ["Neg", "Neg"]
    assert largest_difference(answers(bert(Spelling(mask="none"), layers=1)), answers(model)) == 0.0


@pytest.mark.parametrize("opset", [13, 14, 15, 16])
def test_a_graph_of_an_older_opset_is_raised(opset: int, tmp_path: Path) -> None:
    """Between 13 and 17 its operators mean the same; from then on it knows LayerNormalization."""
    model = bert(Spelling(norm="spelt out", opset=opset), layers=1)
    model.ir_version = 7
    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(model))
    again = opened(path)
    assert again.graph.opset_imports[""] == 17
    assert again.ir_version == 8
    onnx.checker.check_model(onnx.ModelProto.FromString(serialised(again)))
    assert largest_difference(answers(model), answers(again)) == 0.0


@pytest.mark.parametrize("opset", [17, 18, 21])
def test_a_newer_graph_keeps_its_opset(opset: int) -> None:
    """Nothing is lowered or raised without need."""
    model = parsed(serialised(bert(Spelling(opset=opset), layers=1)), "m")
    assert (model.graph.opset_imports[""], model.ir_version) == (opset, 10)


def test_an_operator_that_came_to_mean_something_else_keeps_the_opset() -> None:
    """BatchNormalization gives other outputs since 14."""

    def write(to: Writer) -> Any:
        more = [to.constant(n, np.ones(16, np.float32)) for n in "sbmv"]
        x = to.Transpose(to.looked_up(), perm=[0, 2, 1])
        return to.BatchNormalization(x, *more)

    model = parsed(serialised(sketch(write, Spelling(mask="none", opset=13))), "m")
    assert model.graph.opset_imports[""] == 13


def test_the_long_name_of_the_domain_is_the_short_one(tmp_path: Path) -> None:
    """Rules ask for the opset of ""."""
    proto = _proto()
    proto.opset_import[0].domain = "ai.onnx"
    assert opened(_written(proto, tmp_path)).graph.opset_imports[""] == 17


def test_weights_that_are_inputs_are_weights(tmp_path: Path) -> None:
    """Old exporters list both; what could be given in their place never is."""
    proto = _proto()
    for tensor in proto.graph.initializer:
        entry = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        proto.graph.input.append(entry)
    model = opened(_written(proto, tmp_path))
    assert [value.name for value in model.graph.inputs] == ["input_ids", "attention_mask"]
    assert largest_difference(answers(bert(layers=1)), answers(model)) == 0.0


def test_weights_that_layers_share_are_read_once(tmp_path: Path) -> None:
    """One weight, two readers."""

    def write(to: Writer) -> Any:
        return to.dense(to.dense(to.looked_up(), "same", 16, 16), "same", 16, 16)

    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(sketch(write)))
    model = opened(path)
    assert len(list(model.graph.initializers["same.kernel"].uses())) == 2


# ---- weights beside the file


@pytest.mark.parametrize("entries", [{}, {"offset": 0, "length": 2560}])
def test_weights_beside_the_file_are_taken_in(entries: Any, tmp_path: Path) -> None:
    """What is written again needs no other file."""
    model = opened(_written(_outside(_proto(), tmp_path, **entries), tmp_path))
    (tmp_path / "weights.bin").unlink()
    assert largest_difference(answers(bert(layers=1)), answers(model)) == 0.0
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "m.onnx").write_bytes(serialised(model))
    assert fault_of(opened(alone / "m.onnx")) == ""


def test_weights_beside_the_file_at_an_offset(tmp_path: Path) -> None:
    """Several share a file."""
    proto = _outside(_proto(), tmp_path, offset=64, length=2560)
    data = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(bytes(64) + data + b"more")
    model = opened(_written(proto, tmp_path))
    assert largest_difference(answers(bert(layers=1)), answers(model)) == 0.0


def test_weights_that_are_missing(tmp_path: Path) -> None:
    """The sentence names the file."""
    path = _written(_outside(_proto(), tmp_path), tmp_path)
    (tmp_path / "weights.bin").unlink()
    assert _refusal(path).endswith("needs weights.bin beside it, which is missing; copy both.")


@pytest.mark.parametrize("size", [0, 100, 2559])
def test_weights_that_are_truncated(size: int, tmp_path: Path) -> None:
    """As after a download that was cut off."""
    path = _written(_outside(_proto(), tmp_path), tmp_path)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:size])
    assert "weights.bin is damaged" in _refusal(path)


@pytest.mark.parametrize("entries", [{"offset": 10**15}, {"offset": -8}, {"length": "many"}])
def test_entries_that_make_no_sense(entries: Any, tmp_path: Path) -> None:
    """Beyond the file, before it, no number."""
    _refusal(_written(_outside(_proto(), tmp_path, **entries), tmp_path))


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/hostname", "sub/weights.bin", "", ".", "..", "./w", "a\0b"]
)
def test_weights_outside_of_the_folder(location: str, tmp_path: Path) -> None:
    """No file is read that does not lie beside the model."""
    path = _written(_outside(_proto(), tmp_path, location=location), tmp_path)
    proto = onnx.ModelProto.FromString(path.read_bytes())
    tensor = next(one for one in proto.graph.initializer if one.name == "words.table")
    tensor.external_data[0].value = location
    _refusal(_written(proto, tmp_path))


def test_a_link_to_another_place(tmp_path: Path) -> None:
    """Beside the model lies a name of something that does not."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = _written(_outside(_proto(), folder), folder)
    (folder / "weights.bin").rename(tmp_path / "secret")
    (folder / "weights.bin").symlink_to(tmp_path / "secret")
    assert "which may lead anywhere" in _refusal(path)


@pytest.mark.parametrize("kind", [0, 8])
def test_weights_of_strings_or_nothing(kind: int, tmp_path: Path) -> None:
    """They have no size to be compared."""
    proto = _outside(_proto(), tmp_path)
    next(t for t in proto.graph.initializer if t.name == "words.table").data_type = kind
    assert _refusal(_written(proto, tmp_path)).endswith("'words.table' holds no numbers.")


def test_more_weights_than_may_be_read(tmp_path: Path) -> None:
    """The file and what lies beside it count together; one file may be named a thousand times."""
    path = _written(_outside(_proto(), tmp_path), tmp_path)
    size = path.stat().st_size
    assert "has more than" in _refusal(path, largest=size + 100)
    assert "is larger than" in _refusal(path, largest=size - 1)
    assert fault_of(opened(path, largest=size + 2560)) == ""


def test_bytes_alone_have_nothing_beside_them(tmp_path: Path) -> None:
    """A graph inside of an artifact holds all of its weights."""
    data = _outside(_proto(), tmp_path).SerializeToString()
    with pytest.raises(InputError, match="m keeps weights in another file"):
        parsed(data, "m")


# ---- what is no graph


def test_no_file(tmp_path: Path) -> None:
    """The system's own words."""
    assert _refusal(tmp_path / "none.onnx").endswith("none.onnx: No such file or directory.")


def test_a_directory(tmp_path: Path) -> None:
    """Of whatever name."""
    (tmp_path / "m.onnx").mkdir()
    assert _refusal(tmp_path / "m.onnx").endswith("m.onnx: Is a directory.")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into it."""
    os.mkfifo(tmp_path / "m.onnx")
    assert _refusal(tmp_path / "m.onnx").endswith("m.onnx is no file; name an ONNX file.")


def test_a_device_is_not_read() -> None:
    """It has no end."""
    assert "is no file" in _refusal(Path("/dev/zero"))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"hello, world", b"PK\x03\x04" + bytes(100), b"\x08\x07", os.urandom(5000)],
    ids=["empty", "zero", "text", "zip", "header", "noise"],
)
def test_what_is_no_onnx_file(data: bytes, tmp_path: Path) -> None:
    """Empty, text, an archive, a header alone, noise."""
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    assert "no ONNX file" in _refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off(share: float, tmp_path: Path) -> None:
    """Wherever that was."""
    data = serialised(bert(layers=1))
    path = tmp_path / "m.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    _refusal(path)


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_a_file_with_wrong_bytes_is_opened_or_refused(seed: int, wrong: int) -> None:
    """Whatever is damaged, the answer is a graph without faults or a sentence."""
    data = bytearray(_SOUND())
    chance = np.random.default_rng(seed)
    for place in chance.integers(0, len(data), wrong):
        data[place] = chance.integers(0, 256)
    try:
        model = parsed(bytes(data), "m")
    except InputError:
        return
    assert fault_of(model) == ""


def _sound() -> Callable[[], bytes]:
    data: list[bytes] = []

    def once() -> bytes:
        if not data:
            data.append(serialised(bert(Spelling(mask="none"), layers=1, words=4, positions=4)))
        return data[0]

    return once


_SOUND = _sound()

# ---- a graph that no pass can work on


def _damaged(change: Callable[[Any], None], folder: Path) -> str:
    proto = _proto()
    change(proto)
    return _refusal(_written(proto, folder))


def _weight(proto: Any, name: str = "layer0.up.kernel") -> Any:
    return next(one for one in proto.graph.initializer if one.name == name)


def _with_nan(proto: Any) -> None:
    array = numpy_helper.to_array(_weight(proto)).copy()
    array[0, 0] = np.nan
    _weight(proto).CopyFrom(numpy_helper.from_array(array, "layer0.up.kernel"))


def _without_bytes(proto: Any) -> None:
    _weight(proto).raw_data = b""


def _of_negative_size(proto: Any) -> None:
    _weight(proto).dims[0] = -1


def _foreign(proto: Any) -> None:
    proto.graph.node[0].domain = "example.org"


def _branching(proto: Any) -> None:
    output = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None)
    branch = helper.make_graph(
        [helper.make_node("Identity", ["words.table"], ["z"])], "branch", [], [output]
    )
    flag = numpy_helper.from_array(np.array(True), "flag")
    proto.graph.initializer.append(flag)
    node = helper.make_node("If", ["flag"], ["zz"], then_branch=branch, else_branch=branch)
    proto.graph.node.insert(0, node)


def _in_a_circle(proto: Any) -> None:
    proto.graph.node[0].input[1] = proto.graph.node[-1].output[0]


def _old(proto: Any) -> None:
    proto.opset_import[0].version = 11


def _typeless(proto: Any) -> None:
    _weight(proto).data_type = 99


def _calling_itself(proto: Any) -> None:
    body = [helper.make_node("Again", ["x"], ["y"], domain="own")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    proto.functions.append(helper.make_function("own", "Again", ["x"], ["y"], body, opsets))
    proto.opset_import.append(helper.make_opsetid("own", 1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_with_nan, "holds a value that is no number; train it again."),
        (_without_bytes, "has not as many values as it says; export it again."),
        (_of_negative_size, "has a negative size."),
        (_typeless, "is of an unknown type, 99."),
        (_foreign, "is of the domain 'example.org', whose operators are not known."),
        (_branching, "is control flow; export the model without it."),
        (_in_a_circle, "which nothing before it makes: a cycle, or nodes out of order."),
        (_old, "operators of opset 11; export it with one of 13 to 26."),
        (_calling_itself, "local functions that call themselves."),
    ],
)
def test_a_graph_that_no_pass_can_work_on(change: Any, reason: str, tmp_path: Path) -> None:
    """Each is a sentence that names the file and says what to do where something can be done."""
    text = _damaged(change, tmp_path)
    assert text.startswith(f"{tmp_path}/model.onnx: ")
    assert text.endswith(reason)


def test_an_operator_without_its_inputs_is_no_crash(tmp_path: Path) -> None:
    """What the library cannot read is refused, what it can is the runtime's to judge."""
    proto = _proto()
    del proto.graph.node[3].input[:]
    path = _written(proto, tmp_path)
    with contextlib.suppress(InputError):
        assert fault_of(opened(path)) == ""
