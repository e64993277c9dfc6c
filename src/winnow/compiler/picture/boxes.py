"""One stage of a graph -> where its nodes, frames and wires lie.

Two levels are laid out by the same function: nodes within a frame, then frames and single nodes
within the stage. What goes in or out passes a port on the edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from winnow.compiler.picture.layout import Point, Size, layered
from winnow.compiler.picture.ranks import Edge

_GAPS = (14.0, 18.0)
_PAD, _HEAD = 9.0, 22.0  # of a frame: around its nodes; above them, for its words
_PORT = (4.0, 0.0)


@dataclass(frozen=True, slots=True)
class Item:
    """A node to be placed, or several in a frame.

    Attributes:
        node: its place in the graph; -1 for a frame.
        frame: number of the frame that it is in, -1 for none; of a frame its own.
        size: (width, height); of a frame only the least width counts.
        reads: values.
        makes: values.
        inside: of a frame its nodes.
    """

    node: int
    frame: int
    size: Size
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    inside: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A node, a frame or a port where it lies.

    Attributes:
        key: place of the node, number of the frame, or name of the port's value.
        x: of its left edge.
        y: of its upper edge.
        width: of it.
        height: of it.
    """

    key: int | str
    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Figure:
    """A stage, or the inside of a frame.

    Attributes:
        width: of it.
        height: of it.
        nodes: where they lie.
        frames: likewise.
        entries: ports at the upper edge, by value.
        exits: ports at the lower edge, by value.
        wires: each a way through points.
    """

    width: float = 0.0
    height: float = 0.0
    nodes: list[Placed] = field(default_factory=list)
    frames: list[Placed] = field(default_factory=list)
    entries: dict[str, Placed] = field(default_factory=dict)
    exits: dict[str, Placed] = field(default_factory=dict)
    wires: list[tuple[Point, ...]] = field(default_factory=list)


def figure_of(
    items: Sequence[Item],
    exits: Sequence[str],
    ports: Mapping[str, Size],
    frames: Mapping[int, float],
    levels: Mapping[int, float] | None = None,
) -> Figure:
    """Lay out a stage.

    Args:
        items: its nodes.
        exits: values that it gives to others.
        ports: size of the words at a port, by value; without, it is a point.
        frames: least width of each frame, by number.
        levels: heights at which the middle of frames and of their single nodes should lie.
    """
    return _arranged(_framed(items, frames), exits, ports, levels or {})


def _framed(items: Sequence[Item], frames: Mapping[int, float]) -> list[Item]:
    """Put nodes into their frames; a frame that a way leaves and enters again is given up."""
    framed = {number for number in frames if sum(item.frame == number for item in items) > 1}
    while True:
        found: list[Item] = []
        for number in dict.fromkeys(i.frame if i.frame in framed else ~i.node for i in items):
            if number in framed:
                inside = tuple(item for item in items if item.frame == number)
                found.append(_frame(number, frames[number], inside))
            else:
                found += [item for item in items if item.node == ~number]
        knotted = _knotted(found)
        if not knotted:
            return found
        framed -= knotted


def _frame(number: int, width: float, inside: tuple[Item, ...]) -> Item:
    makes = tuple(value for item in inside for value in item.makes)
    reads = dict.fromkeys(value for item in inside for value in item.reads)
    outside = tuple(value for value in reads if value not in set(makes))
    return Item(-1, number, (width, 0.0), outside, makes, inside)


def _passing(items: Sequence[Item]) -> dict[Edge, list[str]]:
    """Which values pass from one item to another."""
    makers = {value: n for n, item in enumerate(items) for value in item.makes}
    found: dict[Edge, list[str]] = {}
    for n, item in enumerate(items):
        for value in dict.fromkeys(item.reads):
            maker = makers.get(value, n)
            if maker != n:
                found.setdefault((maker, n), []).append(value)
    return found


def _knotted(items: Sequence[Item]) -> set[int]:
    """Frames that lie on a circle."""
    left = set(range(len(items)))
    edges = set(_passing(items))
    while True:  # peel off what nothing left leads to, and what leads to nothing left
        inner = {b for a, b in edges if a in left and b in left}
        outer = {a for a, b in edges if a in left and b in left}
        if inner & outer == left:
            return {items[n].frame for n in left if items[n].inside}
        left &= inner & outer


