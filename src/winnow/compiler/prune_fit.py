"""A cut graph -> one whose layers give again what they gave: least squares, without gradients.

Of each layer that was cut the last product is fitted anew, so that the sum it is part of is what it
was in the whole graph, for the tokens of some mail. Layers go in order: a later one is fitted to
what the earlier ones now give, and makes up for what they lack. Needs messages, and no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.anatomy import anatomy_of
from winnow.compiler.anatomy_walk import Attention, Dense, Feed
from winnow.compiler.inputs import Feeds
from winnow.compiler.passes import Run
from winnow.compiler.prune import Plan, set_weight, values_of, weights_of
from winnow.compiler.prune_scores import RIDGE, Moments, chunks, ridge_of, tokens_of, up_to
from winnow.errors import InputError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def refitted(
    model: ir.Model,
    smaller: ir.Model,
    plan: Plan,
    run: Run,
    feeds: Sequence[tuple[Feeds, Feeds]],
    ridge: float = RIDGE,
) -> ir.Model:
    """Fit the last products of all layers that are left.

    Args:
        model: the whole graph.
        smaller: what was cut from it; left as it is.
        plan: by which.
        run: runs a graph.
        feeds: messages without padding, each as the input of both graphs.
        ridge: how strongly weights are held where they are, in parts of the mean square of what
            they are applied to.

    Raises:
        InputError: an activation is no number.
    """
    smaller = smaller.clone()
    before, after = anatomy_of(model), anatomy_of(smaller)
    kept = [layer for layer, keep in zip(before.layers, plan.layers, strict=True) if keep]
    for old, new in zip(kept, after.layers, strict=True):
        halves = ((old.attention, new.attention), (old.feed, new.feed))
        for was, now in halves:
            sums = _sums(model, smaller, was, now, run, feeds)
            _fit(smaller, last_of(now), sums, ridge)
    return smaller


def last_of(half: Attention | Feed) -> Dense:
    """The product that ends a half of a layer."""
    return half.output if isinstance(half, Attention) else half.down


def _sums(
    model: ir.Model,
    smaller: ir.Model,
    was: Attention | Feed,
    now: Attention | Feed,
    run: Run,
    feeds: Sequence[tuple[Feeds, Feeds]],
) -> tuple[F64, F64]:
    """Products of activations and a 1 with themselves, and with what the half is to give.

    That is the sum of before less what is added to it now.
    """
    dense = last_of(now)
    size, width = dense.sizes
    squares, products = np.zeros((size + 1, size + 1)), np.zeros((size + 1, width))
    before, after = up_to(model, [was.sum]), up_to(smaller, [dense.reads, now.enters])
    for part in chunks(feeds):
        [total] = tokens_of(run(before, [one for one, _ in part], [was.sum]))
        given = run(after, [two for _, two in part], [dense.reads, now.enters])
        active, enters = tokens_of(given)
        rows = np.concatenate([active, np.ones((len(active), 1), active.dtype)], axis=1)
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            squares += rows.T @ rows
            products += rows.T @ (total - enters)
    if not (np.isfinite(squares).all() and np.isfinite(products).all()):
        raise InputError(f"on this mail {dense.reads} gives a value that is no number.")
    return squares, products


def _fit(smaller: ir.Model, dense: Dense, sums: tuple[F64, F64], ridge: float) -> None:
    """Fit one product, in place; weights are held where they are, the bias is free."""
    squares, products = sums
    size = dense.sizes[0]
    kernel, bias = weights_of(values_of(smaller), dense)
    none = np.zeros(dense.sizes[1])
    start = np.concatenate([kernel, (none if bias is None else bias).reshape(1, -1)])
    pull = np.full(size + 1, ridge_of(squares[:size, :size], ridge))
    pull[size] = 0.0
    solved = np.linalg.solve(squares + np.diag(pull), products + pull[:, None] * start)
    set_product(smaller, dense, solved[:size], solved[size])


def set_product(model: ir.Model, dense: Dense, kernel: NDArray[Any], bias: NDArray[Any]) -> None:
    """Give a product other weights of the same type, in place; and a bias where it has none."""
    values = values_of(model)
    old, old_bias = weights_of(values, dense)
    product = values[dense.product]
    set_weight(model, product.producer(), dense.kernel, kernel.astype(old.dtype))
    if old_bias is not None:
        cast = bias.reshape(old_bias.shape).astype(old_bias.dtype)
        set_weight(model, values[dense.gives].producer(), dense.bias, cast)
        return
    name = f"{dense.kernel}.bias"
    while name in values:
        name += ".1"
    tensor = ir.tensor(bias.astype(old.dtype), name=name)
    added = ir.Value(
        name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    model.graph.register_initializer(added)
    node = ir.node("Add", [product, added], name=f"{dense.product}.add")
    node.outputs[0].name = f"{dense.product}.biased"
    for use in list(product.uses()):
        if use.node is not node:
            use.node.replace_input_with(use.idx, node.outputs[0])
    model.graph.insert_after(product.producer(), node)


def made_up(
    kernel: NDArray[Any], moments: Moments, rows: I64, ridge: float = RIDGE
) -> tuple[NDArray[Any], NDArray[Any]]:
    """What some rows of a kernel must be to give what all of them gave, as nearly as they can.

    Args:
        kernel: (k, d).
        moments: of what it is applied to.
        rows: which are left.
        ridge: how strongly they are held where they are, as for `refitted`.

    Returns:
        The new rows, and what is to be added to the bias, (d,).
    """
    whole: F64 = kernel.astype(np.float64)
    held = ridge_of(moments.second, ridge)
    left = moments.second[np.ix_(rows, rows)] + held * np.eye(len(rows))
    new = np.linalg.solve(left, moments.second[rows] @ whole + held * whole[rows])
    return new, moments.mean @ whole - moments.mean[rows] @ new
