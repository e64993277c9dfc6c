"""A story as plain values, for programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from winnow.compiler.picture.changes import Change, Fate
from winnow.compiler.picture.story import Side, Story


def told(story: Story) -> dict[str, Any]:
    """Counts of both graphs, stage by stage, and every change; JSON values only."""
    changed = [change for change in story.changes if change.fate is not Fate.KEPT]
    return {
        "model": story.name,
        "before": _side(story.before),
        "after": None if story.after is None else _side(story.after),
        "changes": [_change(story, change) for change in changed],
    }


def _side(side: Side) -> dict[str, Any]:
    nodes = side.sketch.nodes
    return {
        "nodes": len(nodes),
        "constant_bytes": side.sketch.weight_bytes,
        "kinds": dict(Counter(node.kind.value for node in nodes)),
        "stages": [
            {
                "name": name,
                "nodes": len(side.members(stage)),
                "operators": dict(Counter(nodes[n].op for n in side.members(stage))),
            }
            for stage, name in enumerate(side.stages.names)
        ],
    }


def _change(story: Story, change: Change) -> dict[str, Any]:
    old, new = story.before, story.after
    assert new is not None
    return {
        "what": change.fate.value,
        "stages": [
            *dict.fromkeys(old.stages.names[old.stages.of[n]] for n in change.before),
            *(new.stages.names[new.stages.of[n]] for n in change.after if not change.before),
        ],
        "before": [_node(old, n) for n in change.before],
        "after": [_node(new, n) for n in change.after],
        "rules": list(change.rules),
    }


def _node(side: Side, n: int) -> dict[str, str]:
    node = side.sketch.nodes[n]
    return {"operator": node.op, "name": node.name}
