"""Nodes and constants in the place of others: names that are free, outputs that keep theirs."""

from __future__ import annotations

import numpy as np

from tests.compiler.integers import drawn, graph, kinds, normal, product, run, two_layers
from winnow.compiler.quantize_build import Builder
from winnow.compiler.verify import fault_of


def test_names_are_free() -> None:
    """One that an input, a node, a value or a constant has gets a number."""
    build = Builder(graph(two_layers))
    wanted = ("x", "first", "w", "out0", "new", "new", "new")
    assert [build.free(name) for name in wanted] == [
        "x.1", "first.1", "w.1", "out0.1", "new", "new.1", "new.2",
    ]  # fmt: skip


def test_a_constant_is_stored_once() -> None:
    """The same under the same name is the same; another one gets another name."""
    model = product(drawn(1))
    build = Builder(model)
    one = build.constant("c", np.float32(2.0))
    assert build.constant("c", np.float32(2.0)) is one
    assert one.shape == ()
    assert build.constant("c", np.float32(3.0)).name == "c.1"
    assert build.constant("c", np.float64(2.0)).name == "c.2"
    assert build.constant("w", drawn(1)) is model.graph.initializers["w"]


def test_a_node_is_put_in_the_place_of_another() -> None:
    """What read the old one reads the new one; who asks for the output finds it."""
    model = graph(two_layers)
    build = Builder(model)
    first, *_, last = list(model.graph)
    twice = [first.inputs[0], build.constant("v2", 2 * drawn(1) / 50)]
    build.replace(first, build.add(first, "MatMul", twice, "first"))
    bent = [last.inputs[0], last.inputs[1]]
    build.replace(last, build.add(last, "MatMul", bent, "second"))
    x = normal(1)
    assert kinds(model) == ["MatMul", "Add", "Gelu", "MatMul"]
    assert [output.name for output in model.graph.outputs] == ["out0"]
    assert np.allclose(run(model, x / 2)[0], run(graph(two_layers), x)[0], rtol=1e-4, atol=1e-3)


def test_a_contributed_operator_brings_its_domain() -> None:
    """Else no runtime would load the graph; several outputs have names of their own."""
    model = product(drawn(1))
    build = Builder(model)
    node = model.graph[0]
    values = build.several(node, "DynamicQuantizeLinear", [node.inputs[0]], "round", 3)
    assert [value.name for value in values] == ["round:0", "round:1", "round:2"]
    assert set(model.graph.opset_imports) == {""}
    build.add(node, "Gelu", [node.inputs[0]], "bent", "com.microsoft")
    assert model.graph.opset_imports["com.microsoft"] == 1
    assert fault_of(model) == ""
