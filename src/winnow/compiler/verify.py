"""The grammar of a graph: what every pass is given, and what it must leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

# Below 13 axes are attributes, and every rule would need a second form.
OLDEST_OPSET, NEWEST_OPSET = 13, 26
# LayerNormalization came with 17; a graph of an older opset is raised to it (graph.py).
NORM_OPSET = 17
# The contributed operators of ONNX Runtime, which our fused graphs are made of.
CONTRIBUTED = "com.microsoft"
_DOMAINS = frozenset({"", "ai.onnx", CONTRIBUTED})
_CONTROL = frozenset({"If", "Loop", "Scan"})


def form_of(proto: Any) -> str:
    """What is wrong with a file before it is a graph; "" when nothing is.

    Args:
        proto: an onnx.ModelProto, as parsed.
    """
    graph = proto.graph
    if not proto.ir_version or not (graph.node or graph.output):
        return "no ONNX file, or an empty one; export it again"
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        return f"operators of opset {opset}; export it with one of {OLDEST_OPSET} to {NEWEST_OPSET}"
    weights = [entry.name for entry in graph.initializer]
    weights += [entry.values.name for entry in graph.sparse_initializer]
    known = {entry.name for entry in graph.input} | {*weights, ""}
    if len(set(weights)) != len(weights):
        return "two weights of one name"
    for node in graph.node:
        missing = [name for name in node.input if name not in known]
        if missing:
            return (
                f"{node.op_type} {node.name!r} reads {missing[0]!r}, which nothing before it makes:"
                " a cycle, or nodes out of order"
            )
        twice = [name for name in node.output if name and name in known]
        if twice:
            return f"{twice[0]!r} is made twice"
        known.update(node.output)
    absent = [entry.name for entry in graph.output if entry.name not in known]
    return f"the output {absent[0]!r} is made by no node" if absent else ""


def fault_of(model: ir.Model) -> str:
    """What no pass can work on or may leave behind; "" when nothing is wrong."""
    if model.functions:
        return "local functions that could not be inlined"
    graph = model.graph
    known: set[ir.Value] = {*graph.inputs, *graph.initializers.values()}
    for node in graph:
        named = f"{node.op_type} {node.name!r}"
        if node.op_type in _CONTROL or any(_holds_graph(a) for a in node.attributes.values()):
            return f"{named} is control flow; export the model without it"
        if node.domain not in _DOMAINS:
            return f"{named} is of the domain {node.domain!r}, whose operators are not known"
        for value in node.inputs:
            if value is not None and value not in known:
                return f"{named} reads {value.name!r} before it is made"
        known.update(node.outputs)
    for output in graph.outputs:
        if output not in known:
            return f"the output {output.name!r} is made by no node"
    # An output that a node leaves out has no name, and nobody reads it.
    names = [value.name or "" for value in known if value.name or value.uses()]
    if "" in names:
        return "a value without a name"
    return "" if len(set(names)) == len(names) else "two values of one name"


def weight_fault(model: ir.Model) -> str:
    """A weight that is no number; "" when all are."""
    for name, value in model.graph.initializers.items():
        if value.const_value is None:
            return f"the weight {name!r} has no values"
        array = value.const_value.numpy()
        floats = array.dtype.kind == "f" or value.const_value.dtype == ir.DataType.BFLOAT16
        if floats and not np.isfinite(array).all():
            if array.size == 1 and not np.isnan(array).any():
                continue  # a mask's minus infinity
            return f"the weight {name!r} holds a value that is no number; train it again"
    return ""


def _holds_graph(attribute: ir.Attr) -> bool:
    return attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
