"""A cost to stay within -> how wide each layer is to be, with the least loss.

Costs are multiply-adds; what a width loses is read off what was measured of each layer on its own
(`prune_sensitivity`), between the measured points a straight line. Losses of several cuts are taken
to add up. Under that assumption the choice is exact: of each layer one of all its widths, or
nothing of it, by dynamic programming over the cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.compiler.anatomy import Anatomy, Layer
from winnow.compiler.prune_sensitivity import HEADS, LAYER, NEURONS, Effect
from winnow.errors import InputError

F64 = NDArray[np.float64]

_BINS = 2_000  # parts of the cost that are told apart
_STEPS = 16  # widths of a feed-forward layer that are tried
_LANE = 8  # neurons, so that rows of a kernel fill the processor's registers


@dataclass(frozen=True, slots=True)
class Width:
    """Heads and neurons of a layer."""

    heads: int
    neurons: int


def widths_of(anatomy: Anatomy) -> tuple[Width, ...]:
    """Widths as they are."""
    return tuple(Width(one.attention.heads, one.feed.neurons) for one in anatomy.layers)


def multiply_adds(anatomy: Anatomy, widths: Sequence[Width | None], tokens: int) -> int:
    """Products of all layers for one message of so many tokens; None is a layer left out."""
    pairs = zip(anatomy.layers, widths, strict=True)
    return sum(_cost(layer, width, tokens) for layer, width in pairs if width is not None)


def searched(
    anatomy: Anatomy, effects: Sequence[Effect], tokens: int, budget: float
) -> tuple[Width | None, ...]:
    """Choose widths.

    Args:
        anatomy: of the whole graph.
        effects: what cuts of each layer do.
        tokens: of a message.
        budget: most multiply-adds.

    Raises:
        InputError: nothing of the graph costs so little.
    """
    size = budget / _BINS
    best, taken = np.zeros(_BINS + 1), []
    for number, layer in enumerate(anatomy.layers):
        options = _options(layer, [one for one in effects if one.layer == number], tokens)
        best, choice = _extended(best, options, size)
        taken.append((options, choice))
    place = int(np.argmin(best))
    if not math.isfinite(best[place]):
        raise InputError(
            "no choice of heads, neurons and layers is as cheap as that; ask for less."
        )
    widths: list[Width | None] = []
    for options, choice in reversed(taken):
        cost, _, width = options[choice[place]]
        widths.append(width)
        place -= math.ceil(cost / size)
    if not any(widths):
        raise InputError("nothing but the embedding would be left; ask for less.")
    return tuple(reversed(widths))


_Option = tuple[int, float, Width | None]


def _extended(
    before: F64, options: Sequence[_Option], size: float
) -> tuple[F64, NDArray[np.int64]]:
    """Least loss for each cost up to the budget with one more layer, and the option for each."""
    best, choice = np.full(_BINS + 1, np.inf), np.zeros(_BINS + 1, np.int64)
    for index, (cost, loss, _) in enumerate(options):
        bins = math.ceil(cost / size)
        if bins > _BINS:
            continue
        with_it = np.full(_BINS + 1, np.inf)
        with_it[bins:] = before[: _BINS + 1 - bins] + loss
        better = with_it < best
        best[better], choice[better] = with_it[better], index
    return best, choice


def _options(layer: Layer, effects: Sequence[Effect], tokens: int) -> list[_Option]:
    """Widths of a layer that are worth a thought: none is dearer and worse than another."""
    most_heads, most = layer.attention.heads, layer.feed.neurons
    heads = _curve(effects, HEADS, most_heads)
    neurons = _curve(effects, NEURONS, most)
    step = max(1, math.ceil(most / _STEPS / _LANE) * _LANE if most > _STEPS * _LANE else 1)
    found: list[_Option] = [
        (_cost(layer, width, tokens), heads[most_heads - h] + neurons[most - f], width)
        for h in range(1, most_heads + 1)
        for f in {*range(step, most, step), most}
        for width in [Width(h, f)]
    ]
    gone = [one.moved for one in effects if one.part == LAYER]
    found += [(0, gone[0], None)] if gone else []
    found.sort(key=lambda option: option[:2])
    kept: list[_Option] = []
    for option in found:
        if not kept or option[1] < kept[-1][1]:
            kept.append(option)
    return kept


def _curve(effects: Sequence[Effect], part: str, most: int) -> F64:
    """Loss by how many are gone, (most,); beyond the last measured point it rises as before."""
    points = sorted((one.gone, one.moved) for one in effects if one.part == part)
    gone = np.array([0, *(place for place, _ in points)], dtype=np.float64)
    lost = np.maximum.accumulate([0.0, *(loss for _, loss in points)])
    if len(gone) == 1:  # one head or neuron is all there is
        return np.zeros(most)
    slope = (lost[-1] - lost[-2]) / (gone[-1] - gone[-2])
    along = np.arange(most, dtype=np.float64)
    found: F64 = np.interp(along, gone, lost) + slope * np.maximum(0.0, along - gone[-1])
    return found


def _cost(layer: Layer, width: Width, tokens: int) -> int:
    attention, feed = layer.attention, layer.feed
    d, a = attention.query.sizes[0], width.heads * attention.size
    projections = 4 * d * a + (len(feed.ups) + 1) * d * width.neurons
    return tokens * projections + 2 * tokens**2 * a
