"""Graph -> a smaller one: heads, neurons, whole layers and pieces of the vocabulary taken out.

What stays is said by number; nothing here judges. Weights are cut, the sizes in reshapes changed;
the graph stays dense, so that every runtime is faster by it. A weight that two nodes use is cut
for one of them only: the other keeps the whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.anatomy import Anatomy, Layer, anatomy_of
from winnow.compiler.anatomy_walk import Attention, Dense, Feed
from winnow.compiler.graph import array_of, copied, drop_unused
from winnow.errors import InputError


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays of a layer, in the order in which it is to stand.

    Attributes:
        heads: their numbers.
        neurons: their numbers.
    """

    heads: tuple[int, ...]
    neurons: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What stays of a graph.

    Attributes:
        layers: of each layer; None is a layer that is left out, which gives what it reads.
        pieces: rows of the table of pieces; None is all.
    """

    layers: tuple[Keep | None, ...]
    pieces: tuple[int, ...] | None = None


def whole(anatomy: Anatomy) -> Plan:
    """The plan that keeps everything."""
    return Plan(
        tuple(
            Keep(tuple(range(layer.attention.heads)), tuple(range(layer.feed.neurons)))
            for layer in anatomy.layers
        )
    )


def cut(model: ir.Model, plan: Plan) -> ir.Model:
    """Cut a graph down to a plan.

    Args:
        model: left as it is.
        plan: for each of its layers.

    Raises:
        InputError: the graph has no such parts, nothing of a layer would be left, or a layer that
            is to go cannot be taken out.
    """
    model = copied(model)
    anatomy = anatomy_of(model)
    check_plan(anatomy, plan)
    values = values_of(model)
    for layer, keep in zip(anatomy.layers, plan.layers, strict=True):
        if keep is None:
            continue
        _cut_heads(model, values, layer.attention, keep.heads)
        _cut_neurons(model, values, layer.feed, keep.neurons)
    for layer, keep in zip(anatomy.layers, plan.layers, strict=True):
        if keep is None:
            _leave_out(model, values, layer)
    if plan.pieces is not None:
        _cut_pieces(model, values, anatomy.tables.pieces, plan.pieces)
    drop_unused(model)
    _forget_shapes(model)
    return model


def check_plan(anatomy: Anatomy, plan: Plan) -> None:
    """Refuse a plan that does not fit, or leaves nothing.

    Raises:
        InputError: with the layer and the reason.
    """
    if len(plan.layers) != len(anatomy.layers):
        raise InputError(f"the plan is for {len(plan.layers)} layers of {len(anatomy.layers)}.")
    if not any(keep is not None for keep in plan.layers):
        raise InputError("every layer would be left out; keep one at least.")
    for number, (layer, keep) in enumerate(zip(anatomy.layers, plan.layers, strict=True)):
        if keep is None:
            if not layer.leaves:
                raise InputError(
                    f"layer {number} cannot be left out: what it gives does not come of one norm "
                    "or sum."
                )
            continue
        _check("heads", number, keep.heads, layer.attention.heads)
        _check("neurons", number, keep.neurons, layer.feed.neurons)
    if plan.pieces is not None:
        if not anatomy.tables.pieces:
            raise InputError("the graph has no table of pieces that could be cut.")
        if not plan.pieces:
            raise InputError("no piece of the vocabulary would be left.")


def _check(what: str, layer: int, kept: Sequence[int], most: int) -> None:
    if not kept:
        raise InputError(
            f"no {what} of layer {layer} would be left; keep one, or leave out the whole layer "
            "with --layers."
        )
    if len(set(kept)) != len(kept) or min(kept) < 0 or max(kept) >= most:
        raise InputError(f"layer {layer} has {what} 0 to {most - 1}, each once.")


def _cut_heads(
    model: ir.Model, values: dict[str, ir.Value], attention: Attention, heads: Sequence[int]
) -> None:
    if tuple(heads) == tuple(range(attention.heads)):
        return
    columns = columns_of(heads, attention.size)
    for dense in attention.denses[:3]:
        _cut_out(model, values, dense, columns)
    _cut_in(model, values, attention.output, columns)
    for name in attention.splits:
        _resize(model, values[name], 2, len(heads))
    _resize(model, values[attention.join], 2, len(columns))


def columns_of(heads: Sequence[int], size: int) -> NDArray[np.int64]:
    """Columns of heads in a projection, size of each head given."""
    return (np.asarray(heads, np.int64)[:, None] * size + np.arange(size)).ravel()


def _cut_neurons(
    model: ir.Model, values: dict[str, ir.Value], feed: Feed, neurons: Sequence[int]
) -> None:
    if tuple(neurons) == tuple(range(feed.neurons)):
        return
    columns = np.asarray(neurons, np.int64)
    for up in feed.ups:
        _cut_out(model, values, up, columns)
    _cut_in(model, values, feed.down, columns)


def _cut_out(
    model: ir.Model, values: dict[str, ir.Value], dense: Dense, columns: NDArray[np.int64]
) -> None:
    kernel, bias = weights_of(values, dense)
    set_weight(model, _node(values, dense.product), dense.kernel, kernel[:, columns])
    if bias is not None:
        cut_bias = bias[..., columns]
        set_weight(model, _node(values, dense.gives), dense.bias, cut_bias)


def _cut_in(
    model: ir.Model, values: dict[str, ir.Value], dense: Dense, rows: NDArray[np.int64]
) -> None:
    kernel, _ = weights_of(values, dense)
    set_weight(model, _node(values, dense.product), dense.kernel, kernel[rows])


def _cut_pieces(
    model: ir.Model, values: dict[str, ir.Value], name: str, pieces: Sequence[int]
) -> None:
    table = array_of(model.graph.initializers[name])
    assert table is not None
    rows = np.asarray(pieces, np.int64)
    if len(set(pieces)) != len(pieces) or rows.min() < 0 or rows.max() >= len(table):
        raise InputError(f"the vocabulary has pieces 0 to {len(table) - 1:,}, each once.")
    for use in list(values[name].uses()):
        if use.node.op_type == "Gather" and use.idx == 0:
            set_weight(model, use.node, name, table[rows])
    if "pieces" in model.metadata_props:
        model.metadata_props["pieces"] = str(len(rows))


def _leave_out(model: ir.Model, values: dict[str, ir.Value], layer: Layer) -> None:
    """Let a layer give what it reads, in place."""
    # What stands before may have been left out, too: what this layer reads is asked of the graph.
    add = values[layer.attention.sum].producer()
    assert add is not None
    given = values[layer.attention.output.gives]
    enters = add.inputs[1] if add.inputs[0] is given else add.inputs[0]
    ir.convenience.replace_all_uses_with(values[layer.leaves], enters, replace_graph_outputs=True)


def weights_of(
    values: dict[str, ir.Value], dense: Dense
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Kernel and bias of a product."""
    kernel = array_of(values[dense.kernel])
    bias = array_of(values[dense.bias]) if dense.bias else None
    assert kernel is not None
    return kernel, bias


