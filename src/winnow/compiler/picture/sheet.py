"""A story -> an SVG file: stages from top to bottom, before at the left, after at the right.

What became of a frame lies level with it, and a band leads there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winnow.compiler.picture.boxes import Placed
from winnow.compiler.picture.colours import style_sheet
from winnow.compiler.picture.panel import SIGN, Panel, panel_of, rect, wire
from winnow.compiler.picture.story import Side, Story
from winnow.compiler.picture.words import (
    headline,
    kinds_of,
    nodes_text,
    size_text,
    stage_count,
    stage_name,
)
from winnow.drawing import escape, text

_MARGIN, _HEAD = 14.0, 32.0  # of a stage: around its nodes; above them, for its name
_GUTTER, _BETWEEN = 56.0, 26.0  # between sides, between stages
_LEAST = 250.0  # width of a side, for the words above it
_TOP = 62.0
_COLUMN_HEADS = 24.0
_EDGE = 8.0


def legend(story: Story, width: float) -> tuple[str, float]:
    """What the colours mean, as SVG elements from (0, 0), and their height."""
    parts, x, y = [], 0.0, 0.0
    for kind in kinds_of(story):
        step = len(kind.value) * SIGN + 34
        if x and x + step > width:
            x, y = 0.0, y + 22
        swatch = rect(Placed("", x, y, 16, 12), 3)
        words = text(x + 22, y + 10, kind.value, style="words", anchor="start")
        parts.append(f'<g class="node {kind.name.lower()}">{swatch}</g>{words}')
        x += step
    return "".join(parts), y + 12


@dataclass(frozen=True, slots=True)
class Column:
    """One side of the sheet.

    Attributes:
        side: of the story.
        name: that stands above it.
        panels: of each row, None where it has none.
        x: of its left edge.
        width: of its stages' boxes.
    """

    side: Side
    name: str
    panels: tuple[Panel | None, ...]
    x: float
    width: float

    def shift(self, panel: Panel) -> float:
        """How far a panel lies to the right."""
        return self.x + (self.width - panel.width) / 2


def columns_of(story: Story) -> list[Column]:
    """Lay out both sides: what became of a change lies level with it."""
    old = [panel_of(story, story.before, r.before) if r.before else None for r in story.rows]
    width = max([_LEAST, *(p.width + 2 * _MARGIN for p in old if p)])
    columns = [Column(story.before, "before", tuple(old), 0.0, width)]
    if story.after is None:
        return columns
    new: list[Panel | None] = []
    for row, panel in zip(story.rows, old, strict=True):
        marks = panel.marks if panel else {}
        levels = {number: at.y + at.height / 2 for number, at in marks.items()}
        new.append(panel_of(story, story.after, row.after, levels) if row.after else None)
    wide = max([_LEAST, *(p.width + 2 * _MARGIN for p in new if p)])
    return [*columns, Column(story.after, "after", tuple(new), width + _GUTTER, wide)]


def row_of(story: Story, columns: Sequence[Column], n: int) -> tuple[str, float]:
    """One row of both sides, as SVG elements from (0, 0), and its height."""
    panels = [column.panels[n] for column in columns]
    tall = max(panel.height for panel in panels if panel) + _HEAD + _MARGIN
    body = [_bands(story, columns, n)]
    for column, panel in zip(columns, panels, strict=True):
        if panel is not None:
            body.append(_stage(story, column, panel, n, tall))
    return "".join(body), tall


def svg_of(story: Story) -> str:
    """Draw a whole picture as the text of a file."""
    columns = columns_of(story)
    total = columns[-1].x + columns[-1].width
    key, height = legend(story, total)
    y = _TOP + height + (_COLUMN_HEADS if story.after else 0.0)
    body = [
        text(0, 24, f"{story.name}: {headline(story)}", style="heading", anchor="start"),
        f'<g transform="translate(0 42)">{key}</g>',
        *(_column_head(column, y - 10) for column in columns if story.after),
    ]
    for n in range(len(story.rows)):
        row, tall = row_of(story, columns, n)
        body.append(f'<g transform="translate(0 {y:.0f})">{row}</g>')
        body += [_thread(column, n, y) for column in columns if n]
        y += tall + _BETWEEN
    title = f"{story.name}: {headline(story)}"
    head = f"<title>{escape(title)}</title><style>{style_sheet()}</style>"
    return image(head + "".join(body), total, y - _BETWEEN, name=title) + "\n"


def image(body: str, width: float, height: float, *, name: str) -> str:
    """An SVG element around a body that begins at (0, 0).

    Args:
        body: SVG elements.
        width: of the body.
        height: of the body.
        name: told to whom does not see it.
    """
    wide, tall = width + 2 * _EDGE, height + 2 * _EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{tall:.0f}" '
        f'viewBox="{-_EDGE:.0f} {-_EDGE:.0f} {wide:.0f} {tall:.0f}" class="graph" role="img" '
        f'aria-label="{escape(name)}">{body}</svg>'
    )


def _column_head(column: Column, y: float) -> str:
    sketch = column.side.sketch
    told = f"{nodes_text(len(sketch.nodes))}, {size_text(sketch.weight_bytes)} of constants"
    name = text(column.x, y, column.name, style="column", anchor="start")
    return name + text(column.x + column.width, y, told, style="words", anchor="end")


def _stage(story: Story, column: Column, panel: Panel, n: int, tall: float) -> str:
    row = story.rows[n]
    stages = row.after if column.side is story.after else row.before
    box = rect(Placed("", column.x, 0, column.width, tall), 10)
    name = stage_name(column.side, stages)
    head = text(column.x + 12, 20, name, style="stage-name", anchor="start")
    told = stage_count(column.side, stages)
    head += text(column.x + column.width - 12, 20, told, style="words", anchor="end")
    if panel.leave is not None:
        x = column.shift(panel) + panel.leave[0]
        head += wire(((x, _HEAD + panel.leave[1]), (x, tall)))
    at = f"translate({column.shift(panel):.0f} {_HEAD:.0f})"
    return f'<g class="stage">{box}{head}</g><g transform="{at}">{panel.body}</g>'


def _thread(column: Column, n: int, y: float) -> str:
    """The line to a stage from the one above it."""
    above, panel = column.panels[n - 1], column.panels[n]
    if above is None or panel is None or above.leave is None or panel.entry is None:
        return ""
    leaves = column.shift(above) + above.leave[0]
    enters = column.shift(panel) + panel.entry[0]
    return wire(((leaves, y - _BETWEEN), (enters, y), (enters, y + _HEAD + panel.entry[1])))


def _bands(story: Story, columns: Sequence[Column], n: int) -> str:
    """A band from each numbered change of the old graph to what it became."""
    old, new = columns[0].panels[n], columns[-1].panels[n]
    if old is None or new is None or old is new:
        return ""
    parts = []
    for number in story.numbers:
        if number in old.marks and number in new.marks:
            start, end = old.marks[number], new.marks[number]
            left = columns[0].shift(old) + start.x + start.width
            right = columns[-1].shift(new) + end.x
            shape = _band((left, _HEAD + start.y, start.height), (right, _HEAD + end.y, end.height))
            kind = story.changes[number].kind.name.lower()
            parts.append(f'<path class="band {kind}" d="{shape}"/>')
    return "".join(parts)


def _band(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    (a, top, tall), (b, under, low) = start, end
    half = (a + b) / 2
    return (
        f"M{a:.0f} {top:.0f}C{half:.0f} {top:.0f} {half:.0f} {under:.0f} {b:.0f} {under:.0f}"
        f"V{under + low:.0f}C{half:.0f} {under + low:.0f} {half:.0f} {top + tall:.0f} "
        f"{a:.0f} {top + tall:.0f}Z"
    )
