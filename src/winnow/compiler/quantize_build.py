"""Adds nodes and constants to a graph, in the place of others, under names that are free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from winnow.compiler.graph import array_of


class Builder:
    """Changes one graph.

    Attributes:
        graph: that is changed.
    """

    def __init__(self, model: ir.Model) -> None:
        self.graph = model.graph
        made = [value.name for node in self.graph for value in node.outputs]
        self._taken = {*(value.name for value in self.graph.inputs), *made}
        self._taken |= {*self.graph.initializers, *(node.name for node in self.graph)}

    def add(
        self, before: ir.Node, kind: str, inputs: Sequence[ir.Value | None], name: str,
        domain: str = "", **attributes: Any,
    ) -> ir.Value:  # fmt: skip
        """Put a node of one output before another; its output."""
        return self.several(before, kind, inputs, name, 1, domain, **attributes)[0]

    def several(
        self, before: ir.Node, kind: str, inputs: Sequence[ir.Value | None], name: str,
        outputs: int, domain: str = "", **attributes: Any,
    ) -> tuple[ir.Value, ...]:  # fmt: skip
        """Put a node before another; its outputs."""
        name = self.free(name)
        node = ir.node(
            kind, inputs, attributes or None, domain=domain, name=name, num_outputs=outputs
        )
        for place, value in enumerate(node.outputs):
            value.name = self.free(f"{name}:{place}")
        if domain:
            self.graph.opset_imports.setdefault(domain, 1)
        self.graph.insert_before(before, node)
        return tuple(node.outputs)

    def constant(self, name: str, array: Any) -> ir.Value:
        """A constant; one that is there under that name and the same is used again."""
        array = np.asarray(array)
        there = array_of(self.graph.initializers.get(name))
        if there is not None and there.dtype == array.dtype and np.array_equal(there, array):
            return self.graph.initializers[name]
        place = self.free(name)
        made = ir.Value(name=place, const_value=ir.tensor(array, name=place))
        made.shape, made.type = ir.Shape(array.shape), ir.TensorType(made.const_value.dtype)
        self.graph.register_initializer(made)
        return made

    def replace(self, node: ir.Node, result: ir.Value) -> None:
        """Let all that read a node's output read another value; an output keeps its name."""
        old = node.outputs[0]
        result.shape, result.type = old.shape, old.type
        if old.is_graph_output():
            result.name, old.name = old.name, self.free(f"{old.name}.before")
            self.graph.outputs[:] = [result if o is old else o for o in self.graph.outputs]
        ir.convenience.replace_all_uses_with(old, result)
        self.graph.remove(node, safe=True)

    def free(self, name: str) -> str:
        """The name, or with a number where it is taken; it is taken then."""
        place, n = name, 0
        while place in self._taken:
            n += 1
            place = f"{name}.{n}"
        self._taken.add(place)
        return place