def set_weight(model: ir.Model, node: ir.Node, name: str, array: NDArray[Any]) -> None:
    """Give a node another weight in the place of the one of a name, in place.

    The name stays where nothing else uses it.
    """
    place, old = next(
        (place, value)
        for place, value in enumerate(node.inputs)
        if value is not None and value.name == name
    )
    if len(list(old.uses())) == 1:
        del model.graph.initializers[name]
        old.name = None
        fresh = name
    else:
        fresh = next(
            free
            for free in (f"{name}.{number}" for number in range(1, 1 << 20))
            if free not in model.graph.initializers
        )
    value = _stored(fresh, array)
    model.graph.register_initializer(value)
    node.replace_input_with(place, value)


def _stored(name: str, array: NDArray[Any]) -> ir.Value:
    tensor = ir.tensor(np.array(array, order="C"), name=name)
    return ir.Value(
        name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )


def values_of(model: ir.Model) -> dict[str, ir.Value]:
    """All values of a graph by name."""
    found = {value.name: value for value in model.graph.initializers.values()}
    found |= {value.name: value for value in model.graph.inputs}
    found |= {value.name: value for node in model.graph for value in node.outputs}
    return {name: value for name, value in found.items() if name}


def _node(values: dict[str, ir.Value], name: str) -> ir.Node:
    node = values[name].producer()
    assert node is not None
    return node


def _resize(model: ir.Model, reshaped: ir.Value, axis: int, size: int) -> None:
    """Change one size that a reshape asks for."""
    node = reshaped.producer()
    assert node is not None
    target = array_of(node.inputs[1])
    assert target is not None
    if target[axis] == -1:
        return
    sizes = target.copy()
    sizes[axis] = size
    name = "sizes." + ".".join(map(str, sizes.tolist()))
    if name not in model.graph.initializers:
        model.graph.register_initializer(_stored(name, sizes))
    node.replace_input_with(1, model.graph.initializers[name])


def _forget_shapes(model: ir.Model) -> None:
    """Shapes of values in between were those of the whole graph."""
    for node in model.graph:
        for value in node.outputs:
            if not value.is_graph_output():
                value.shape = None
