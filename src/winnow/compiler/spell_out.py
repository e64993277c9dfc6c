"""Fused nodes of 32-bit floats -> what they stand for: the way back from fusing.

So that a graph that was fused, by us or by ONNX Runtime's own program, has the one form again
(fold.py) and can be pruned, quantized and measured as any other. What a node computes beyond that
(past keys, a bias for positions, a sum that something else reads) keeps it as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from winnow.compiler.passes import Fired
from winnow.compiler.rules.base import attribute, constant, weight
from winnow.compiler.rules.gelu import GELU_OPSET
from winnow.compiler.verify import CONTRIBUTED

NAME = "SpellOut"
_EPSILON = 1e-12  # of the contributed normalisations, where none is given
# What ONNX Runtime adds to the scores of padding, where nothing is given.
_FAR = -10_000.0


class _Writer:
    """Writes nodes in the place of one."""

    def __init__(self, model: ir.Model, node: ir.Node) -> None:
        self.model = model
        self.node = node
        self.made: list[ir.Node] = []

    def op(self, kind: str, *inputs: Any, domain: str = "", **attributes: Any) -> ir.Value:
        name = f"{self.node.name}.{kind.lower()}{len(self.made)}"
        made = ir.node(kind, inputs, attributes or None, domain=domain, name=name)
        made.outputs[0].name = f"{name}:0"
        self.made.append(made)
        return made.outputs[0]

    def take_back(self) -> None:
        """Let nodes that are not needed read nothing: a value's readers are looked at."""
        for made in reversed(self.made):
            for place in range(len(made.inputs)):
                made.replace_input_with(place, None)

    def constant(self, value: Any, name: str) -> ir.Value:
        return constant(self.model, value, f"{self.node.name}.{name}")

    def input(self, place: int) -> ir.Value | None:
        inputs = self.node.inputs
        return inputs[place] if place < len(inputs) else None


def spelt_out(model: ir.Model) -> list[Fired]:
    """Replace fused nodes, in place."""
    found = []
    for node in list(model.graph):
        write = _KINDS.get(node.op_type) if node.domain == CONTRIBUTED else None
        if write is None or any(output.uses() for output in node.outputs[1:]):
            continue
        writer = _Writer(model, node)
        result = write(writer)
        if result is None:
            writer.take_back()
            continue
        _put(model.graph, writer, result)
        found.append(Fired(NAME, node.name or ""))
    return found


def _put(graph: ir.Graph, writer: _Writer, result: ir.Value) -> None:
    node = writer.node
    old = node.outputs[0]
    graph.insert_before(node, writer.made)
    result.shape, result.type = old.shape, old.type
    if old.is_graph_output():
        result.name, old.name = old.name, None
        graph.outputs[:] = [result if output is old else output for output in graph.outputs]
    ir.convenience.replace_all_uses_with(old, result)
    graph.remove(node, safe=True)


def _attention(to: _Writer) -> ir.Value | None:
    """Attention(x, packed weights, packed biases, mask of (b, t))."""
    packed, biases = weight(to.input(1)), weight(to.input(2))
    x, mask = to.input(0), to.input(3)
    beyond = any(to.input(place) is not None for place in range(4, len(to.node.inputs)))
    if packed is None or biases is None or beyond or attribute(to.node, "unidirectional", 0):
        return None
    third = packed.shape[1] // 3
    sizes = list(attribute(to.node, "qkv_hidden_sizes", [third] * 3))
    ends = np.cumsum(sizes)[:-1]
    parts = zip("qkv", np.split(packed, ends, axis=1), np.split(biases, ends), strict=True)
    q, k, v = (
        to.op(
            "Add",
            to.op("MatMul", x, to.constant(np.ascontiguousarray(kernel), f"{name}.kernel")),
            to.constant(bias, f"{name}.bias"),
        )
        for name, kernel, bias in parts
    )
    return _heads(to, (q, k, v), (sizes[0], sizes[2]), mask)


def _several_heads(to: _Writer) -> ir.Value | None:
    """MultiHeadAttention(q, k, v, -, mask of (b, t))."""
    q, k, v = (to.input(place) for place in range(3))
    beyond = any(to.input(place) is not None for place in (3, *range(5, len(to.node.inputs))))
    if q is None or k is None or v is None or beyond:
        return None
    if attribute(to.node, "unidirectional", 0):
        return None
    widths = [_width(value) for value in (q, v)]
    if None in widths:
        return None
    return _heads(to, (q, k, v), (widths[0] or 0, widths[1] or 0), to.input(4))


def _width(value: ir.Value) -> int | None:
    """Numbers of a token, from the shape or from the product or bias that makes it."""
    if value.shape is not None and isinstance(value.shape[-1], int):
        return value.shape[-1]
    node = value.producer()
    for read in [] if node is None else reversed(node.inputs):
        array = weight(read)
        if array is not None and array.ndim > 0 and array.size > 1:
            return int(array.shape[-1])
    return None


