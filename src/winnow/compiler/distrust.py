"""What in an ONNX file would harm who opens it, found before anything is read or unfolded.

A tensor may name another file that its values are in, wherever tensors may stand: the weights of
the graph are looked for beside it, any other is refused. Sizes are compared with what is there.
And functions that call functions may stand for more nodes than any memory holds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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
    calls = {(one.domain, one.name): _counted(one.node) for one in proto.functions}
    inner = {name: [one for one in found if one in calls] for name, found in calls.items()}
    sizes: dict[tuple[str, str], int] = {}
    try:
        for name in TopologicalSorter(inner).static_order():
            sizes[name] = _unfolded(calls[name], sizes)
    except CycleError:
        return "local functions that call themselves"
    total = _unfolded(_counted(proto.graph.node), sizes)
    return f"more than {MOST_NODES:,} nodes" if total > MOST_NODES else ""


def _counted(nodes: Any) -> Counter[tuple[str, str]]:
    return Counter((node.domain, node.op_type) for node in nodes)


def _unfolded(calls: Counter[tuple[str, str]], sizes: dict[tuple[str, str], int]) -> int:
    """Nodes that calls stand for, as far as it matters."""
    total = sum(count * sizes.get(name, 1) for name, count in calls.items())
    return min(total, MOST_NODES + 1)
