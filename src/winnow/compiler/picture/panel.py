"""One stage of one graph as SVG: nodes, the frames of what they became, wires, ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from winnow.compiler.picture.boxes import Figure, Item, Placed, figure_of
from winnow.compiler.picture.changes import Fate
from winnow.compiler.picture.layout import Point
from winnow.compiler.picture.story import Side, Story
from winnow.compiler.picture.words import about, frame_text, port_texts, second_line
from winnow.drawing import escape, text

# Widths of a sign in the style sheet's sizes, on the wide side of what browsers have.
SIGN, SMALL_SIGN = 7.2, 5.6
_ONE_LINE, _TWO_LINES = 22.0, 34.0
_TAG_HEIGHT = 16.0
_BADGE = 8.0


@dataclass(frozen=True, slots=True)
class Panel:
    """A stage as it is drawn.

    Attributes:
        body: SVG elements, from (0, 0).
        width: of it.
        height: of it.
        entry: point near the upper edge where the thread enters, None where it does not.
        leave: point near the lower edge where it leaves.
        marks: where each change lies, by its place: its frame, or its only node.
    """

    body: str
    width: float
    height: float
    entry: Point | None
    leave: Point | None
    marks: Mapping[int, Placed]


def panel_of(
    story: Story, side: Side, stages: range, levels: Mapping[int, float] | None = None
) -> Panel:
    """Draw a stage, or the first of several that look alike.

    Args:
        story: that it belongs to.
        side: of it.
        stages: of the side.
        levels: heights that changes should lie at, so that they are level with the other side's.
    """
    members = side.members(stages.start)
    drawer = _Drawer(story, side)
    exits, ports = port_texts(side, members)
    numbers = dict.fromkeys(side.change[n] for n in members)
    figure = figure_of(
        [drawer.item(n) for n in members],
        exits,
        {value: (len(words) * SMALL_SIGN + 12, _TAG_HEIGHT) for value, words in ports.items()},
        {number: drawer.frame_width(number) for number in numbers if drawer.is_framed(number)},
        levels,
    )
    return Panel(
        drawer.drawn(figure, ports),
        figure.width,
        figure.height,
        _on_thread(side, figure.entries),
        _on_thread(side, figure.exits),
        _marks(side, figure),
    )


def rect(where: Placed, radius: float) -> str:
    """A rectangle with round corners."""
    return (
        f'<rect x="{where.x:.0f}" y="{where.y:.0f}" width="{where.width:.0f}" '
        f'height="{where.height:.0f}" rx="{radius:.0f}"/>'
    )


def wire(points: tuple[Point, ...]) -> str:
    """A smooth line: straight down beside boxes, a curve where it changes its place."""
    (x, y), *rest = points
    steps = [f"M{x:.0f} {y:.0f}"]
    for to_x, to_y in rest:
        if abs(to_x - x) < 0.5:
            steps.append(f"V{to_y:.0f}")
        else:
            half = (y + to_y) / 2
            steps.append(f"C{x:.0f} {half:.0f} {to_x:.0f} {half:.0f} {to_x:.0f} {to_y:.0f}")
        x, y = to_x, to_y
    return f'<path class="wire" d="{"".join(steps)}"/>'


@dataclass(frozen=True, slots=True)
class _Drawer:
    """Draws what a figure holds.

    Attributes:
        story: that is told.
        side: of it.
    """

    story: Story
    side: Side

    @property
    def newer(self) -> bool:
        return self.side is self.story.after

    def is_framed(self, number: int) -> bool:
        return number >= 0 and self.story.changes[number].fate is not Fate.KEPT

    def frame_width(self, number: int) -> float:
        return len(frame_text(self.story.changes[number], newer=self.newer)) * SIGN + 44

    def was(self, n: int) -> int:
        """How many nodes became a node that alone stands for them, else 0."""
        change = self.story.changes[self.side.change[n]] if self.badged(n) else None
        return len(change.before) if change and self.newer else 0

    def badged(self, n: int) -> bool:
        """Whether a node bears the number of its change itself, since it is alone in it."""
        number = self.side.change[n]
        if number not in self.story.numbers:
            return False
        change = self.story.changes[number]
        return len(change.after if self.newer else change.before) == 1

    def item(self, n: int) -> Item:
        node = self.side.sketch.nodes[n]
        second = second_line(node, self.was(n))
        width = max(len(node.op) * SIGN, len(second) * SMALL_SIGN) + 16
        width += 2.5 * _BADGE if self.badged(n) else 0.0
        height = _TWO_LINES if second else _ONE_LINE
        return Item(n, self.side.change[n], (width, height), node.inputs, node.outputs)

    def drawn(self, figure: Figure, ports: Mapping[str, str]) -> str:
        parts = [self.frame(frame) for frame in figure.frames]
        parts += [wire(points) for points in figure.wires]
        parts += [self.words(frame) for frame in figure.frames]
        parts += [self.node(node) for node in figure.nodes]
        edges = {**figure.entries, **figure.exits}
        parts += [_tag(edges[value], words) for value, words in ports.items() if value in edges]
        return "".join(parts)

    def frame_class(self, number: int) -> str:
        change = self.story.changes[number]
        return change.kind.name.lower() if change.fate is Fate.CHANGED else str(change.fate)

    def frame(self, where: Placed) -> str:
        return f'<g class="frame {self.frame_class(int(where.key))}">{rect(where, 7)}</g>'

    def words(self, where: Placed) -> str:
        number = int(where.key)
        words = frame_text(self.story.changes[number], newer=self.newer)
        x = where.x + (28 if number in self.story.numbers else 10)
        badge = self.badge(number, where.x + 15, where.y + 12)
        told = text(x, where.y + 16, words, style="words", anchor="start")
        return f'<g class="frame {self.frame_class(number)}">{badge}{told}</g>'

    def badge(self, number: int, x: float, y: float) -> str:
        if number not in self.story.numbers:
            return ""
        sign = text(x, y + 3.5, str(self.story.numbers[number]), style="number")
        return f'<circle class="badge" cx="{x:.0f}" cy="{y:.0f}" r="{_BADGE:.0f}"/>{sign}'

    def node(self, where: Placed) -> str:
        n = int(where.key)
        node, number, badged = self.side.sketch.nodes[n], self.side.change[n], self.badged(n)
        fate = self.story.changes[number].fate if number >= 0 else Fate.KEPT
        second = second_line(node, self.was(n))
        middle = where.x + where.width / 2 + (_BADGE if badged else 0)
        lines = text(middle, where.y + 14.5, node.op, style="op")
        if second:
            lines += text(middle, where.y + 27, second, style="small")
        if badged:
            lines += self.badge(number, where.x + 14, where.y + where.height / 2)
        return (
            f'<g class="node {node.kind.name.lower()} {fate}"><title>{escape(about(node))}</title>'
            f"{rect(where, 5)}{lines}</g>"
        )


def _tag(port: Placed, words: str) -> str:
    label = text(port.x + port.width / 2, port.y + 11.5, words, style="small")
    return f'<g class="tag">{rect(port, 8)}{label}</g>'


def _on_thread(side: Side, ports: Mapping[str, Placed]) -> Point | None:
    found = [(p.x + p.width / 2, p.y) for value, p in ports.items() if value in side.stages.thread]
    return found[0] if found else None


def _marks(side: Side, figure: Figure) -> dict[int, Placed]:
    alone: dict[int, list[Placed]] = {}
    for node in figure.nodes:
        alone.setdefault(side.change[int(node.key)], []).append(node)
    marks = {n: places[0] for n, places in alone.items() if n >= 0 and len(places) == 1}
    return marks | {int(frame.key): frame for frame in figure.frames}
