"""What depends on the number of tokens alone -> the first rows of one table.

Position embeddings, however an exporter looks them up, and embeddings of token types where there is
only one. Two of them that are added to the same thing become one table.

    (words + types[zeros]) + positions[range(t)]  ->  words + table[:t]
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import drop_unused
from winnow.compiler.inputs import feeds_of, positions_of
from winnow.compiler.passes import Fired, Run, Values
from winnow.compiler.probe import SHAPE, Probe, dependencies
from winnow.compiler.rules.base import constant

NAME = "TabulatedRows"


def tabulated(probe: Probe, run: Run) -> list[Fired]:
    """Replace what depends on the number of tokens alone by rows of a table, in place."""
    _together(probe)
    drop_unused(probe.model)
    depends = dependencies(probe.model)
    wanted = [v for v in _edges(probe, depends) if _is_rows(probe.of(v))]
    if not wanted:
        return []
    longest = positions_of(probe.model)
    names = [value.name or "" for value in wanted]
    [whole] = run(probe.model, [feeds_of(probe.model, 1, longest, 0, full=True)], names)
    found = []
    for value, rows in zip(wanted, whole, strict=True):
        table = rows.reshape(-1, rows.shape[-1])
        if len(table) == longest and _are_first_rows(probe.of(value) or [], table):
            found.append(Fired(NAME, _replace(probe, value, table)))
    return found


def _edges(probe: Probe, depends: dict[ir.Value, frozenset[str]]) -> list[ir.Value]:
    """Floats that depend on shapes alone and are used by what depends on more."""
    found = []
    for node in probe.model.graph:
        for value in node.outputs:
            used = [depends[o] for use in value.uses() for o in use.node.outputs]
            if depends[value] == {SHAPE} and any(not d <= {SHAPE} for d in used):
                found.append(value)
    return found


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
    both = ir.node("Add", [a, b], name=f"{node.name}.rows")
    total = both.outputs[0]
    total.name = f"{node.name}.rows:0"
    probe.model.graph.insert_before(node, both)
    one, other = probe.of(a), probe.of(b)
    if one is not None and other is not None:
        probe.seen[total.name] = [p + q for p, q in zip(one, other, strict=True)]
    node.replace_input_with(place, x)
    node.replace_input_with(1 - place, total)


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
