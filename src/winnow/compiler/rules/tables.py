"""What depends on the number of tokens alone -> the first rows of one table.

Position embeddings, however an exporter looks them up, and embeddings of token types where there is
only one. Two of them that are added to the same thing become one table.

    (words + types[zeros]) + positions[range(t)]  ->  words + table[:t]
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import array_of, drop_unused
from winnow.compiler.inputs import POSITIONS, feeds_of, knows_positions, positions_of
from winnow.compiler.passes import Fired, Refused, Run, Values
from winnow.compiler.probe import SHAPE, Probe, dependencies
from winnow.compiler.rules.base import attribute, constant, weight, whole_numbers

NAME = "TabulatedRows"


def tabulated(probe: Probe, run: Run) -> tuple[list[Fired], list[Refused]]:
    """Replace what depends on the number of tokens alone by rows of a table, in place.

    The graph then says how many tokens it takes.
    """
    fired: list[Fired] = []
    refused: list[Refused] = []
    _together(probe)
    drop_unused(probe.model)
    depends = dependencies(probe.model)
    wanted = [v for v in _edges(probe, depends) if _is_rows(probe.of(v))]
    if not wanted:
        return fired, refused
    if not knows_positions(probe.model):
        reason = "how many rows to keep is not known: the graph has no table of positions"
        return fired, [Refused(NAME, _maker(value), reason) for value in wanted]
    longest = positions_of(probe.model)
    names = [value.name or "" for value in wanted]
    [whole] = run(probe.model, [feeds_of(probe.model, 1, longest, 0, full=True)], names)
    for value, rows in zip(wanted, whole, strict=True):
        table = rows.reshape(-1, rows.shape[-1])
        if not _are_spread(probe, value):
            refused.append(Refused(NAME, _maker(value), "it is not only added to each message"))
        elif len(table) != longest or not _are_first_rows(probe.of(value) or [], table):
            refused.append(Refused(NAME, _maker(value), "it is not the first rows of one table"))
        elif not _is_table(value):
            fired.append(Fired(NAME, _replace(probe, value, table)))
            probe.model.metadata_props.setdefault(POSITIONS, str(longest))
    return fired, refused


def _edges(probe: Probe, depends: dict[ir.Value, frozenset[str]]) -> list[ir.Value]:
    """Floats that depend on shapes alone and are used by what depends on more."""
    found = []
    for node in probe.model.graph:
        for value in node.outputs:
            used = [depends[o] for use in value.uses() for o in use.node.outputs]
            if depends[value] == {SHAPE} and any(not d <= {SHAPE} for d in used):
                found.append(value)
    return found


def _maker(value: ir.Value) -> str:
    node = value.producer()
    return "" if node is None else node.name or node.op_type


def _is_table(value: ir.Value) -> bool:
    """Whether a value is the first rows of a constant already, as many as there are tokens."""
    node = value.producer()
    if node is None or node.op_type != "Slice" or whole_numbers(node.inputs[1]) != [0]:
        return False
    end = None if node.inputs[2] is None else node.inputs[2].producer()
    axes = [whole_numbers(v) for v in node.inputs[3:]]
    of_ids = end is not None and end.op_type == "Shape" and attribute(end, "start", 0) == 1
    return of_ids and axes == [[0]] and weight(node.inputs[0]) is not None


def _are_spread(probe: Probe, value: ir.Value) -> bool:
    """Whether rows are only added to something that has the shape of the sum."""
    for use in value.uses():
        other = use.node.inputs[1 - use.idx] if use.node.op_type == "Add" else None
        term, total = probe.of(other), probe.of(use.node.outputs[0])
        if term is None or total is None:
            return False
        if any(a.shape != b.shape for a, b in zip(term, total, strict=False)):
            return False
    return not value.is_graph_output()


def _is_rows(seen: Values | None) -> bool:
    return seen is not None and all(a.dtype == np.float32 and a.ndim in (2, 3) for a in seen)


def _are_first_rows(seen: Values, table: NDArray[np.float32]) -> bool:
    for array in seen:
        tokens = array.shape[-2]
        if not (array == table[:tokens]).all():  # for each message of a batch
            return False
    return True


def _together(probe: Probe) -> None:
    """(x + a) + b -> x + (a + b) where a and b depend on shapes alone."""
    for node in list(probe.model.graph):
        if node.op_type != "Add":
            continue
        for outer in (0, 1):
            inner, rows = node.inputs[outer], node.inputs[1 - outer]
            before = inner.producer() if inner is not None else None
            if before is None or before.op_type != "Add" or not probe.only(rows, SHAPE):
                continue
            if inner is None or len(inner.uses()) != 1:
                continue
            other = [v for v in before.inputs if probe.only(v, SHAPE)]
            [*rest] = [v for v in before.inputs if not probe.only(v, SHAPE)]
            if len(other) == 1 and len(rest) == 1:
                _reassociate(probe, node, outer, rest[0], other[0], rows)
                break


def _reassociate(
    probe: Probe,
    node: ir.Node,
    place: int,
    x: ir.Value | None,
    a: ir.Value | None,
    b: ir.Value | None,
) -> None:
    total = _sum(probe, node, a, b)
    node.replace_input_with(place, x)
    node.replace_input_with(1 - place, total)


def _sum(probe: Probe, node: ir.Node, a: ir.Value | None, b: ir.Value | None) -> ir.Value:
    """What a and b are together, for a node to read."""
    name = f"{node.name}.rows"
    one, other = array_of(a), array_of(b)
    if one is not None and other is not None:
        return constant(probe.model, one + other, name)
    both = ir.node("Add", [a, b], name=name)
    total = both.outputs[0]
    total.name = f"{name}:0"
    probe.model.graph.insert_before(node, both)
    pairs = zip(_values(probe, a), _values(probe, b), strict=False)
    probe.seen[total.name] = [p + q for p, q in pairs]
    return total


def _values(probe: Probe, value: ir.Value | None) -> Values:
    """What a value was, a constant as often as it is needed."""
    array = array_of(value)
    return (probe.of(value) or []) if array is None else [array] * (len(probe.seen[probe.ids]) + 1)


def _replace(probe: Probe, value: ir.Value, table: NDArray[np.float32]) -> str:
    graph = probe.model.graph
    rows = constant(probe.model, np.ascontiguousarray(table), f"{value.name}.table")
    start = constant(probe.model, np.array([0], dtype=np.int64), "ints.0")
    ids = next(v for v in graph.inputs if v.name == probe.ids)
    length = ir.node("Shape", [ids], {"start": 1, "end": 2}, name=f"{value.name}.tokens")
    length.outputs[0].name = f"{value.name}.tokens:0"
    first = ir.node("Slice", [rows, start, length.outputs[0], start], name=f"{value.name}.rows")
    first.outputs[0].name = f"{value.name}.rows:0"
    producer = value.producer()
    assert producer is not None
    graph.insert_after(producer, [length, first])
    probe.seen[first.outputs[0].name] = [table[: a.shape[-2]] for a in probe.of(value) or []]
    ir.convenience.replace_all_uses_with(value, first.outputs[0])
    return first.name or ""
