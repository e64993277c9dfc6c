"""A stage laid out in two levels: nodes within frames, frames within the stage, wires to ports."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from winnow.compiler.picture.boxes import Figure, Item, Placed, figure_of

SIZE = (40.0, 20.0)


def _item(n: int, frame: int, reads: str, makes: str) -> Item:
    return Item(n, frame, SIZE, tuple(reads.split()), tuple(makes.split()))


# x -> 0 -> 1 -> 2 -> y, and 0 -> 2 past it; 1 and 2 are in frame 7.
CHAIN = [_item(0, -1, "x", "a"), _item(1, 7, "a", "b"), _item(2, 7, "a b", "y")]


def _within(inner: Placed, outer: Placed) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def _nodes(figure: Figure) -> dict[int | str, Placed]:
    return {node.key: node for node in figure.nodes}


def test_a_frame_holds_its_nodes_and_no_others() -> None:
    """The frame is as wide as asked for, around its own nodes, below what it reads."""
    figure = figure_of(CHAIN, ["y"], {}, {7: 200.0})
    nodes, (frame,) = _nodes(figure), figure.frames
    assert (frame.key, frame.width) == (7, 200.0)
    assert _within(nodes[1], frame)
    assert _within(nodes[2], frame)
    assert nodes[0].y + nodes[0].height < frame.y
    assert nodes[1].y + nodes[1].height < nodes[2].y


def test_wires_reach_from_port_to_port() -> None:
    """Each begins below what makes its value and ends above what reads it, and goes down only."""
    figure = figure_of(CHAIN, ["y"], {"x": (30.0, 16.0)}, {7: 0.0})
    nodes = _nodes(figure)
    starts = {wire[0] for wire in figure.wires}
    ends = {wire[-1] for wire in figure.wires}
    for node in nodes.values():
        middle = node.x + node.width / 2
        assert any(abs(x - middle) < 1e-6 and y == node.y for x, y in ends)
        assert any(abs(x - middle) < 1e-6 and y == node.y + node.height for x, y in starts)
    for wire in figure.wires:
        assert [y for _, y in wire] == sorted(y for _, y in wire)
    entry, leave = figure.entries["x"], figure.exits["y"]
    assert (entry.width, entry.height) == (30.0, 16.0)
    assert entry.y == 0
    assert leave.y >= nodes[2].y + nodes[2].height


def test_a_frame_of_one_node_is_not_drawn() -> None:
    """Its node bears the number itself."""
    figure = figure_of([_item(0, 3, "x", "y")], ["y"], {}, {3: 100.0})
    assert (len(figure.nodes), figure.frames) == (1, [])


def test_a_frame_that_a_way_leaves_and_enters_is_given_up() -> None:
    """0 and 2 of one frame around 1, which both feeds on it and feeds it: no frame, all nodes."""
    items = [_item(0, 7, "x", "a"), _item(1, -1, "a", "b"), _item(2, 7, "b", "y")]
    items += [_item(3, 8, "y", "c"), _item(4, 8, "c", "z")]
    figure = figure_of(items, ["z"], {}, {7: 10.0, 8: 10.0})
    assert len(figure.nodes) == 5
    assert [frame.key for frame in figure.frames] == [8]


def test_two_frames_that_feed_each_other_are_given_up() -> None:
    """A circle of frames has no order from top to bottom."""
    items = [_item(0, 1, "x", "a"), _item(1, 2, "a", "b"), _item(2, 1, "b", "c")]
    items += [_item(3, 2, "c", "y")]
    figure = figure_of(items, ["y"], {}, {1: 10.0, 2: 10.0})
    assert figure.frames == []
    assert len(figure.nodes) == 4


def test_levels() -> None:
    """A frame lies level with its counterpart on the other side."""
    items = [_item(0, 5, "x", "a"), _item(1, 6, "a", "y")]
    figure = figure_of(items, ["y"], {}, {}, {5: 300.0, 6: 700.0})
    assert [node.y + node.height / 2 for node in figure.nodes] == [300.0, 700.0]


def test_a_value_read_twice_by_one_node_is_one_wire() -> None:
    """A sum of x and x has one line, not two upon each other."""
    figure = figure_of([Item(0, -1, SIZE, ("x", "x"), ("y",))], [], {}, {})
    assert len(figure.wires) == 1