def _arranged(
    items: Sequence[Item],
    exits: Sequence[str],
    ports: Mapping[str, Size],
    levels: Mapping[int, float],
) -> Figure:
    """Lay out items with ports above and below them."""
    made = {value for item in items for value in item.makes}
    read = dict.fromkeys(value for item in items for value in item.reads)
    entries = [value for value in read if value not in made]
    leaving = [value for value in exits if value in made]
    inner = [_inner(item, {*leaving, *read}) for item in items]
    # Ports are laid out as items of no content: what enters is made by one, what leaves is read.
    every = [
        *items,
        *(Item(-1, -1, ports.get(value, _PORT), (), (value,)) for value in entries),
        *(Item(-1, -1, ports.get(value, _PORT), (value,), ()) for value in leaving),
    ]
    first, last = len(items), len(items) + len(entries)
    sizes = [item.size for item in every]
    for n, part in enumerate(inner):
        sizes[n] = (part.width, part.height) if part else sizes[n]
    passing = _passing(every)
    layout = layered(
        sizes,
        passing,
        gaps=_GAPS,
        top=frozenset(range(first, last)),
        bottom=frozenset(range(last, len(every))),
        levels={n: levels[item.frame] for n, item in enumerate(items) if item.frame in levels},
    )
    placed = [Placed(n, *layout.places[n], *size) for n, size in enumerate(sizes)]
    figure = Figure(layout.width, layout.height)
    for item, part, where in zip(items, inner, placed, strict=False):
        _add(figure, item, part, where)
    figure.entries |= _named(entries, placed[first:last])
    figure.exits |= _named(leaving, placed[last:])
    parts = {n: part for n, part in enumerate(inner) if part}
    for (a, b), values in passing.items():
        for value in values:
            start = _port(placed[a], parts.get(a), value, down=True)
            end = _port(placed[b], parts.get(b), value, down=False)
            figure.wires.append((start, *layout.bends.get((a, b), ()), end))
    figure.wires = list(dict.fromkeys(figure.wires))
    return figure


def _named(values: Sequence[str], places: Sequence[Placed]) -> dict[str, Placed]:
    return {
        value: Placed(value, at.x, at.y, at.width, at.height)
        for value, at in zip(values, places, strict=True)
    }


def _inner(item: Item, wanted: set[str]) -> Figure | None:
    if not item.inside:
        return None
    exits = [value for value in item.makes if value in wanted]
    return _padded(_arranged(item.inside, exits, {}, {}), item.size[0])


def _padded(figure: Figure, least: float) -> Figure:
    """A frame around a figure: ports move to its edges."""
    width = max(figure.width + 2 * _PAD, least)
    height = figure.height + _HEAD + _PAD
    moved = _shifted(figure, (width - figure.width) / 2, _HEAD)
    padded = Figure(width, height, moved.nodes, moved.frames, wires=moved.wires)
    for value, port in moved.entries.items():
        padded.entries[value] = Placed(value, port.x, 0.0, port.width, 0.0)
        x = port.x + port.width / 2
        padded.wires.append(((x, 0.0), (x, port.y)))
    for value, port in moved.exits.items():
        padded.exits[value] = Placed(value, port.x, height, port.width, 0.0)
        x = port.x + port.width / 2
        padded.wires.append(((x, port.y), (x, height)))
    return padded


def _add(figure: Figure, item: Item, part: Figure | None, where: Placed) -> None:
    if part is None:
        figure.nodes.append(Placed(item.node, where.x, where.y, where.width, where.height))
        return
    figure.frames.append(Placed(item.frame, where.x, where.y, where.width, where.height))
    moved = _shifted(part, where.x, where.y)
    figure.nodes += moved.nodes
    figure.wires += moved.wires


def _port(where: Placed, part: Figure | None, value: str, *, down: bool) -> Point:
    """Where a value leaves a box, or enters it."""
    if part is None:
        return (where.x + where.width / 2, where.y + (where.height if down else 0.0))
    port = (part.exits if down else part.entries)[value]
    return (where.x + port.x + port.width / 2, where.y + port.y)


def _shifted(figure: Figure, x: float, y: float) -> Figure:
    def moved(one: Placed) -> Placed:
        return Placed(one.key, one.x + x, one.y + y, one.width, one.height)

    return Figure(
        figure.width,
        figure.height,
        [moved(one) for one in figure.nodes],
        [moved(one) for one in figure.frames],
        {value: moved(one) for value, one in figure.entries.items()},
        {value: moved(one) for value, one in figure.exits.items()},
        [tuple((a + x, b + y) for a, b in wire) for wire in figure.wires],
    )
