"""Where boxes come to lie: apart, above what reads them, within the picture."""

from __future__ import annotations

import pytest
from hypothesis import given

pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.edges import graphs
from winnow.compiler.picture.layout import layered
from winnow.compiler.picture.ranks import Edge

GAPS = (4.0, 6.0)


@given(graphs())
def test_boxes_lie_apart_and_edges_lead_down(graph: tuple[int, list[Edge]]) -> None:
    """No box overlaps another or sticks out; what reads lies lower, and an edge bends between."""
    count, edges = graph
    sizes = [(10.0 + 7 * (n % 3), 8.0 + 5 * (n % 4)) for n in range(count)]
    layout = layered(sizes, edges, gaps=GAPS)
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.places, sizes, strict=True)]
    for n, (left, top, right, bottom) in enumerate(boxes):
        assert -1e-6 <= left <= right <= layout.width + 1e-6
        assert -1e-6 <= top <= bottom <= layout.height + 1e-6
        for a, b, c, d in boxes[n + 1 :]:
            assert right <= a + 1e-6 or c <= left + 1e-6 or bottom <= b + 1e-6 or d <= top + 1e-6
    for a, b in edges:
        assert boxes[b][1] >= boxes[a][3] + GAPS[1] - 1e-6
        heights = [boxes[a][3], *(y for _, y in layout.bends[a, b]), boxes[b][1]]
        assert heights == sorted(heights)


def test_a_picture_of_two() -> None:
    """Two boxes below each other: sizes, gap and the narrower one in the middle."""
    layout = layered([(30.0, 10.0), (10.0, 20.0)], [(0, 1)], gaps=GAPS)
    assert layout.places == ((0.0, 0.0), (10.0, 16.0))
    assert (layout.width, layout.height) == (30.0, 36.0)


def test_levels_move_boxes_down_only() -> None:
    """A box lies level with its counterpart where that is lower, and never above what it reads."""
    sizes, chain = [(10.0, 10.0)] * 3, [(0, 1), (1, 2)]
    layout = layered(sizes, chain, gaps=GAPS, levels={1: 105.0, 2: 0.0})
    assert [y for _, y in layout.places] == [0.0, 100.0, 116.0]


def test_nothing_at_all() -> None:
    """No boxes make an empty picture, not an error."""
    layout = layered([], [], gaps=GAPS)
    assert (layout.places, layout.width, layout.height) == ((), 0.0, 0.0)
