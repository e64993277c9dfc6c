"""Graphs of numbered boxes, for the tests of where they are laid."""

from __future__ import annotations

from hypothesis import strategies as st

Edge = tuple[int, int]
NONE: frozenset[int] = frozenset()


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Edge]]:
    """Draw a number of boxes and edges, each from a lower number to a higher."""
    count = draw(st.integers(1, 12))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    edges = {(min(pair), max(pair)) for pair in draw(st.lists(pairs, max_size=30))}
    return count, sorted((a, b) for a, b in edges if a != b)