def _heads(
    to: _Writer,
    values: tuple[ir.Value, ir.Value, ir.Value],
    widths: tuple[int, int],
    mask: ir.Value | None,
) -> ir.Value | None:
    heads = attribute(to.node, "num_heads")
    each = widths[0] // heads
    if widths[0] % heads or widths[1] % heads:
        return None
    added = None
    if mask is not None:
        added = _mask(to, mask)
        if added is None:
            return None

    def apart(value: ir.Value, width: int, order: list[int]) -> ir.Value:
        target = to.constant(np.array([0, 0, heads, width // heads]), f"{width}.apart")
        return to.op("Transpose", to.op("Reshape", value, target), perm=order)

    q = apart(values[0], widths[0], [0, 2, 1, 3])
    k = apart(values[1], widths[0], [0, 2, 3, 1])
    v = apart(values[2], widths[1], [0, 2, 1, 3])
    scale = attribute(to.node, "scale", 0.0) or each**-0.5
    scores = to.op("Mul", to.op("MatMul", q, k), to.constant(np.float32(scale), "scale"))
    if added is not None:
        scores = to.op("Add", scores, added)
    mixed = to.op("MatMul", to.op("Softmax", scores, axis=-1), v)
    together = to.op("Transpose", mixed, perm=[0, 2, 1, 3])
    return to.op("Reshape", together, to.constant(np.array([0, 0, widths[1]]), "together"))


def _mask(to: _Writer, mask: ir.Value) -> ir.Value | None:
    """What is added to the scores for a mask of (b, t), as folding spells it (masks.py)."""
    given = _given(mask)
    if given is None or not given.is_graph_input() or given.shape is None or len(given.shape) != 2:
        return None
    far = attribute(to.node, "mask_filter_value", _FAR)
    keep = to.op("Cast", given, to=ir.DataType.BOOL.value)
    # Constants that all layers share, so that equal masks become one.
    axes = constant(to.model, np.array([1, 2]), "ints.1.2")
    zero = constant(to.model, np.float32(0.0), "mask.zero")
    low = constant(to.model, np.float32(far), "mask.far")
    return to.op("Where", to.op("Unsqueeze", keep, axes), zero, low)


def _given(value: ir.Value | None) -> ir.Value | None:
    """A value before it was made into 32-bit integers for a fused node."""
    cast = None if value is None else value.producer()
    return cast.inputs[0] if cast is not None and cast.op_type == "Cast" else value


def _bias_gelu(to: _Writer) -> ir.Value | None:
    """BiasGelu(x, bias), FastGelu(x, bias)."""
    fast = to.node.op_type == "FastGelu"
    bias, x = to.input(1), to.input(0)
    if bias is None:
        return None
    total = to.op("Add", x, bias)
    if to.model.graph.opset_imports.get("", 0) >= GELU_OPSET:
        return to.op("Gelu", total, approximate="tanh" if fast else "none")
    return to.op("FastGelu" if fast else "Gelu", total, domain=CONTRIBUTED)


def _skip_norm(to: _Writer) -> ir.Value | None:
    """SkipLayerNormalization(x, skip, scale, shift, bias)."""
    x, skip, scale, shift, bias = (to.input(place) for place in range(5))
    if shift is None:
        return None
    product = x if bias is None else to.op("Add", x, bias)
    total = to.op("Add", product, skip)
    epsilon = attribute(to.node, "epsilon", _EPSILON)
    return to.op("LayerNormalization", total, scale, shift, axis=-1, epsilon=epsilon)


def _embedding_norm(to: _Writer) -> ir.Value | None:
    """EmbedLayerNormalization(ids, kinds, words, table, types, scale, shift)."""
    ids, kinds, words, table, types, scale, shift, mask, places = (to.input(n) for n in range(9))
    if mask is not None or places is not None or (kinds is None) != (types is None):
        return None
    ids, kinds = _given(ids), _given(kinds)
    total = to.op("Gather", words, ids, axis=0)
    if types is not None:
        total = to.op("Add", total, to.op("Gather", types, kinds, axis=0))
    zero = to.constant(np.array([0]), "zero")
    rows = to.op("Slice", table, zero, to.op("Shape", ids, start=1, end=2), zero)
    epsilon = attribute(to.node, "epsilon", _EPSILON)
    return to.op(
        "LayerNormalization", to.op("Add", total, rows), scale, shift, axis=-1, epsilon=epsilon
    )


_KINDS: dict[str, Callable[[_Writer], ir.Value | None]] = {
    "Attention": _attention,
    "MultiHeadAttention": _several_heads,
    "BiasGelu": _bias_gelu,
    "FastGelu": _bias_gelu,
    "SkipLayerNormalization": _skip_norm,
    "EmbedLayerNormalization": _embedding_norm,
}
