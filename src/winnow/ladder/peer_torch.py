"""The same network in PyTorch, run eagerly, as a user of it would write it; one thread.

Weights are taken from the folded graph by what its anatomy says they are. What this file writes is
BERT (Devlin et al. 2018, arXiv 1810.04805): post-norm, absolute positions, one classifier on the
mean of the tokens or on the first. Of another encoder it would compute something else, so whoever
times it first compares its answers with the graph's.

    t tokens, d width, h heads, e width of a head, f inner width; one message: b is 1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from winnow.compiler.anatomy import Anatomy, Layer, anatomy_of
from winnow.compiler.anatomy_walk import Dense, Norm
from winnow.compiler.graph import array_of
from winnow.compiler.inputs import IDS, KINDS, roles_of
from winnow.errors import InputError
from winnow.ladder.measure import Call, Feeds, Values

PACKAGE = "torch"
_EPSILON = 1e-5  # of ONNX, where a node does not say
_BENDS = {"Gelu": "gelu", "FastGelu": "gelu", "Relu": "relu", "Tanh": "tanh"}


@dataclass(frozen=True, slots=True)
class _Pooled:
    """What comes after the layers.

    Attributes:
        first: whether the first token is classified, else the mean of all.
        dense: products with weights, the classifier last; (kernel, bias), the kernel (in, out).
        bend: activation between them, "" where there is none.
    """

    first: bool
    dense: tuple[tuple[Any, Any], ...]
    bend: str


def torch_call(model: ir.Model, *, fused_attention: bool = False) -> Call:
    """Build the network of a graph in PyTorch.

    Args:
        model: folded, in floats.
        fused_attention: PyTorch's own kernel for attention in place of products and a softmax.

    Raises:
        InputError: PyTorch is not installed, or the graph is no BERT.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError("PyTorch is not installed: pip install torch.") from error
    torch.set_num_threads(1)
    run = _network(torch, model, anatomy_of(model), fused_attention)
    names = {role: name for name, role in roles_of(model).items()}

    def call(feeds: Feeds) -> Values:
        ids = torch.from_numpy(np.asarray(feeds[names[IDS]], dtype=np.int64))
        kinds = None
        if KINDS in names:
            kinds = torch.from_numpy(np.asarray(feeds[names[KINDS]], dtype=np.int64))
        with torch.inference_mode():
            return [run(ids, kinds).numpy()]

    return call


def _network(
    torch: Any, model: ir.Model, anatomy: Anatomy, fused_attention: bool
) -> Callable[[Any, Any], Any]:
    weight = _weights(torch, model)
    embed = _embedding(torch, model, anatomy, weight)
    layers = [_layer(torch, model, layer, weight, fused_attention) for layer in anatomy.layers]
    answer = _answer(torch, model, anatomy, weight)

    def run(ids: Any, kinds: Any) -> Any:
        x = embed(ids, kinds)  # (b, t, d)
        for layer in layers:
            x = layer(x)
        return answer(x)

    return run


def _weights(torch: Any, model: ir.Model) -> Callable[[str], Any]:
    def weight(name: str) -> Any:
        array = array_of(model.graph.initializers.get(name)) if name else None
        if array is None:
            return None
        return torch.from_numpy(np.array(array, dtype=np.float32))

    return weight


def _embedding(
    torch: Any, model: ir.Model, anatomy: Anatomy, weight: Callable[[str], Any]
) -> Callable[[Any, Any], Any]:
    tables = anatomy.tables
    pieces, kinds_, positions = map(weight, (tables.pieces, tables.kinds, tables.positions))
    norm = _norm(torch, model, tables.norm, weight)

    def embed(ids: Any, kinds: Any) -> Any:
        x = torch.nn.functional.embedding(ids, pieces)  # (b, t, d)
        if kinds_ is not None:
            x = x + torch.nn.functional.embedding(
                torch.zeros_like(ids) if kinds is None else kinds, kinds_
            )
        if positions is not None:
            x = x + positions[: ids.shape[1]]
        return norm(x)

    return embed


def _layer(
    torch: Any, model: ir.Model, layer: Layer, weight: Callable[[str], Any], fused_attention: bool
) -> Callable[[Any], Any]:
    attention, feed = layer.attention, layer.feed
    if attention.norm is None or feed.norm is None or len(feed.ups) != 1:
        raise InputError("the network is no BERT (no norm after each sum, or a gate).")
    query, key, value, output = (_dense(torch, d, weight) for d in attention.denses)
    up, down = _dense(torch, feed.ups[0], weight), _dense(torch, feed.down, weight)
    norm, feed_norm = (_norm(torch, model, n, weight) for n in (attention.norm, feed.norm))
    heads, size, bend = attention.heads, attention.size, _bend(torch, model, feed.down.reads)
    mix = torch.nn.functional.scaled_dot_product_attention if fused_attention else None

    def split(x: Any) -> Any:
        return x.view(*x.shape[:2], heads, size).transpose(1, 2)  # (b, h, t, e)

    def run(x: Any) -> Any:
        q, k, v = split(query(x)), split(key(x)), split(value(x))
        if mix is None:
            shares = torch.softmax(q @ k.transpose(2, 3) / size**0.5, dim=-1)  # (b, h, t, t)
            mixed = shares @ v
        else:
            mixed = mix(q, k, v)
        mixed = mixed.transpose(1, 2).reshape(*x.shape[:2], heads * size)  # (b, t, h e)
        x = norm(x + output(mixed))
        return feed_norm(x + down(bend(up(x))))  # (b, t, d)

    return run


