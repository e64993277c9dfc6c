"""Boxes beside each other keep their distance, and long edges run straight down."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.edges import NONE, graphs
from winnow.compiler.picture.ranks import Edge, ranked_of
from winnow.compiler.picture.straight import centres_of

GAP = 5.0


@given(graphs())
def test_order_and_distance_are_kept(graph: tuple[int, list[Edge]]) -> None:
    """No two boxes of a rank overlap, however they are wired."""
    count, edges = graph
    ranked = ranked_of([7.0 + 3 * (n % 4) for n in range(count)], edges, NONE, NONE)
    centres = centres_of(ranked, GAP)
    for rank in ranked.ranks:
        for one, other in pairwise(rank):
            apart = (ranked.widths[one] + ranked.widths[other]) / 2 + GAP
            assert centres[other] - centres[one] >= apart - 1e-6


@given(graphs())
def test_a_long_edge_does_not_bend_between_its_ends(graph: tuple[int, list[Edge]]) -> None:
    """All unseen boxes of one edge lie below each other, unless another long edge crosses it."""
    count, edges = graph
    ranked = ranked_of([10.0] * count, edges, NONE, NONE)
    long = [chain for chain in ranked.chains.values() if len(chain) > 1]
    if len(long) == 1:
        centres = centres_of(ranked, GAP)
        assert max(centres[n] for n in long[0]) - min(centres[n] for n in long[0]) < 1e-6


def test_a_chain_is_a_line() -> None:
    """Boxes that only follow each other lie below each other, wide or narrow."""
    ranked = ranked_of([10.0, 60.0, 20.0, 40.0], [(0, 1), (1, 2), (2, 3)], NONE, NONE)
    assert len(set(centres_of(ranked, GAP))) == 1


def test_a_box_lies_between_the_two_that_it_reads() -> None:
    """Symmetry is seen."""
    left, right, below = centres_of(ranked_of([10.0] * 3, [(0, 2), (1, 2)], NONE, NONE), GAP)
    assert below == pytest.approx((left + right) / 2)


def test_nothing_at_all() -> None:
    """A graph without boxes has no places."""
    assert centres_of(ranked_of([], [], NONE, NONE), GAP) == []
