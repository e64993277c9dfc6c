"""How many axes values have: right where it is said, and silent where it is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.compiler.exports import Spelling, Writer, bert, sketch
from winnow.compiler.axes import axes_of
from winnow.compiler.fold import folded
from winnow.compiler.graph import copied
from winnow.compiler.inputs import feeds_of
from winnow.recipe_compile import run_graph

SPELLINGS = [
    Spelling(),
    Spelling(kinds="input", pooled="mean", gelu="tanh"),
    Spelling(keys="three", mask="infinite", norm="spelt out"),
    Spelling(positions="counted", kinds="zeros"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("fold", [False, True])
def test_what_is_said_is_so(spelling: Spelling, fold: bool) -> None:
    """Every number against what the value really has; of a folded graph all are known."""
    model = bert(spelling, layers=1, positions=32)
    model = folded(copied(model), run_graph).model if fold else model
    axes = axes_of(model)
    names = [v.name for node in model.graph for v in node.outputs]
    [values] = run_graph(model, [feeds_of(model, 2, 5, 1)], names)
    seen = dict(zip(names, (value.ndim for value in values), strict=True))
    said = {v.name: axes[v] for node in model.graph for v in node.outputs if v in axes}
    assert {name: seen[name] for name in said} == said
    if fold and spelling.positions != "counted" and spelling.pooled == "first":
        assert set(seen) - set(said) <= {v.name for n in model.graph if n.op_type == "Shape"
                                         for v in n.outputs}  # fmt: skip


def test_what_is_not_known_is_not_said() -> None:
    """A target that is computed, and all that is made of it."""

    def write(to: Writer) -> Any:
        y = to.Reshape(to.looked_up(), to.Concat(to.Shape(to.ids), to.ints(-1), axis=0))
        return to.Add(to.Tanh(y), to.number(1.0)), to.Neg(y)

    model = sketch(write)
    axes = axes_of(model)
    reshaped = next(i for i, node in enumerate(model.graph) if node.op_type == "Reshape")
    assert all(node.outputs[0] not in axes for node in list(model.graph)[reshaped:])


def test_a_product_with_a_vector_is_not_guessed() -> None:
    """It takes an axis away."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        return to.MatMul(x, to.weight("vector", 16)), to.MatMul(x, to.weight("matrix", 16, 4))

    model = sketch(write)
    one, other = (node.outputs[0] for node in model.graph if node.op_type == "MatMul")
    assert one not in axes_of(model)
    assert axes_of(model)[other] == 3


def test_axes_that_come_and_go() -> None:
    """Unsqueeze adds as many as it is told, Squeeze takes away, Gather puts in."""

    def write(to: Writer) -> Any:
        wide = to.Unsqueeze(to.looked_up(), to.ints(0, 4))
        narrow = to.Squeeze(wide, to.ints(0))
        return wide, narrow, to.Gather(narrow, to.ids, axis=2)

    model = sketch(write, replace(Spelling(), mask="none"))
    assert [axes_of(model)[output] for output in model.graph.outputs] == [5, 4, 5]
