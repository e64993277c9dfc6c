"""The words of a picture: names of stages, counts, what became of what."""

from __future__ import annotations

from collections import Counter

from winnow.compiler.picture.changes import Change, Fate
from winnow.compiler.picture.nodes import Kind, Node
from winnow.compiler.picture.story import Row, Side, Story

_LARGE_BYTES = 1000  # fewer are no weights worth a word
_NAMED = 3  # new nodes of one change; of more only the weightiest is named


def size_text(count: int) -> str:
    """Bytes for a person: 812 B, 262 kB, 15.4 MB."""
    if count >= 999_500:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e3:.0f} kB" if count >= 1e3 else f"{count} B"


def nodes_text(count: int) -> str:
    """A number of nodes."""
    return "1 node" if count == 1 else f"{count:,} nodes"


def headline(story: Story) -> str:
    """What a picture shows, in one line."""
    before = nodes_text(len(story.before.sketch.nodes))
    return before if story.after is None else f"{before} → {len(story.after.sketch.nodes):,}"


def stage_name(side: Side, stages: range) -> str:
    """Name of stages that are drawn as one: "layers 0 to 3"."""
    names = [side.stages.names[n] for n in (stages[0], stages[-1])]
    if names[0] == names[1]:
        return names[0]
    return f"layers {names[0].removeprefix('layer ')} to {names[1].removeprefix('layer ')}"


def stage_count(side: Side, stages: range) -> str:
    """How many nodes they have: "4 × 42 nodes"."""
    count = nodes_text(len(side.members(stages.start)))
    return f"{len(stages)} × {count}" if len(stages) > 1 else count


def row_text(story: Story, row: Row) -> str:
    """A row in one line: "layers 0 to 3: 4 × 42 nodes → 4 × 7"."""
    told = [
        stage_count(side, stages) if side and stages else "nothing"
        for side, stages in ((story.before, row.before), (story.after, row.after))
    ]
    named = (story.before, row.before) if row.before else (story.after, row.after)
    name = stage_name(named[0] or story.before, named[1])
    if story.after is None:
        return f"{name}: {told[0]}"
    return f"{name}: {told[0]} → {told[1].removesuffix(' nodes').removesuffix(' node')}"


def row_changes(story: Story, row: Row) -> list[str]:
    """What became of what in a row: "31 -> Attention"; what was only done away with comes last."""
    members = story.before.members(row.before.start) if row.before else []
    numbers = dict.fromkeys(story.before.change[n] for n in members)
    changes = [story.changes[number] for number in numbers if number >= 0]
    # A change that reaches into the next stage is told once, where it begins.
    changes = [c for c in changes if story.before.stages.of[c.before[0]] in row.before]
    changes.sort(key=lambda change: change.before[-1])
    counts = Counter(f"{len(c.before)} -> {became(c)}" for c in changes if c.fate is Fate.CHANGED)
    told = [text if times == 1 else f"{text} ({times} times)" for text, times in counts.items()]
    gone = sum(len(c.before) for c in changes if c.fate is Fate.GONE)
    return [*told, f"{gone} no longer computed"] if gone else told


def became(change: Change) -> str:
    """The new nodes: "Attention", "Add, Shape and Slice", "MatMulInteger and 5 more"."""
    if len(change.ops) > _NAMED:
        return f"{change.ops[0]} and {len(change.ops) - 1} more"
    counts = Counter(change.ops)
    *most, last = [op if count == 1 else f"{count} {op}" for op, count in counts.items()]
    return f"{', '.join(most)} and {last}" if most else last


def frame_text(change: Change, *, newer: bool) -> str:
    """What stands above a frame."""
    if change.fate is Fate.GONE:
        return "no longer computed"
    if change.fate is Fate.NEW:
        return "new"
    count = nodes_text(len(change.before))
    return f"was {count}" if newer else f"{count} become {became(change)}"


def second_line(node: Node, was: int) -> str:
    """What stands below a node's operator.

    Args:
        node: the node.
        was: how many nodes became it, 0 where it is as it was.
    """
    parts = [f"was {nodes_text(was)}"] if was else []
    parts += [node.shape] if node.shape else []
    parts += [size_text(node.weight_bytes)] if node.weight_bytes >= _LARGE_BYTES else []
    return " · ".join(parts)


def about(node: Node) -> str:
    """All about a node, for its tooltip."""
    parts = [f"{node.op} {node.name}".strip(), node.kind.value]
    if node.shape:
        parts.append(f"makes {node.shape}")
    if node.weights:
        parts.append(f"constants {', '.join(node.weights)} ({size_text(node.weight_bytes)})")
    if node.rules:
        parts.append(f"made by {', '.join(node.rules)}")
    return "; ".join(parts)


def port_texts(side: Side, members: list[int]) -> tuple[list[str], dict[str, str]]:
    """What passes the edges of a stage.

    Returns:
        values that leave it, and words for those that come or go otherwise than on the thread.
    """
    inside, sketch = set(members), side.sketch
    makers, readers = sketch.makers(), sketch.readers()
    words: dict[str, str] = {}
    exits = []
    for n in members:
        for value in sketch.nodes[n].inputs:
            maker = makers.get(value)
            if maker not in inside and value not in side.stages.thread:
                origin = None if maker is None else side.stages.names[side.stages.of[maker]]
                words[value] = value if origin is None else f"from {origin}"
        for value in sketch.nodes[n].outputs:
            away = sorted({side.stages.of[r] for r in readers.get(value, ()) if r not in inside})
            if value in sketch.outputs:
                words[value] = value
            elif away and value not in side.stages.thread:
                words[value] = f"to {stage_name(side, range(away[0], away[-1] + 1))}"
            if away or value in sketch.outputs:
                exits.append(value)
    return exits, {value: _short(word) for value, word in words.items()}


def kinds_of(story: Story) -> list[Kind]:
    """Kinds that a picture shows, in the order of the legend."""
    sides = [side for side in (story.before, story.after) if side]
    shown = {node.kind for side in sides for node in side.sketch.nodes}
    return [kind for kind in Kind if kind in shown]


def _short(words: str, most: int = 24) -> str:
    return words if len(words) <= most else f"{words[: most // 2]}…{words[1 - most // 2 :]}"
