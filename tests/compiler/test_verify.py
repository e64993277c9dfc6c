"""The grammar of a graph: each fault is seen, by a sentence, and a sound graph has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, Writer, bert, ir, sketch
from winnow.compiler.graph import serialised
from winnow.compiler.verify import NEWEST_OPSET, OLDEST_OPSET, fault_of, form_of, weight_fault

onnx = pytest.importorskip("onnx", reason="the extra [compile] is not installed")


def _proto(**changes: Any) -> Any:
    proto = onnx.ModelProto.FromString(serialised(bert(layers=1)))
    for name, value in changes.items():
        setattr(proto, name, value)
    return proto


def test_a_sound_graph_has_no_fault() -> None:
    """In every form in which it is looked at."""
    model = bert(Spelling(kinds="input", gelu="tanh"))
    assert fault_of(model) == ""
    assert weight_fault(model) == ""
    assert form_of(_proto()) == ""


def test_outputs_that_a_node_leaves_out_have_no_name_and_are_no_fault() -> None:
    """As ONNX Runtime's own optimizer writes SkipLayerNormalization."""

    def write(to: Writer) -> Any:
        normal = to.norm(to.looked_up(), "n")
        normal.producer().resize_outputs(3)
        for value in normal.producer().outputs[1:]:
            value.name = ""
        return normal

    assert fault_of(sketch(write)) == ""


def test_a_value_without_a_name_that_is_read_is_a_fault() -> None:
    """It cannot be written."""
    model = bert(layers=1)
    model.graph[0].outputs[0].name = None
    assert fault_of(model) == "a value without a name"


def test_two_values_of_one_name() -> None:
    """A file would join them."""
    model = bert(layers=1)
    model.graph[1].outputs[0].name = model.graph[0].outputs[0].name
    assert fault_of(model) == "two values of one name"


def test_a_value_that_is_read_before_it_is_made() -> None:
    """The order of nodes is the order of execution."""
    model = bert(layers=1)
    nodes = list(model.graph)
    model.graph.remove(nodes[0])
    model.graph.append(nodes[0])
    assert "before it is made" in fault_of(model)


def test_a_weight_that_was_taken_out() -> None:
    """As when another one took its name: nobody makes it."""
    model = bert(layers=1)
    del model.graph.initializers["words.table"]
    assert "reads 'words.table' before it is made" in fault_of(model)


def test_an_output_that_nobody_makes() -> None:
    """What is asked for has to be there."""
    model = bert(layers=1)
    stray = ir.Value(name="stray", type=ir.TensorType(ir.DataType.FLOAT))
    model.graph.outputs.append(stray)
    assert fault_of(model) == "the output 'stray' is made by no node"


def test_operators_that_nobody_knows() -> None:
    """What they do to tokens and shapes is not known either."""
    model = sketch(lambda to: to.Wonder(to.looked_up(), domain="example.org"))
    assert "is of the domain 'example.org', whose operators are not known" in fault_of(model)
    assert fault_of(sketch(lambda to: to.Gelu(to.looked_up(), domain="com.microsoft"))) == ""


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan", "Wonder"])
def test_control_flow(kind: str) -> None:
    """By its name, or by the graph that it holds."""
    model = bert(layers=1)
    inner = ir.Graph([], [], nodes=[], name="inner")
    attributes = [ir.AttrGraph("body", inner)] if kind == "Wonder" else []
    model.graph.insert_before(model.graph[0], ir.Node("", kind, [], attributes, name="flow"))
    assert fault_of(model) == f"{kind} 'flow' is control flow; export the model without it"


def test_functions_that_could_not_be_inlined() -> None:
    """A rule would not see into them."""
    model = bert(layers=1)
    body = ir.Graph([], [], nodes=[], opset_imports={"": 17}, name="f")
    function = ir.Function("example.org", "f", "", graph=body, attributes=[])
    model.functions[function.identifier()] = function
    assert fault_of(model) == "local functions that could not be inlined"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64, "bfloat16"])
def test_a_weight_that_is_no_number(value: float, kind: Any) -> None:
    """Of any width."""
    array = np.zeros((2, 3), np.float32)
    array[1, 2] = value
    cast = ir.DataType.BFLOAT16.numpy() if kind == "bfloat16" else kind
    model = bert(layers=1)
    name = "layer0.up.kernel"
    model.graph.initializers[name].const_value = ir.tensor(array.astype(cast), name=name)
    assert "'layer0.up.kernel' holds a value that is no number" in weight_fault(model)


def test_minus_infinity_may_be_a_mask_s() -> None:
    """One number, which is no weight; "no number" is nobody's."""
    model = bert(Spelling(mask="infinite"), layers=1)
    assert weight_fault(model) == ""
    name = "number 0.0"
    model.graph.initializers[name].const_value = ir.tensor(np.float32(np.nan), name=name)
    assert name in weight_fault(model)


def test_a_weight_without_values() -> None:
    """A name alone."""
    model = bert(layers=1)
    model.graph.initializers["words.table"].const_value = None
    assert weight_fault(model) == "the weight 'words.table' has no values"


@pytest.mark.parametrize("version", [0, 1, OLDEST_OPSET - 1, NEWEST_OPSET + 1, 2**62])
def test_operators_of_another_opset(version: int) -> None:
    """The sentence says which would do."""
    proto = _proto()
    proto.opset_import[0].version = version
    wanted = f"operators of opset {version}; export it with one of {OLDEST_OPSET} to {NEWEST_OPSET}"
    assert form_of(proto) == wanted


@pytest.mark.parametrize("version", [OLDEST_OPSET, NEWEST_OPSET])
@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_operators_of_an_opset_that_will_do(version: int, domain: str) -> None:
    """The oldest and the newest, under both names of the domain."""
    proto = _proto()
    proto.opset_import[0].domain = domain
    proto.opset_import[0].version = version
    assert form_of(proto) == ""


def test_no_opset_at_all() -> None:
    """An exporter that says none means the first, which is too old."""
    proto = _proto()
    del proto.opset_import[:]
    assert form_of(proto).startswith("operators of opset 0;")


def test_what_is_no_file_of_a_graph() -> None:
    """Empty, of no format, without nodes and outputs."""
    empty = onnx.ModelProto()
    nodeless = _proto()
    nodeless.graph.Clear()
    for proto in (empty, _proto(ir_version=0), nodeless):
        assert form_of(proto) == "no ONNX file, or an empty one; export it again"


def test_a_cycle() -> None:
    """A node that waits for a later one."""
    proto = _proto()
    proto.graph.node[0].input[0] = proto.graph.node[-1].output[0]
    assert "which nothing before it makes: a cycle, or nodes out of order" in form_of(proto)


def test_names_that_are_made_twice() -> None:
    """By two nodes, by a node and a weight, by two weights; by a node and an input."""
    proto = _proto()
    proto.graph.node[1].output[0] = proto.graph.node[0].output[0]
    assert "is made twice" in form_of(proto)
    proto = _proto()
    proto.graph.node[1].output[0] = "words.table"
    assert form_of(proto) == "'words.table' is made twice"
    proto = _proto()
    proto.graph.node[1].output[0] = "input_ids"
    assert form_of(proto) == "'input_ids' is made twice"
    proto = _proto()
    proto.graph.initializer.append(proto.graph.initializer[0])
    assert form_of(proto) == "two weights of one name"


def test_an_output_that_no_node_makes() -> None:
    """As in a graph that was cut."""
    proto = _proto()
    del proto.graph.node[-1]
    assert form_of(proto) == "the output 'logits' is made by no node"
