"""What a hostile ONNX file would read or unfold; nothing of it is done before it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.imported import classifier, helper, numpy_helper, onnx  # first: skips without the extra
from winnow.compiler.distrust import MOST_FUNCTIONS, MOST_NODES, harm_of
from winnow.compiler.graph import opened, serialised
from winnow.errors import InputError

SECRET = b"root:x:0:0:root\n"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that is not the model's, outside of its folder."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    (tmp_path / "model").mkdir()
    return path


def _outside(location: object, length: int = len(SECRET)) -> Any:
    tensor = onnx.TensorProto(name="stolen", data_type=onnx.TensorProto.UINT8, dims=[length])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(location))
    return tensor


def _constant(tensor: Any, kind: str = "Constant", *inputs: str) -> Any:
    node = helper.make_node(kind, list(inputs), ["stolen"], name="stolen")
    node.attribute.append(helper.make_attribute("value", onnx.TensorProto()))
    node.attribute[0].t.CopyFrom(tensor)
    return node


def _in_a_constant(model: Any, tensor: Any) -> None:
    model.graph.node.insert(0, _constant(tensor))


def _in_a_shape(model: Any, tensor: Any) -> None:
    model.graph.node.insert(0, _constant(tensor, "ConstantOfShape", "one"))


def _in_a_function(model: Any, tensor: Any) -> None:
    body = [_constant(tensor), helper.make_node("Identity", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "F", ["x"], ["y"], body, opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))


def _in_a_branch(model: Any, tensor: Any) -> None:
    branch = helper.make_graph([], "branch", [], [])
    branch.initializer.add().CopyFrom(tensor)
    node = helper.make_node("If", ["one"], ["stolen"], name="branching")
    node.attribute.append(helper.make_attribute("then_branch", branch))
    model.graph.node.insert(0, node)


def _in_a_list(model: Any, tensor: Any) -> None:
    node = helper.make_node("Identity", ["one"], ["stolen"], name="listing")
    attribute = node.attribute.add()
    attribute.name, attribute.type = "many", onnx.AttributeProto.TENSORS
    attribute.tensors.add().CopyFrom(tensor)
    model.graph.node.insert(0, node)


def _as_a_sparse_weight(model: Any, tensor: Any) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(tensor)
    sparse.dims.append(100)


PLACES = [
    _in_a_constant,
    _in_a_shape,
    _in_a_function,
    _in_a_branch,
    _in_a_list,
    _as_a_sparse_weight,
]


@pytest.mark.parametrize("put", PLACES)
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_no_tensor_but_a_weight_may_name_a_file(put: Any, absolute: bool, secret: Path) -> None:
    """Wherever tensors may stand: what a file of the system holds does not become a weight."""
    model = classifier()
    put(model, _outside(secret if absolute else "../secret"))
    path = secret.parent / "model" / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"'stolen' is no weight and names a file .* refused"):
        opened(path)


@pytest.mark.parametrize("place", ["../secret", "absolute", "sub/w", "link", ".", "..", ""])
def test_weights_are_read_from_beside_the_file_only(place: str, secret: Path) -> None:
    """No way leads out of the folder, a link neither."""
    model = classifier()
    folder = secret.parent / "model"
    (folder / "sub").mkdir()
    (folder / "sub" / "w").write_bytes(SECRET)
    (folder / "link").symlink_to(secret)
    model.graph.initializer.append(_outside(secret if place == "absolute" else place))
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"outside its folder|is a link"):
        opened(path)


def test_weights_beside_the_file_are_taken_in(tmp_path: Path) -> None:
    """What exporters do with large models: the same graph, whole."""
    model = classifier()
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(classifier().SerializeToString())
    assert (tmp_path / "m.onnx.data").stat().st_size > 100
    assert serialised(opened(path)) == serialised(opened(whole))


def test_what_is_well_formed_is_left_alone() -> None:
    """Tensors in attributes and numbers in typed fields are what exporters write."""
    model = classifier()
    value = helper.make_tensor("v", onnx.TensorProto.INT64, [3], [1, 2, 3])
    empty = numpy_helper.from_array(np.zeros((0, 4), dtype=np.float32), "e")
    half = numpy_helper.from_array(np.ones(3, dtype=np.float16), "h")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["v"], value=value))
    model.graph.initializer.extend([empty, half])
    assert harm_of(model) == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.dims.__setitem__(0, 1 << 40), "not as many values as it says"),
        (lambda t: t.dims.__setitem__(0, -1), "negative size"),
        (lambda t: t.ClearField("raw_data"), "not as many values as it says"),
        (lambda t: t.MergeFrom(type(t)(raw_data=t.raw_data[:-1])), "not as many values"),
        (lambda t: t.float_data.append(1.0), ""),  # raw data win, as everywhere
        (lambda t: setattr(t, "data_type", 99), "unknown type"),
    ],
    ids=["too large", "negative", "none", "cut off", "both", "no type"],
)
@pytest.mark.parametrize("inside", [False, True], ids=["weight", "attribute"])
def test_a_tensor_has_what_it_says(change: Any, told: str, inside: bool) -> None:
    """A size that is a lie is a sentence, not a traceback or an allocation."""
    model = classifier()
    tensor = numpy_helper.from_array(np.ones((2, 3), dtype=np.float32), "lie")
    change(tensor)
    if inside:
        model.graph.node.insert(0, _constant(tensor))
    else:
        model.graph.initializer.append(tensor)
    fault = harm_of(model)
    assert fault.startswith("'lie' ") is bool(told)
    assert told in fault


def _function(name: str, calls: list[str]) -> Any:
    body = [helper.make_node(call, ["x"], ["y"], domain="own") for call in calls]
    opsets = [helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], body, opsets)


def _calling(functions: dict[str, list[str]], *calls: str) -> Any:
    model = classifier()
    model.functions.extend([_function(*one) for one in functions.items()])
    nodes = [helper.make_node(call, ["one"], ["o"], domain="own") for call in calls]
    model.graph.node.extend(nodes)
    return model


def test_functions_that_unfold_without_end_are_refused() -> None:
    """Sixty functions that call the next twice are 2**60 nodes, and a file of a few kilobytes."""
    doubling = {f"f{n}": [f"f{n + 1}"] * 2 for n in range(60)} | {"f60": ["g"]}
    assert harm_of(_calling(doubling, "f0")) == f"more than {MOST_NODES:,} nodes"
    short = {f"f{n}": [f"f{n + 1}"] * 2 for n in range(10)} | {"f10": ["g"]}
    assert harm_of(_calling(short, "f0")) == ""
    assert harm_of(_calling(short, *["f0"] * 200)) == f"more than {MOST_NODES:,} nodes"


def test_functions_that_call_themselves_are_refused() -> None:
    """Directly or in a ring."""
    for ring in ({"a": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["g"]}):
        assert harm_of(_calling(ring, "d")) == "local functions that call themselves"


def test_too_many_functions_are_refused() -> None:
    """Their order is looked for in time that grows with the square of their number."""
    many = {f"f{n}": ["g"] for n in range(MOST_FUNCTIONS + 1)}
    assert harm_of(_calling(many)) == f"more than {MOST_FUNCTIONS:,} local functions"