def _answer(
    torch: Any, model: ir.Model, anatomy: Anatomy, weight: Callable[[str], Any]
) -> Callable[[Any], Any]:
    pooled = _pooled(model, anatomy.layers[-1].leaves)
    parts = [_linear(torch, *map(_tensor(torch), part)) for part in pooled.dense]
    bend = getattr(torch, pooled.bend) if pooled.bend else None
    flat = len(model.graph.outputs[0].shape or (0, 0)) == 1

    def run(x: Any) -> Any:
        x = x[:, 0] if pooled.first else x.mean(dim=1)  # (b, d)
        for number, part in enumerate(parts):
            x = part(x if not number or bend is None else bend(x))
        return x[:, 0] if flat else x  # (b,) or (b, classes)

    return run


def _pooled(model: ir.Model, leaves: str) -> _Pooled:
    """What stands between the last layer and the first output."""
    values = {value.name: value for node in model.graph for value in node.outputs}
    if leaves not in values:
        raise InputError("the network is no BERT: nothing tells where its last layer ends.")
    after = _after(values[leaves])
    kinds = [node.op_type for node in after]
    dense = [found for node in after if (found := _product(node)) is not None]
    bends = [_BENDS[kind] for kind in kinds if kind in _BENDS]
    first = "ReduceMean" not in kinds
    if first and not {"Gather", "Slice"} & set(kinds):
        raise InputError("the network is no BERT: it classifies neither a mean nor one token.")
    if not 1 <= len(dense) <= 2 or len(bends) > 1:
        raise InputError("the network is no BERT: its classifier is of another form.")
    return _Pooled(first, tuple(dense), bends[0] if bends else "")


def _after(value: ir.Value) -> list[ir.Node]:
    """All nodes that a value goes into, in the order of the graph."""
    found: dict[ir.Node, None] = {}
    waiting = [value]
    while waiting:
        for use in waiting.pop(0).uses():
            if use.node not in found:
                found[use.node] = None
                waiting += use.node.outputs
    return list(found)


def _product(node: ir.Node) -> tuple[Any, Any] | None:
    """Kernel, (in, out), and bias of a product with weights."""
    if node.op_type not in ("MatMul", "Gemm"):
        return None
    kernel = array_of(node.inputs[1])
    if kernel is None or kernel.ndim != 2:
        return None
    if node.op_type == "Gemm":
        turned = node.attributes.get("transB")
        bias = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
        return (kernel.T if turned is not None and turned.value else kernel), bias
    following = [use.node for use in node.outputs[0].uses()]
    bias = None
    if len(following) == 1 and following[0].op_type == "Add":
        others = [array_of(value) for value in following[0].inputs]
        bias = next((array for array in others if array is not None), None)
    return kernel, bias


def _bend(torch: Any, model: ir.Model, name: str) -> Callable[[Any], Any]:
    """The activation that gives a value."""
    node = next((n for n in model.graph if n.outputs[0].name == name), None)
    kind = "" if node is None else node.op_type
    if node is None or kind not in _BENDS:
        raise InputError(f"the network is no BERT: its activation is {kind or 'not told'}.")
    if _BENDS[kind] != "gelu":
        return getattr(torch, _BENDS[kind])  # type: ignore[no-any-return]
    form = node.attributes.get("approximate")
    approximate = "none" if form is None else str(form.value)
    if kind == "FastGelu":  # ONNX Runtime's own node for the tanh form
        approximate = "tanh"
    return lambda x: torch.nn.functional.gelu(x, approximate=approximate)


def _norm(
    torch: Any, model: ir.Model, norm: Norm | None, weight: Callable[[str], Any]
) -> Callable[[Any], Any]:
    if norm is None:
        raise InputError("the network is no BERT: its embedding has no norm.")
    node = next(n for n in model.graph if norm.gives in [value.name for value in n.outputs])
    if node.op_type != "LayerNormalization":
        raise InputError(f"the network is no BERT: its norm is {node.op_type}.")
    stated = node.attributes.get("epsilon")
    epsilon = _EPSILON if stated is None else float(stated.value)
    scale, shift = weight(norm.scale), weight(norm.shift)
    return lambda x: torch.nn.functional.layer_norm(x, x.shape[-1:], scale, shift, epsilon)


def _dense(torch: Any, dense: Dense, weight: Callable[[str], Any]) -> Callable[[Any], Any]:
    return _linear(torch, weight(dense.kernel), weight(dense.bias))


def _linear(torch: Any, kernel: Any, bias: Any) -> Callable[[Any], Any]:
    turned = kernel.T.contiguous()  # (out, in), as PyTorch keeps it
    flat = None if bias is None else bias.reshape(-1)
    return lambda x: torch.nn.functional.linear(x, turned, flat)


def _tensor(torch: Any) -> Callable[[Any], Any]:
    return lambda array: None if array is None else torch.from_numpy(np.array(array, np.float32))
