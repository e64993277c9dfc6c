"""Boxes in ranks, from top to bottom, each rank in an order that crosses few edges."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_SWEEPS = 8
# An edge over more ranks goes straight: an unseen box for each of them would be most of the work.
_LONGEST_EDGE = 60
_UNSEEN_WIDTH = 6.0

Edge = tuple[int, int]


@dataclass(slots=True)
class Ranked:
    """Boxes in ranks, with one that is not seen wherever an edge passes a rank.

    Attributes:
        boxes: how many of them are seen.
        widths: of all, unseen ones last.
        ranks: boxes of each rank, in their order.
        up: of each box those in the rank above that it hangs on.
        down: of each box those in the rank below that hang on it.
        chains: unseen boxes of each edge, from the top.
    """

    boxes: int
    widths: list[float]
    ranks: list[list[int]]
    up: list[list[int]]
    down: list[list[int]]
    chains: dict[Edge, list[int]] = field(default_factory=dict)


def ranked_of(
    widths: Sequence[float], edges: Sequence[Edge], top: frozenset[int], bottom: frozenset[int]
) -> Ranked:
    """Give each box its rank, and each rank its order.

    Args:
        widths: of the boxes.
        edges: each once, from a box to one below it; there is no cycle.
        top: boxes of the first rank, whatever they are for.
        bottom: boxes of the last.
    """
    count = len(widths)
    rank = _numbers(count, edges, top, bottom)
    ranks: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for n in range(count):
        ranks[rank[n]].append(n)
    found = Ranked(count, list(widths), ranks, [[] for _ in widths], [[] for _ in widths])
    for a, b in edges:
        passed = range(rank[a] + 1, rank[b])
        if len(passed) <= _LONGEST_EDGE:
            chain = [_unseen(found, passing) for passing in passed]
            found.chains[a, b] = chain
            for one, other in zip([a, *chain], [*chain, b], strict=True):
                found.down[one].append(other)
                found.up[other].append(one)
    _order(found)
    return found


def _numbers(
    count: int, edges: Sequence[Edge], top: frozenset[int], bottom: frozenset[int]
) -> list[int]:
    """Number of each box's rank: the longest way to it, or lower where that shortens edges."""
    into: list[list[int]] = [[] for _ in range(count)]
    out: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        into[b].append(a)
        out[a].append(b)
    order = _topological(into, out)
    first = 1 if top else 0
    rank = [first] * count
    for n in order:
        rank[n] = 0 if n in top else max([first, *(rank[a] + 1 for a in into[n])])
    last = max((r for n, r in enumerate(rank) if n not in bottom), default=0)
    for n in bottom:
        rank[n] = last + 1
    for n in reversed(order):
        if out[n] and n not in top and (not into[n] or len(into[n]) < len(out[n])):
            rank[n] = min(rank[b] for b in out[n]) - 1
    return rank


def _topological(into: list[list[int]], out: list[list[int]]) -> list[int]:
    waits = [len(before) for before in into]
    order = [n for n, wait in enumerate(waits) if not wait]
    for n in order:
        for b in out[n]:
            waits[b] -= 1
            if not waits[b]:
                order.append(b)
    assert len(order) == len(into), "a cycle"
    return order


def _unseen(found: Ranked, rank: int) -> int:
    found.widths.append(_UNSEEN_WIDTH)
    found.up.append([])
    found.down.append([])
    found.ranks[rank].append(len(found.widths) - 1)
    return len(found.widths) - 1


def _order(ranked: Ranked) -> None:
    """Sort the ranks by barycentres, down and up, and keep the order with the fewest crossings."""
    best, fewest = [list(rank) for rank in ranked.ranks], _crossings(ranked)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = ranked.up if down else ranked.down
        ranks = ranked.ranks if down else ranked.ranks[::-1]
        for other, rank in pairwise(ranks):
            _sort(rank, {n: place for place, n in enumerate(other)}, near)
        crossings = _crossings(ranked)
        if crossings < fewest:
            best, fewest = [list(rank) for rank in ranked.ranks], crossings
    ranked.ranks[:] = best


def _sort(rank: list[int], places: dict[int, int], near: list[list[int]]) -> None:
    middles = {
        n: sum(places[m] for m in near[n]) / len(near[n]) if near[n] else float(place)
        for place, n in enumerate(rank)
    }
    rank.sort(key=middles.__getitem__)


def _crossings(ranked: Ranked) -> int:
    """How often edges cross: pairs of them that come in another order above than below."""
    found = 0
    for above, below in pairwise(ranked.ranks):
        places = {n: place for place, n in enumerate(below)}
        seen: list[int] = []
        for n in above:
            ends = sorted(places[m] for m in ranked.down[n])
            found += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return found
