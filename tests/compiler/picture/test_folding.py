"""Layers that are alike are drawn once; those that differ in anything that is seen are not."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import encoder, fused_encoder  # noqa: E402
from winnow.compiler.picture.folding import forms_of, runs_of  # noqa: E402
from winnow.compiler.picture.layers import stages_of  # noqa: E402
from winnow.compiler.picture.nodes import sketch_of  # noqa: E402


def _forms(model: Any, mark: str = "") -> list[Hashable]:
    sketch = sketch_of(model)
    marks = [node.name == mark for node in sketch.nodes]
    return forms_of(sketch, stages_of(sketch), marks)


@pytest.mark.parametrize("build", [encoder, fused_encoder])
def test_layers_of_one_form(build: Any) -> None:
    """Names do not matter, and embeddings, layers and head are told apart."""
    before, *layers, after = _forms(build(3))
    assert len(set(layers)) == 1
    assert len({before, layers[0], after}) == 3


def test_the_order_of_nodes_does_not_matter() -> None:
    """An exporter that writes one layer's nodes in another order draws the same layer."""
    model = encoder(2)
    nodes = {node.name: node for node in model.graph}
    graph = model.graph
    graph.remove(nodes["layer1.value.product"])
    graph.insert_before(nodes["layer1.query.product"], nodes["layer1.value.product"])
    assert _forms(model)[1] == _forms(model)[2]


@pytest.mark.parametrize("what", ["operator", "constant", "wiring", "mark"])
def test_a_layer_that_differs(what: str) -> None:
    """Another operator, width, way or fate of one node keeps its layer apart."""
    model = encoder(3)
    nodes = {node.name: node for node in model.graph}
    if what == "operator":
        nodes["layer1.gelu"].op_type = "Tanh"
    elif what == "constant":
        nodes["layer1.up"].inputs[1].const_value = ir.tensor([1.0], name="other")
    elif what == "wiring":
        x, out = nodes["layer1.skip"].inputs
        nodes["layer1.skip"].replace_input_with(0, out)
        nodes["layer1.skip"].replace_input_with(1, x)
    forms = _forms(model, "layer1.gelu" if what == "mark" else "")
    assert forms[1] == forms[3]
    assert forms[2] != forms[1]


def test_runs() -> None:
    """Only layers are folded, and only beside each other."""
    names = ("embeddings", "layer 0", "layer 1", "layer 2", "layer 3", "head")
    assert runs_of(names, [0, 1, 1, 2, 1, 1]) == [
        range(1), range(1, 3), range(3, 4), range(4, 5), range(5, 6),
    ]  # fmt: skip
    assert runs_of(names, [1, 1, 1, 1, 1, 1]) == [range(1), range(1, 5), range(5, 6)]
    assert runs_of(("graph",), [0]) == [range(1)]
