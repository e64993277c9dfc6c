"""A graph's layers, found from its wiring alone, so that names and exporters do not matter.

An encoder's layers hang on one thread: the value that each of them reads and gives (the residual
stream). Every way from the words to the answer leads through it, so a node that no way passes
by is on the thread, and a layer begins at the last such node before its attention. Edges out of
Shape do not count: a size is no text.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from winnow.compiler.picture.nodes import Kind, Node, Sketch

_ANCHORS = frozenset(
    {"Softmax", "BiasSoftmax", "Attention", "MultiHeadAttention", "GroupQueryAttention",
     "QAttention", "PackedAttention", "PackedMultiHeadAttention"}
)  # fmt: skip
_SIZES = frozenset({"Shape", "Size"})
_BLOCKS = 2  # of a layer, each with a way around it: attention, then feed-forward
_NORMS = (Kind.NORM, Kind.ARITHMETIC)  # a norm may be spelt out


@dataclass(frozen=True, slots=True)
class Stages:
    """A graph cut into stages: what comes before the layers, each layer, what comes after.

    Attributes:
        names: of the stages.
        of: stage of each node.
        thread: values that enter a layer.
    """

    names: tuple[str, ...]
    of: tuple[int, ...]
    thread: frozenset[str]


def stages_of(sketch: Sketch) -> Stages:
    """Cut a graph into its stages; one whose wiring is no encoder's is one stage."""
    order = _on_the_way(sketch)
    starts = _starts(sketch, order)
    if not starts:
        return Stages(("graph",), (0,) * len(sketch.nodes), frozenset())
    ends = [*starts, _end(sketch, order, starts)]
    places = {n: place for place, n in enumerate(order)}
    stage = [-1] * len(sketch.nodes)
    for n in order:
        stage[n] = sum(places[n] > places[end] for end in ends)
    _place_the_rest(sketch, stage)
    layers = [f"layer {n}" for n in range(len(starts))]
    thread = frozenset(sketch.nodes[n].outputs[0] for n in ends)
    return Stages(("embeddings", *layers, "head"), tuple(stage), thread)


def _on_the_way(sketch: Sketch) -> list[int]:
    """Nodes on a way of values from the words to the answer, in order.

    Words come out of the largest table; the answer is the output that most nodes lead to.
    """
    makers = sketch.makers()
    tables = [n for n, node in enumerate(sketch.nodes) if _is_table(node)]
    above = [_leading(sketch, makers[v], makers) for v in sketch.outputs if v in makers]
    if not tables or not above:
        return []
    words = max(tables, key=lambda n: sketch.nodes[n].weight_bytes)
    return sorted(_reached(sketch, words) & max(above, key=len))


def _is_table(node: Node) -> bool:
    return node.kind is Kind.LOOK_UP or node.op == "QEmbedLayerNormalization"


def _is_work(node: Node) -> bool:
    return node.kind in (Kind.PRODUCT, Kind.ATTENTION, Kind.INTEGER)


def _reached(sketch: Sketch, first: int) -> set[int]:
    readers = sketch.readers()
    found = {first}
    left = [first]
    while left:
        for value in sketch.nodes[left.pop()].outputs:
            for n in readers.get(value, ()):
                if n not in found and sketch.nodes[n].op not in _SIZES:
                    found.add(n)
                    left.append(n)
    return found


def _leading(sketch: Sketch, last: int, makers: dict[str, int]) -> set[int]:
    found = {last}
    left = [last]
    while left:
        for value in sketch.nodes[left.pop()].inputs:
            n = makers.get(value)
            if n is not None and n not in found and sketch.nodes[n].op not in _SIZES:
                found.add(n)
                left.append(n)
    return found


def _narrow(sketch: Sketch, order: list[int]) -> list[int]:
    """Nodes that every way leads through: no edge passes over them in the order."""
    places = {n: place for place, n in enumerate(order)}
    readers = sketch.readers()
    found, reach = [], 0
    for place, n in enumerate(order):
        if reach <= place:
            found.append(n)
        for value in sketch.nodes[n].outputs:
            ahead = [places[r] for r in readers.get(value, ()) if r in places]
            reach = max([reach, *ahead])
    return found


def _starts(sketch: Sketch, order: list[int]) -> list[int]:
    """For each attention, the last node before it that every way leads through."""
    narrow = _narrow(sketch, order)
    found = []
    for n in order:
        if sketch.nodes[n].op in _ANCHORS:
            found += narrow[: bisect_left(narrow, n)][-1:]
    return list(dict.fromkeys(found))


def _end(sketch: Sketch, order: list[int], starts: list[int]) -> int:
    """Where the last layer ends: it is like those before it, or else has both of its blocks."""
    narrow = _narrow(sketch, order)
    after = narrow[narrow.index(starts[-1]) :]
    if len(starts) > 1:
        length = narrow.index(starts[-1]) - narrow.index(starts[-2])
        return after[min(length, len(after) - 1)]
    places = {n: place for place, n in enumerate(order)}
    blocks, end = 0, after[0]
    for one, other in pairwise(after):
        around = [sketch.nodes[n] for n in order[places[one] + 1 : places[other]]]
        if any(_is_work(node) for node in around):
            blocks += 1
        elif blocks == _BLOCKS and sketch.nodes[other].kind not in _NORMS:
            break
        if blocks > _BLOCKS:
            break
        end = other
    return end


def _place_the_rest(sketch: Sketch, stage: list[int]) -> None:
    """Put nodes of masks and shapes where they are read, or, where several stages do, early."""
    readers, makers = sketch.readers(), sketch.makers()
    several: set[int] = set()
    for n in reversed(range(len(stage))):
        if stage[n] < 0:
            after = [r for value in sketch.nodes[n].outputs for r in readers.get(value, ())]
            wanted = {stage[r] for r in after}
            stage[n] = min(wanted, default=-2)
            if len(wanted) > 1 or any(r in several for r in after):
                several.add(n)
    for n in sorted(several | {n for n, s in enumerate(stage) if s < 0}):
        before = [stage[makers[v]] for v in sketch.nodes[n].inputs if v in makers]
        stage[n] = max(before, default=0)
