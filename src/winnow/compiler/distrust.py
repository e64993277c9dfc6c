"""What in an ONNX file would harm who opens it, found before anything is read or unfolded.

A tensor may name another file that its values are in, wherever tensors may stand: the weights of
the graph are looked for beside it, any other is refused. Sizes are compared with what is there.
And functions that call functions may stand for more nodes than any memory holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import onnx_ir as ir

MOST_FUNCTIONS, MOST_NODES = 1_000, 100_000
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_STRING = 8
_OUTSIDE = 1  # TensorProto.EXTERNAL


def harm_of(proto: Any) -> str:
    """What is wrong, "" when nothing is.

    Args:
        proto: an onnx.ModelProto, as parsed.
    """
    for tensor in proto.graph.initializer:
        fault = _size_fault(tensor)
        if fault:
            return fault
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    inside = [tensor for one in proto.graph.sparse_initializer for tensor in _dense(one)]
    for tensor in (*inside, *_tensors(nodes)):
        if tensor.data_location == _OUTSIDE:
            return f"{tensor.name!r} is no weight and names a file for its values; refused"
        fault = _size_fault(tensor)
        if fault:
            return fault
    return _unfolding_fault(proto)


def _dense(sparse: Any) -> tuple[Any, Any]:
    return sparse.values, sparse.indices


def _tensors(nodes: list[Any]) -> Iterator[Any]:
    """Tensors in attributes, those of graphs in them too (protobuf bounds the depth)."""
    for node in nodes:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from _dense(sparse)
            for graph in (attribute.g, *attribute.graphs):
                yield from graph.initializer
                yield from _tensors(list(graph.node))


def _size_fault(tensor: Any) -> str:
    """Whether a tensor has as many values as it says."""
    sizes = list(tensor.dims)
    if any(size < 0 for size in sizes):
        return f"{tensor.name!r} has a negative size"
    if tensor.data_location == _OUTSIDE or tensor.data_type in (0, _STRING):
        return ""
    try:
        kind = ir.DataType(tensor.data_type)
    except ValueError:
        return f"{tensor.name!r} is of an unknown type, {tensor.data_type}"
    count = math.prod(sizes)
    if tensor.HasField("raw_data"):
        whole = len(tensor.raw_data) == math.ceil(count * kind.bitwidth / 8)
    else:
        stored = sum(len(getattr(tensor, name)) for name in _FIELDS)
        packed = kind.bitwidth < 8 or kind.bitwidth > 64  # several to a number, or two to a value
        whole = bool(stored) == bool(count) if packed else stored == count
    return "" if whole else f"{tensor.name!r} has not as many values as it says; export it again"


def _unfolding_fault(proto: Any) -> str:
    """Whether functions unfold to a graph that can be held."""
    if len(proto.functions) > MOST_FUNCTIONS:
        return f"more than {MOST_FUNCTIONS:,} local functions"
    bodies = {(one.domain, one.name): one.node for one in proto.functions}
    known: dict[tuple[str, str], int] = {}

    def size(nodes: Any) -> int | None:
        """Nodes after unfolding; None while that of a function in them is not known."""
        total = 0
        for node in nodes:
            name = (node.domain, node.op_type)
            if name in bodies and name not in known:
                return None
            total += known.get(name, 1)
        return min(total, MOST_NODES + 1)

    while len(known) < len(bodies):
        found = {name: size(body) for name, body in bodies.items() if name not in known}
        fresh = {name: count for name, count in found.items() if count is not None}
        if not fresh:
            return "local functions that call themselves"
        known |= fresh
    total = size(proto.graph.node) or 0
    return f"more than {MOST_NODES:,} nodes" if total > MOST_NODES else ""
