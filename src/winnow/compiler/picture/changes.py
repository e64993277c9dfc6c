"""Two graphs -> what became of what: exact where values keep their names, as in all of our passes.

A value that both graphs make is a landmark. A node belongs to the landmarks that it serves: those
that its results reach without passing by another one. Nodes of the old graph and nodes of the new
one that serve the same landmarks do the same work: these became those. So fourteen nodes are seen
to have become one Attention, a mask that four layers share to have become one Cast, and what
serves only what another change has done away with to be no longer computed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from winnow.compiler.picture.nodes import Kind, Node, Sketch


class Fate(StrEnum):
    """What happened to a group of nodes."""

    KEPT = "kept"
    CHANGED = "changed"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Change:
    """Nodes that do the same work in both graphs.

    Attributes:
        fate: what happened.
        before: places of nodes in the old graph.
        after: places of nodes in the new graph.
        rules: that made the new nodes, as far as they say.
        kind: of the weightiest of the new nodes, or of the old where there is no new one.
        ops: operators of the new nodes, weightiest first.
    """

    fate: Fate
    before: tuple[int, ...]
    after: tuple[int, ...]
    rules: tuple[str, ...]
    kind: Kind
    ops: tuple[str, ...]


_NOTHING = 0  # the key of nodes that serve no landmark
# Of several nodes that a change made, the one that it is called after; then that of most weights.
_WEIGHT = (
    Kind.ATTENTION, Kind.INTEGER, Kind.NORM, Kind.LOOK_UP, Kind.PRODUCT, Kind.ACTIVATION,
    Kind.ARITHMETIC, Kind.SHAPE,
)  # fmt: skip


def changes_of(before: Sketch, after: Sketch) -> tuple[Change, ...]:
    """Compare two graphs.

    Returns:
        groups in the order of the old graph, then those that are only in the new one; each node of
        both is in one group. None where the graphs share no value: nothing can be told.
    """
    shared = _landmarks(before, after)
    if not shared:
        return ()
    roots = _joined(shared, before, after)
    old, new = _served(before, roots), _served(after, roots)
    useless = old.pop(_NOTHING, []), new.pop(_NOTHING, [])  # these have nothing to do with another
    pairs = [(old.get(key, []), new.get(key, [])) for key in dict.fromkeys(old | new)]
    pairs += [(useless[0], [])] if useless[0] else []
    pairs += [([], useless[1])] if useless[1] else []
    return tuple(_change(before, after, *pair) for pair in pairs)


def _landmarks(before: Sketch, after: Sketch) -> list[str]:
    """Values that both graphs make; a name that two different shapes have is a coincidence."""
    made = after.makers()
    return [
        value
        for node in before.nodes
        for value in node.outputs
        if value in made and _may_be_one(before.shapes.get(value), after.shapes.get(value))
    ]


def _may_be_one(one: str | None, other: str | None) -> bool:
    return not one or not other or one.count("×") == other.count("×")


def _joined(shared: list[str], before: Sketch, after: Sketch) -> dict[str, int]:
    """Landmark -> its number; those that one node makes, in either graph, have one."""
    numbers = {value: n for n, value in enumerate(shared)}
    parent = list(range(len(shared)))

    def root(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    for sketch in (before, after):
        for node in sketch.nodes:
            ours = [numbers[value] for value in node.outputs if value in numbers]
            for n in ours[1:]:
                parent[max(root(n), root(ours[0]))] = min(root(n), root(ours[0]))
    return {value: root(n) for value, n in numbers.items()}


def _served(sketch: Sketch, roots: dict[str, int]) -> dict[int, list[int]]:
    """Set of landmarks, as bits of a number -> places of the nodes that serve just these."""
    readers = sketch.readers()
    keys = [0] * len(sketch.nodes)
    for n in reversed(range(len(keys))):
        for value in sketch.nodes[n].outputs:
            if value in roots:
                keys[n] |= 1 << roots[value]
            else:
                for reader in readers.get(value, ()):
                    keys[n] |= keys[reader]
    found: dict[int, list[int]] = {}
    for n, key in enumerate(keys):
        found.setdefault(key, []).append(n)
    return found


def _change(before: Sketch, after: Sketch, old: list[int], new: list[int]) -> Change:
    made = [after.nodes[n] for n in new]
    shown = sorted(
        made or [before.nodes[n] for n in old],
        key=lambda node: (_WEIGHT.index(node.kind), -node.weight_bytes),
    )
    return Change(
        fate=_fate([before.nodes[n] for n in old], made),
        before=tuple(old),
        after=tuple(new),
        rules=tuple(dict.fromkeys(rule for node in made for rule in node.rules)),
        kind=shown[0].kind,
        ops=tuple(node.op for node in shown) if made else (),
    )


def _fate(old: list[Node], new: list[Node]) -> Fate:
    if not old or not new:
        return Fate.NEW if new else Fate.GONE
    if len(old) == len(new) and _alike(old) == _alike(new):
        return Fate.KEPT
    return Fate.CHANGED


def _alike(nodes: list[Node]) -> Counter[tuple[str, tuple[str, ...]]]:
    return Counter((node.op, node.rules) for node in nodes)
