"""A story -> one HTML file: a table of what became of what, then the pictures, stage by stage.

The file asks for nothing from outside and runs no script; stages fold away without one. A wide
screen has both graphs in one picture, with what became of a change level with it; on a narrow one
they follow each other.
"""

from __future__ import annotations

from collections import Counter
from importlib import resources

from winnow.compiler.picture.changes import Change, Fate
from winnow.compiler.picture.colours import style_sheet
from winnow.compiler.picture.nodes import Kind
from winnow.compiler.picture.panel import panel_of
from winnow.compiler.picture.sheet import columns_of, image, row_of
from winnow.compiler.picture.story import Row, Side, Story
from winnow.compiler.picture.words import (
    became,
    headline,
    kinds_of,
    nodes_text,
    row_text,
    size_text,
    stage_name,
)
from winnow.drawing import escape

_UNTOLD = "The graphs have no value of one name: what became of what cannot be told."
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page_of(story: Story) -> str:
    """Write a whole page."""
    sheet = resources.files("winnow.compiler.picture").joinpath("page.css").read_text("utf-8")
    title = escape(f"{story.name}: {headline(story)}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style_sheet()}{sheet}</style></head><body>"
        f"<header><h1>{title}</h1>{_about(story)}</header>"
        f"<main>{_tables(story)}{_stages(story)}</main></body></html>\n"
    )


def _about(story: Story) -> str:
    before = size_text(story.before.sketch.weight_bytes)
    told = f"{before} of constants"
    if story.after:
        told += f" → {size_text(story.after.sketch.weight_bytes)}"
    return f'<p class="soft">{told}</p>'


def _tables(story: Story) -> str:
    changes = ""
    if story.after:
        changes = _changes(story) if story.changes else f"<p>{_UNTOLD}</p>"
    return f'<div class="tables">{changes}{_kinds(story)}</div>'


def _changes(story: Story) -> str:
    rows = "".join(
        _change(story, number, change) for number, change in _told(story) if change.before
    )
    return (
        "<table><caption>What became of what</caption><thead><tr><th></th><th>where</th>"
        '<th class="count">nodes</th><th>became</th><th class="rules">by the rules</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _told(story: Story) -> list[tuple[int, Change]]:
    """Changes that are drawn: those with a number in its order, then what is no longer computed."""
    numbered = sorted(story.numbers, key=story.numbers.__getitem__)
    drawn = {
        story.before.change[n] for row in story.rows for n in _members(story.before, row.before)
    }
    gone = [n for n in sorted(drawn) if n >= 0 and story.changes[n].fate is Fate.GONE]
    return [(n, story.changes[n]) for n in (*numbered, *gone)]


def _members(side: Side, stages: range) -> list[int]:
    return side.members(stages.start) if stages else []


def _change(story: Story, number: int, change: Change) -> str:
    kind = change.kind.name.lower() if change.after else Fate.GONE
    sign = story.numbers.get(number, "")
    where, times = _place(story, change)
    count = f"{times} × {len(change.before)}" if times > 1 else f"{len(change.before)}"
    result = became(change) if change.after else "no longer computed"
    rules = ", ".join(escape(rule) for rule in change.rules)
    return (
        f'<tr><td class="{kind}"><span class="badge">{sign}</span></td><td>{where}</td>'
        f'<td class="count">{count}</td><td class="what">{escape(result)}</td>'
        f'<td class="soft rules">{rules}</td></tr>'
    )


def _place(story: Story, change: Change) -> tuple[str, int]:
    """Where a change is drawn, and of how many like it."""
    stage = story.before.stages.of[change.before[0]]
    row = next(row for row in story.rows if stage in row.before)
    return stage_name(story.before, row.before), len(row.before)


def _kinds(story: Story) -> str:
    sides = [side for side in (story.before, story.after) if side]
    counts = [Counter(node.kind for node in side.sketch.nodes) for side in sides]
    heads = ("before", "after") if story.after else ("nodes",)
    rows = "".join(_kind(kind, [count[kind] for count in counts]) for kind in kinds_of(story))
    head = "".join(f'<th class="count">{name}</th>' for name in heads)
    return (
        f"<table><caption>Nodes by what they are for</caption><thead><tr><th>kind</th>{head}</tr>"
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _kind(kind: Kind, counts: list[int]) -> str:
    cells = "".join(f'<td class="count">{count:,}</td>' for count in counts)
    swatch = '<span class="swatch"></span>'
    return f'<tr><td class="{kind.name.lower()}">{swatch}{kind.value}</td>{cells}</tr>'


def _stages(story: Story) -> str:
    columns = columns_of(story)
    width = columns[-1].x + columns[-1].width
    parts = []
    for n, row in enumerate(story.rows):
        drawn, height = row_of(story, columns, n)
        told = row_text(story, row)
        picture = f'<div class="scroll wide">{image(drawn, width, height, name=told)}</div>'
        parts.append(
            f"<details open><summary>{told}</summary>{picture}"
            f"{_apart(story, row) if story.after else ''}</details>"
        )
    kind = "both" if story.after else "one"
    return f'<div class="stages {kind}">{"".join(parts)}</div>'


def _apart(story: Story, row: Row) -> str:
    """The sides of a row after each other, for a narrow screen."""
    parts = []
    for name, side, stages in (
        ("before", story.before, row.before), ("after", story.after, row.after)
    ):  # fmt: skip
        if side and stages:
            panel = panel_of(story, side, stages)
            told = f"{name}: {nodes_text(len(side.members(stages.start)))}"
            picture = image(panel.body, panel.width, panel.height, name=told)
            parts.append(
                f"<figure><figcaption>{told}</figcaption>"
                f'<div class="scroll">{picture}</div></figure>'
            )
    return f'<div class="narrow">{"".join(parts)}</div>'
