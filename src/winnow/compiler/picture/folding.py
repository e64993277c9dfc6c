"""Layers that are the same, so that one of them stands for all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from winnow.compiler.picture.layers import Stages
from winnow.compiler.picture.nodes import Sketch


def forms_of(sketch: Sketch, stages: Stages, marks: Sequence[Hashable]) -> list[Hashable]:
    """What each stage looks like, equal for stages that are drawn alike.

    A node looks like its operator, its constants' shapes, its mark and what it reads; of values
    from other stages only whether they are on the thread. Names count for nothing, nor does the
    order in which an exporter wrote nodes.

    Args:
        sketch: the graph.
        stages: of it.
        marks: what else tells one node from another.
    """
    makers = sketch.makers()
    looks: list[int] = []
    known: dict[Hashable, int] = {}
    for n, node in enumerate(sketch.nodes):
        read: list[Hashable] = []
        for value in node.inputs:
            maker = makers.get(value)
            inside = maker is not None and stages.of[maker] == stages.of[n]
            read.append(looks[maker] if inside and maker is not None else value in stages.thread)
        look = (node.op, node.weights, node.shape, marks[n], inside_last(read))
        looks.append(known.setdefault(look, len(known)))
    found: list[list[int]] = [[] for _ in stages.names]
    for n, look_number in enumerate(looks):
        found[stages.of[n]].append(look_number)
    return [tuple(sorted(numbers)) for numbers in found]


def inside_last(read: list[Hashable]) -> tuple[tuple[str, Hashable], ...]:
    """Tell numbers of nodes from truth values, which Python holds for equal (1 == True)."""
    return tuple((type(one).__name__, one) for one in read)


def runs_of(names: Sequence[str], forms: Sequence[Hashable]) -> list[range]:
    """Stages in runs of neighbours that are alike; a run of more than one is drawn once."""
    runs: list[range] = []
    for n, form in enumerate(forms):
        layer = names[n].startswith("layer")
        if runs and layer and names[n - 1].startswith("layer") and forms[n - 1] == form:
            runs[-1] = range(runs[-1].start, n + 1)
        else:
            runs.append(range(n, n + 1))
    return runs
