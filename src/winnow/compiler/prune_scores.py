"""Which heads and neurons of a graph are worth most: by their weights, or by what they do on mail.

Weights alone say how much a neuron can do; activations say how much it does. The third way asks
what is lost once the others have been fitted to make up for it (`prune_fit`): the products of
activations tell that exactly, as in optimal brain surgeon (Hassibi and Stork 1993), for a neuron or
for the columns of a head (Kurtic et al. 2023, arXiv 2302.04089).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.anatomy import Anatomy
from winnow.compiler.graph import drop_unused
from winnow.compiler.inputs import Feeds
from winnow.compiler.passes import Run, Values
from winnow.compiler.prune import columns_of, values_of, weights_of
from winnow.errors import InputError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_Some = TypeVar("_Some")

_CHUNK = 128  # messages that are run before their activations are summed up and forgotten
RIDGE = 1e-3  # of the mean square of an activation, added to each: they are hardly independent
_AT_ONCE = 64  # of so many neurons that are left one is given up before all are judged again


@dataclass(frozen=True, slots=True)
class Ranking:
    """Heads and neurons of each layer, the one that is worth most first.

    Attributes:
        heads: for each layer, (h,) numbers.
        neurons: for each layer, (f,) numbers.
    """

    heads: tuple[I64, ...]
    neurons: tuple[I64, ...]


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a value of k numbers a token, over all tokens of some mail.

    Attributes:
        tokens: how many.
        mean: (k,).
        second: (k, k) mean of products of what is left when the mean is taken away.
    """

    tokens: int
    mean: F64
    second: F64


@dataclass(frozen=True, slots=True)
class LayerMoments:
    """Of what the heads of a layer give, together, and of its neurons."""

    heads: Moments
    neurons: Moments


def by_weights(model: ir.Model, anatomy: Anatomy) -> Ranking:
    """Rank by the size of weights into and out of each: needs no mail, and knows the least."""
    values = values_of(model)
    found = []
    for layer in anatomy.layers:
        attention, feed = layer.attention, layer.feed
        value, _ = weights_of(values, attention.value)
        output, _ = weights_of(values, attention.output)
        each = [columns_of([head], attention.size) for head in range(attention.heads)]
        heads = np.array([np.linalg.norm(value[:, c] @ output[c]) for c in each])
        down, _ = weights_of(values, feed.down)
        neurons = np.linalg.norm(down.astype(np.float64), axis=1)
        for up in feed.ups:
            neurons = neurons * np.linalg.norm(weights_of(values, up)[0], axis=0)
        found.append((heads, neurons))
    return ranked(found)


def by_activation(model: ir.Model, anatomy: Anatomy, moments: Sequence[LayerMoments]) -> Ranking:
    """Rank by what each adds on mail: the mean square of its contribution about its mean.

    A contribution that is the same for every token is a bias, which stays.
    """
    values = values_of(model)
    found = []
    for layer, seen in zip(anatomy.layers, moments, strict=True):
        output, _ = weights_of(values, layer.attention.output)
        down, _ = weights_of(values, layer.feed.down)
        each = [columns_of([h], layer.attention.size) for h in range(layer.attention.heads)]
        second = seen.heads.second
        energy = [float(np.sum((second[np.ix_(c, c)] @ output[c]) * output[c])) for c in each]
        square = np.diag(seen.neurons.second) * (down.astype(np.float64) ** 2).sum(axis=1)
        found.append((np.array(energy), square))
    return ranked(found)


def by_reconstruction(
    model: ir.Model, anatomy: Anatomy, run: Run, feeds: Sequence[Feeds]
) -> Ranking:
    """Rank by what is lost when the rest makes up for it as well as it can, one after another.

    Raises:
        InputError: an activation is no number.
    """
    return by_moments(model, anatomy, moments_of(model, anatomy, run, feeds))


def by_moments(model: ir.Model, anatomy: Anatomy, moments: Sequence[LayerMoments]) -> Ranking:
    """As `by_reconstruction`, with the moments at hand."""
    values = values_of(model)
    heads, neurons = [], []
    for layer, seen in zip(anatomy.layers, moments, strict=True):
        output, _ = weights_of(values, layer.attention.output)
        down, _ = weights_of(values, layer.feed.down)
        heads.append(eliminated(seen.heads.second, output, layer.attention.size))
        neurons.append(eliminated(seen.neurons.second, down, 1))
    return Ranking(tuple(heads), tuple(neurons))


