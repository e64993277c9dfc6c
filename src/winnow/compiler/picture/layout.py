"""Boxes and edges -> places: rank below rank, as Sugiyama, Tagawa and Toda (1981) draw.

The same input gives the same places on any machine: nothing is drawn by chance, and all ties have
an order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from winnow.compiler.picture.ranks import Edge, Ranked, ranked_of
from winnow.compiler.picture.straight import centres_of

Point = tuple[float, float]
Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies, in units of a picture.

    Attributes:
        places: left upper corner of each box.
        bends: points that an edge passes between its boxes, from the top.
        width: of all.
        height: of all.
    """

    places: tuple[Point, ...]
    bends: Mapping[Edge, tuple[Point, ...]]
    width: float
    height: float


def layered(
    sizes: Sequence[Size],
    edges: Iterable[Edge],
    *,
    gaps: tuple[float, float],
    top: frozenset[int] = frozenset(),
    bottom: frozenset[int] = frozenset(),
    levels: Mapping[int, float] | None = None,
) -> Layout:
    """Lay out a graph from top to bottom.

    Args:
        sizes: (width, height) of each box.
        edges: from a box to one below it; there is no cycle.
        gaps: least distance of neighbours, of ranks.
        top: boxes of the first rank, whatever they are for.
        bottom: boxes of the last.
        levels: heights that the middle of some boxes should reach; ranks only move down for it.
    """
    known = sorted({(a, b) for a, b in edges if a != b})
    ranked = ranked_of([width for width, _ in sizes], known, top, bottom)
    centres = centres_of(ranked, gaps[0])
    left = min((c - w / 2 for c, w in zip(centres, ranked.widths, strict=True)), default=0.0)
    right = max((c + w / 2 for c, w in zip(centres, ranked.widths, strict=True)), default=0.0)
    spans = _spans(ranked, sizes, gaps[1], levels or {})
    at: list[tuple[float, tuple[float, float]]] = [(0.0, (0.0, 0.0))] * len(centres)
    for rank, span in zip(ranked.ranks, spans, strict=True):
        for n in rank:
            at[n] = (centres[n] - left, span)
    places = tuple(
        (x - width / 2, start) for (x, (start, _)), (width, _) in zip(at, sizes, strict=False)
    )
    bends = {
        edge: tuple((at[n][0], y) for n in chain for y in at[n][1])
        for edge, chain in ranked.chains.items()
    }
    return Layout(places, bends, right - left, spans[-1][1] if spans else 0.0)


def _spans(
    ranked: Ranked, sizes: Sequence[Size], gap: float, levels: Mapping[int, float]
) -> list[tuple[float, float]]:
    """Where each rank begins and ends."""
    spans, y = [], 0.0
    for rank in ranked.ranks:
        height = max((sizes[n][1] for n in rank if n < ranked.boxes), default=0.0)
        wanted = [levels[n] - sizes[n][1] / 2 for n in rank if n in levels]
        if wanted:
            y = max(y, min(wanted))
        spans.append((y, y + height))
        y += height + gap
    return spans
