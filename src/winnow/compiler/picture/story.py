"""One graph, or one before and after, as it is to be told: rows of stages, numbered changes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import zip_longest

import onnx_ir as ir

from winnow.compiler.picture.changes import Change, Fate, changes_of
from winnow.compiler.picture.folding import forms_of, runs_of
from winnow.compiler.picture.layers import Stages, stages_of
from winnow.compiler.picture.nodes import Sketch, sketch_of


@dataclass(frozen=True, slots=True)
class Side:
    """One of the graphs.

    Attributes:
        sketch: its nodes.
        stages: its layers.
        change: of each node, its place among the changes; -1 where there is nothing to compare.
    """

    sketch: Sketch
    stages: Stages
    change: tuple[int, ...]

    def members(self, stage: int) -> list[int]:
        """Places of a stage's nodes."""
        return [n for n, of in enumerate(self.stages.of) if of == stage]


@dataclass(frozen=True, slots=True)
class Row:
    """Stages that are shown beside each other.

    Attributes:
        before: stages of the old graph that look alike, of which the first is drawn; may be empty.
        after: of the new one.
    """

    before: range
    after: range


@dataclass(frozen=True, slots=True)
class Story:
    """What a picture tells.

    Attributes:
        name: of the model.
        before: the graph, or the old one of two.
        after: the new one, None where there is only one.
        changes: what became of what.
        numbers: of those changes that are drawn with one, by their place, from 1.
        rows: from the top.
    """

    name: str
    before: Side
    after: Side | None
    changes: tuple[Change, ...]
    numbers: dict[int, int]
    rows: tuple[Row, ...]


def story_of(
    name: str, before: ir.Model, after: ir.Model | None = None, *, every_layer: bool = False
) -> Story:
    """Take in what is to be told.

    Args:
        name: of the model.
        before: a graph.
        after: what became of it.
        every_layer: draw layers that are alike again and again.

    Raises:
        InputError: a graph is too large.
    """
    old = sketch_of(before)
    if after is None:
        one = Side(old, stages_of(old), (-1,) * len(old.nodes))
        return Story(name, one, None, (), {}, _rows(one, None, (), every_layer))
    new = sketch_of(after, old.shapes)
    changes = changes_of(old, new)  # none where nothing can be told: then all places are -1
    sides = (
        Side(old, stages_of(old), _places([c.before for c in changes], len(old.nodes))),
        Side(new, stages_of(new), _places([c.after for c in changes], len(new.nodes))),
    )
    rows = _rows(*sides, changes, every_layer)
    return Story(name, *sides, changes, _numbers(sides, changes, rows), rows)


def _places(groups: list[tuple[int, ...]], count: int) -> tuple[int, ...]:
    found = [-1] * count
    for number, members in enumerate(groups):
        for n in members:
            found[n] = number
    return tuple(found)


def _rows(
    before: Side, after: Side | None, changes: tuple[Change, ...], every_layer: bool
) -> tuple[Row, ...]:
    """Stages beside each other: by name where both graphs have the same, else as they come."""
    old = _forms(before, changes)
    if every_layer:
        old = list(range(len(old)))
    if after is None:
        return tuple(Row(run, range(0)) for run in runs_of(before.stages.names, old))
    new: list[Hashable] = _forms(after, changes)
    if every_layer:
        new = list(range(len(new)))
    if before.stages.names == after.stages.names:
        both: list[Hashable] = list(zip(old, new, strict=True))
        return tuple(Row(run, run) for run in runs_of(before.stages.names, both))
    ours, theirs = runs_of(before.stages.names, old), runs_of(after.stages.names, new)
    last = []
    if len(ours) > 1 and len(theirs) > 1:  # heads lie beside each other
        last = [Row(ours.pop(), theirs.pop())]
    return (*(Row(*pair) for pair in zip_longest(ours, theirs, fillvalue=range(0))), *last)


def _forms(side: Side, changes: tuple[Change, ...]) -> list[Hashable]:
    marks: list[Hashable] = [
        _mark(changes[number]) if number >= 0 else None for number in side.change
    ]
    return forms_of(side.sketch, side.stages, marks)


def _mark(change: Change) -> Hashable:
    return change.fate, len(change.before), len(change.after), change.ops


def _numbers(
    sides: tuple[Side, Side], changes: tuple[Change, ...], rows: tuple[Row, ...]
) -> dict[int, int]:
    """Number changes from the top, old nodes first: each by the last of its nodes."""
    numbers: dict[int, int] = {}
    for row in rows:
        for side, stages in zip(sides, (row.before, row.after), strict=True):
            drawn = {side.change[n] for n in (side.members(stages.start) if stages else ())}
            changed = [n for n in drawn if n >= 0 and changes[n].fate is Fate.CHANGED]
            for number in sorted(changed, key=lambda n: changes[n].before[-1]):
                numbers.setdefault(number, len(numbers) + 1)
    return numbers
