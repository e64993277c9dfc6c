"""Ranks -> how far to the right each box lies, so that long edges run straight down.

The method of Brandes and Köpf (2001): boxes that follow each other are tied to columns, once from
each corner of the picture; each of the four ways is packed, and a box lies in the middle of the two
inner ones of its four places. Long edges never bend between their ends, and it takes linear time.
"""

from __future__ import annotations

from itertools import pairwise

from winnow.compiler.picture.ranks import Edge, Ranked


def centres_of(ranked: Ranked, gap: float) -> list[float]:
    """Place of each box's middle.

    Args:
        ranked: boxes in their order, which is kept.
        gap: least distance of neighbours.
    """
    crossed = _crossed(ranked)
    ways = []
    for down in (True, False):
        for rightwards in (True, False):
            ranks = [rank if rightwards else rank[::-1] for rank in ranked.ranks]
            near = ranked.up if down else ranked.down
            roots = _columns(ranks if down else ranks[::-1], near, crossed)
            places = _packed(ranks, roots, ranked.widths, gap)
            ways.append(places if rightwards else [-place for place in places])
    return _middles(ways, ranked.widths)


def _crossed(ranked: Ranked) -> set[Edge]:
    """Edges between two ranks that cross the inner part of a long one: that one stays straight."""
    found = set()
    for above, below in pairwise(ranked.ranks):
        places = {n: place for place, n in enumerate(above)}
        inner = [
            (places[m], place)
            for place, n in enumerate(below)
            for m in ranked.up[n]
            if n >= ranked.boxes and m >= ranked.boxes
        ]
        for place, n in enumerate(below):
            for m in ranked.up[n]:
                ends = n < ranked.boxes or m < ranked.boxes
                if ends and any((places[m] - a) * (place - b) < 0 for a, b in inner):
                    found.add((m, n))
    return found


def _columns(ranks: list[list[int]], near: list[list[int]], crossed: set[Edge]) -> list[int]:
    """Tie each box to the middle one of those that it hangs on; return the first of its column."""
    count = sum(len(rank) for rank in ranks)
    roots, tied = list(range(count)), [False] * count
    for other, rank in pairwise(ranks):
        places = {n: place for place, n in enumerate(other)}
        last = -1
        for n in rank:
            over = sorted((m for m in near[n] if m in places), key=places.__getitem__)
            for m in over[(len(over) - 1) // 2 : len(over) // 2 + 1]:
                free = roots[n] == n and not tied[m] and places[m] > last
                if free and (m, n) not in crossed and (n, m) not in crossed:
                    roots[n], tied[m], last = roots[m], True, places[m]
    return roots


def _packed(
    ranks: list[list[int]], roots: list[int], widths: list[float], gap: float
) -> list[float]:
    """Push columns as far to the left as distances allow, then back to where they are held."""
    after: dict[int, dict[int, float]] = {}
    waits = dict.fromkeys(roots, 0)
    for rank in ranks:
        for one, other in pairwise(rank):
            apart = (widths[one] + widths[other]) / 2 + gap
            held = after.setdefault(roots[one], {})
            waits[roots[other]] += roots[other] not in held
            held[roots[other]] = max(apart, held.get(roots[other], 0.0))
    order = [n for n, wait in waits.items() if not wait]
    places = dict.fromkeys(waits, 0.0)
    for n in order:
        for other, apart in after.get(n, {}).items():
            places[other] = max(places[other], places[n] + apart)
            waits[other] -= 1
            if not waits[other]:
                order.append(other)
    for n in reversed(order):
        if n in after:
            places[n] = max(places[n], min(places[m] - apart for m, apart in after[n].items()))
    return [places[root] for root in roots]


def _middles(ways: list[list[float]], widths: list[float]) -> list[float]:
    """Shift all ways to the narrowest, those from the left by its left edge; then the middles."""
    if not widths:
        return []
    halves = [width / 2 for width in widths]
    edges = [
        (
            min(place - half for place, half in zip(way, halves, strict=True)),
            max(place + half for place, half in zip(way, halves, strict=True)),
        )
        for way in ways
    ]
    left, right = min(edges, key=lambda edge: edge[1] - edge[0])
    moved = []
    for number, (way, edge) in enumerate(zip(ways, edges, strict=True)):
        shift = left - edge[0] if number % 2 == 0 else right - edge[1]
        moved.append([place + shift for place in way])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*moved, strict=True)]
