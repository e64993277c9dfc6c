"""Graph -> what an encoder is made of: layers with their heads and neurons, tables, classifier.

Found by walking from each softmax and each pair of products, never by names, so that it holds for
any exporter. The graph is one that was folded (`fold.folded`) and not yet fused or rounded:

    x -> MatMul + Add -> Reshape (b, t, h, e) -> Transpose    for query, key and value
    query . key -> scaled, masked -> Softmax -> . value -> Transpose -> Reshape (b, t, h e)
      -> MatMul + Add -> Add to x
    x -> MatMul + Add -> an activation, which may be gated -> MatMul + Add -> Add to x

with a norm before or after. What is not of this form is left alone, and the reason is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from winnow.compiler.anatomy_walk import (
    AbsentError,
    Attention,
    Feed,
    Norm,
    attention_at,
    dense_of,
    feed_at,
    is_weight,
    norm_of,
    only_user,
)
from winnow.compiler.inputs import IDS, KINDS, POSITIONS, roles_of
from winnow.compiler.passes import Refused
from winnow.errors import InputError

_ROUNDED = frozenset(
    {"MatMulInteger", "DynamicQuantizeLinear", "DequantizeLinear", "QLinearMatMul", "MatMulNBits"}
)
_FUSED = frozenset({"Attention", "SkipLayerNormalization", "MultiHeadAttention", "BiasGelu"})


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an encoder.

    Attributes:
        attention: its first half.
        feed: its second half.
        enters: name of the value that it reads.
        leaves: name of the value that it gives; "" where the layer cannot be left out.
    """

    attention: Attention
    feed: Feed
    enters: str
    leaves: str


@dataclass(frozen=True, slots=True)
class Tables:
    """Names of the embedding tables, "" for those that are not there, and the norm of their sum."""

    pieces: str
    kinds: str
    positions: str
    norm: Norm | None


@dataclass(frozen=True, slots=True)
class Head:
    """The last product with weights.

    Attributes:
        kernel: (d, classes), or the other way round, or (d,).
        bias: (classes,), "" where there is none.
    """

    kernel: str
    bias: str


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What an encoder is made of.

    Attributes:
        layers: in order.
        tables: of the embedding.
        head: the classifier, None where none was found.
        missed: what was looked at and is of another form.
    """

    layers: tuple[Layer, ...]
    tables: Tables
    head: Head | None
    missed: tuple[Refused, ...] = ()

    @property
    def width(self) -> int:
        """d, of a token."""
        return self.layers[0].attention.query.sizes[0]


def anatomy_of(model: ir.Model) -> Anatomy:
    """Find what a graph is made of.

    Raises:
        InputError: it is no encoder that anything can be cut from, with the first reason found.
    """
    roles_of(model)
    order = {node: place for place, node in enumerate(model.graph)}
    missed: list[Refused] = []
    attentions: dict[int, Attention] = {}
    for node, place in order.items():
        if node.op_type == "Softmax":
            try:
                attentions[place] = attention_at(node)
            except AbsentError as reason:
                missed.append(Refused("anatomy", node.name or "Softmax", str(reason)))
    taken = {dense.product for found in attentions.values() for dense in found.denses}
    feeds: dict[int, Feed] = {}
    for node, place in order.items():
        dense = dense_of(node)
        if dense is None or dense.product in taken:
            continue
        try:
            feeds[place] = feed_at(node)
        except AbsentError as reason:
            missed.append(Refused("anatomy", node.name or "MatMul", str(reason)))
    layers = _layers(attentions, feeds, missed)
    if not layers:
        raise InputError(_why_not(model, missed))
    return Anatomy(layers, _tables(model), _head(model, layers), tuple(missed))


def _layers(
    attentions: dict[int, Attention], feeds: dict[int, Feed], missed: list[Refused]
) -> tuple[Layer, ...]:
    """Attention and the feed-forward layer that follows it, before the next attention."""
    places = sorted(attentions)
    found = []
    for index, place in enumerate(places):
        end = places[index + 1] if index + 1 < len(places) else max(feeds, default=0) + 1
        between = [feed for at, feed in sorted(feeds.items()) if place < at < end]
        attention = attentions[place]
        if len(between) != 1:
            reason = f"{len(between)} feed-forward layers follow the attention, not one"
            missed.append(Refused("anatomy", attention.softmax, reason))
            continue
        feed = between[0]
        joined = attention.leaves == feed.enters and feed.leaves
        found.append(Layer(attention, feed, attention.enters, feed.leaves if joined else ""))
    widths = {layer.attention.output.sizes[1] for layer in found}
    return tuple(found) if len(widths) == 1 else ()


def _why_not(model: ir.Model, missed: list[Refused]) -> str:
    kinds = {node.op_type for node in model.graph}
    if kinds & _ROUNDED:
        return (
            "the weights are integers, which nothing can be cut from; prune the model in 32-bit "
            "floats and quantize it then."
        )
    if kinds & _FUSED:
        return "the graph is fused; prune it first and fuse it then."
    told = f": {missed[0].node}: {missed[0].reason}" if missed else ""
    return f"the graph is no encoder with layers that could be cut{told}."


def _tables(model: ir.Model) -> Tables:
    """Tables that are looked up by each input; positions may also be the rows from 0 on."""
    roles = roles_of(model)
    found = {IDS: "", KINDS: "", POSITIONS: ""}
    last: ir.Node | None = None
    for node in model.graph:
        table = node.inputs[0] if node.op_type in ("Gather", "Slice") and node.inputs else None
        if table is None or not is_weight(table, rank=2):
            continue
        role = POSITIONS
        if node.op_type == "Gather":
            role = roles.get(_source(node.inputs[1]), POSITIONS)
        if role in found and not found[role]:
            found[role] = table.name or ""
            last = node
    return Tables(found[IDS], found[KINDS], found[POSITIONS], _embedding_norm(last))


def _source(value: ir.Value | None) -> str:
    """Name of the input that whole numbers come from, as they are."""
    while value is not None:
        node = value.producer()
        if node is None:
            return value.name or ""
        if node.op_type not in ("Cast", "Identity"):
            return ""
        value = node.inputs[0]
    return ""


def _embedding_norm(node: ir.Node | None) -> Norm | None:
    """The norm of the sum that a look-up goes into."""
    while node is not None:
        if norm_of(node) is not None:
            return norm_of(node)
        node = only_user(node.outputs[0])
        if node is not None and node.op_type != "Add" and norm_of(node) is None:
            return None
    return None


def _head(model: ir.Model, layers: tuple[Layer, ...]) -> Head | None:
    """The last product with weights, if it comes after all layers and gives one or two numbers."""
    for node in reversed(model.graph):
        dense = dense_of(node)
        if dense is not None:
            if dense.sizes[1] > 2 or dense.product == layers[-1].feed.down.product:
                return None
            return Head(dense.kernel, dense.bias)
        if node.op_type == "MatMul" and is_weight(node.inputs[1], rank=1):
            return Head(node.inputs[1].name or "", "")
        if node.op_type == "Gemm" and is_weight(node.inputs[1], rank=2):
            bias = node.inputs[2] if len(node.inputs) > 2 else None
            named = bias.name or "" if bias is not None and is_weight(bias) else ""
            kernel = node.inputs[1]
            small = min(kernel.const_value.shape.numpy()) <= 2
            return Head(kernel.name or "", named) if small else None
    return None
