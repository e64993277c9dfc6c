"""Boxes in ranks: every edge leads down, and few of them cross."""

from __future__ import annotations

import pytest
from hypothesis import given

pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.edges import NONE, graphs
from winnow.compiler.picture.ranks import Edge, Ranked, ranked_of


def _rank(ranked: Ranked) -> dict[int, int]:
    return {n: place for place, rank in enumerate(ranked.ranks) for n in rank}


@given(graphs())
def test_every_edge_leads_down_rank_by_rank(graph: tuple[int, list[Edge]]) -> None:
    """Each box has one rank, and an edge one unseen box in each rank that it passes."""
    count, edges = graph
    ranked = ranked_of([10.0] * count, edges, NONE, NONE)
    rank = _rank(ranked)
    assert sorted(rank) == list(range(len(ranked.widths)))
    assert ranked.chains.keys() == set(edges)
    for (a, b), chain in ranked.chains.items():
        assert [rank[n] for n in (a, *chain, b)] == list(range(rank[a], rank[b] + 1))
        assert all(n >= count for n in chain)


@given(graphs())
def test_the_same_graph_has_the_same_ranks(graph: tuple[int, list[Edge]]) -> None:
    """Nothing is left to chance."""
    count, edges = graph
    assert ranked_of([1.0] * count, edges, NONE, NONE) == ranked_of(
        [1.0] * count, edges, NONE, NONE
    )


def test_first_and_last_rank() -> None:
    """Ports lie at the edges even where only their edges would not hold them there."""
    ranked = ranked_of(
        [1.0] * 5, [(0, 1), (1, 2), (2, 4), (3, 2)], frozenset({0, 3}), frozenset({4})
    )
    rank = _rank(ranked)
    assert (rank[0], rank[3], rank[1], rank[2], rank[4]) == (0, 0, 1, 2, 3)


def test_what_hangs_on_nothing_hangs_low() -> None:
    """A box that only one far below reads lies right above it."""
    rank = _rank(ranked_of([1.0] * 5, [(0, 1), (1, 2), (2, 3), (4, 3)], NONE, NONE))
    assert rank[4] == rank[3] - 1


def test_crossings_are_taken_out() -> None:
    """Two rows of four, wired in reverse, are turned around; no crossing is left."""
    ranked = ranked_of([1.0] * 8, [(n, 7 - n) for n in range(4)], NONE, NONE)
    above, below = ranked.ranks
    assert [7 - n for n in above] == below


def test_a_very_long_edge_costs_nothing() -> None:
    """An edge past very many ranks has no chain: it goes straight."""
    chain = [(n, n + 1) for n in range(100)]
    ranked = ranked_of([1.0] * 101, [*chain, (0, 100)], NONE, NONE)
    assert (0, 100) not in ranked.chains
    assert len(ranked.widths) == 101