def eliminated(second: F64, kernel: NDArray[Any], size: int) -> I64:
    """Order of groups of rows of a kernel, the one that is given up last first.

    Args:
        second: (k, k) products of what the kernel is applied to.
        kernel: (k, d).
        size: rows of a group.

    Returns:
        (k / size,) numbers of groups.
    """
    inverse = np.linalg.inv(second + ridge_of(second) * np.eye(len(second)))
    weights: F64 = kernel.astype(np.float64)
    left = np.arange(len(second) // size)
    order: list[int] = []
    while len(left):
        places = np.arange(len(left) * size).reshape(-1, size)
        blocks = np.linalg.inv(inverse[places[:, :, None], places[:, None, :]])
        rows = weights[places]  # (groups, size, d)
        lost = ((blocks @ rows) * rows).sum(axis=(1, 2))
        some = max(1, len(left) // _AT_ONCE)
        gone = np.argsort(lost, kind="stable")[:some]
        order += left[gone].tolist()
        weights, inverse = _without(weights, inverse, places[gone].ravel())
        left = np.delete(left, gone)
    return np.array(order[::-1], np.int64)


def _without(weights: F64, inverse: NDArray[Any], gone: I64) -> tuple[F64, F64]:
    """Take rows out of a kernel and let the others make up for them."""
    stay = np.delete(np.arange(len(inverse)), gone)
    across = np.linalg.solve(inverse[np.ix_(gone, gone)], inverse[np.ix_(gone, stay)])
    left = inverse[np.ix_(stay, stay)] - inverse[np.ix_(stay, gone)] @ across
    return weights[stay] - across.T @ weights[gone], left


def ridge_of(second: F64, part: float = RIDGE) -> float:
    """What is added to each square, so that there is an inverse."""
    return part * float(np.trace(second)) / len(second) + 1e-12


def moments_of(
    model: ir.Model, anatomy: Anatomy, run: Run, feeds: Sequence[Feeds]
) -> list[LayerMoments]:
    """Moments of what is cut, over all tokens of some messages without padding.

    Raises:
        InputError: an activation is no number.
    """
    names = [
        name
        for layer in anatomy.layers
        for name in (layer.attention.output.reads, layer.feed.down.reads)
    ]
    sums = [_Sums() for _ in names]
    part = up_to(model, names)
    for chunk in chunks(feeds):
        for total, rows in zip(sums, tokens_of(run(part, chunk, names)), strict=True):
            total.add(rows)
    for name, total in zip(names, sums, strict=True):
        if not np.isfinite(total.products).all():
            raise InputError(
                f"on this mail {name} gives a value that is no number; train it again."
            )
    moments = [total.moments() for total in sums]
    return [LayerMoments(*pair) for pair in zip(moments[::2], moments[1::2], strict=True)]


def up_to(model: ir.Model, names: Sequence[str]) -> ir.Model:
    """The part of a graph that some values need: a runtime computes all that it is given."""
    part = model.clone()
    values = values_of(part)
    part.graph.outputs[:] = [values[name] for name in dict.fromkeys(names)]
    drop_unused(part)
    return part


def chunks(messages: Sequence[_Some]) -> Iterator[Sequence[_Some]]:
    """A few messages at a time."""
    for start in range(0, len(messages), _CHUNK):
        yield messages[start : start + _CHUNK]


def tokens_of(found: Sequence[Values]) -> list[NDArray[Any]]:
    """Values of many messages -> of all their tokens, (tokens, width) each: one large product."""
    return [
        np.concatenate([value.reshape(-1, value.shape[-1]) for value in values])
        for values in zip(*found, strict=True)
    ]


class _Sums:
    """Running sums of a value's tokens."""

    def __init__(self) -> None:
        self.tokens = 0
        self.total: F64 = np.zeros(1)
        self.products: F64 = np.zeros((1, 1))

    def add(self, rows: NDArray[Any]) -> None:
        self.tokens += len(rows)
        self.total = self.total + rows.sum(axis=0, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # told by who asks for them
            self.products = self.products + (rows.T @ rows).astype(np.float64)

    def moments(self) -> Moments:
        mean = self.total / self.tokens
        return Moments(self.tokens, mean, self.products / self.tokens - np.outer(mean, mean))


def ranked(worth: Sequence[tuple[F64, F64]]) -> Ranking:
    """Rank heads and neurons of each layer by numbers, the largest first.

    Raises:
        InputError: one of them is no number.
    """
    for number, pair in enumerate(worth):
        if not all(np.isfinite(values).all() for values in pair):
            raise InputError(
                f"what parts of layer {number} are worth is no number; train it again."
            )
    orders = [[np.argsort(-values, kind="stable") for values in pair] for pair in worth]
    return Ranking(tuple(heads for heads, _ in orders), tuple(neurons for _, neurons in orders))
