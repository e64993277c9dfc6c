"""On what a value depends is certain; what it was is evidence, and nothing is fooled by it here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, Writer, bert, ir, sketch
from winnow.compiler.inputs import IDS, KINDS, MASK, SCORE
from winnow.compiler.probe import SHAPE, Probe, dependencies, probed
from winnow.recipe_compile import run_graph

ALL = Spelling(kinds="input")
BARE = Spelling(mask="none")


def _depends(build: Any, spelling: Spelling = ALL) -> set[str]:
    model = sketch(build, spelling)
    return set(dependencies(model)[model.graph.outputs[0]])


def _tokens(to: Writer) -> Any:
    return to.Slice(to.Shape(to.ids), to.ints(1), to.ints(2), to.ints(0))


def _number(to: Writer) -> Any:
    """A number of one axis that depends on a token."""
    return to.ReduceMin(to.Reshape(to.ids, to.ints(-1)), keepdims=1)


@pytest.mark.parametrize(
    ("build", "depends"),
    [
        (lambda to: to.Neg(to.number(1.0)), set()),
        (lambda to: to.Neg(to.Cast(_tokens(to), to=1)), {SHAPE}),
        (lambda to: to.Cast(to.Shape(to.looked_up()), to=1), {SHAPE}),
        (lambda to: to.Cast(to.Size(to.inputs[1]), to=1), {SHAPE}),
        (lambda to: to.Cast(to.inputs[1], to=1), {MASK, SHAPE}),
        (lambda to: to.looked_up(), {IDS, SHAPE}),
        (lambda to: to.Gather(to.weight("types", 2, 4), to.inputs[2]), {KINDS, SHAPE}),
        (
            lambda to: to.Mul(to.Cast(to.inputs[1], to=1), to.Cast(to.ids, to=1)),
            {IDS, MASK, SHAPE},
        ),
        (lambda to: to.Expand(to.number(1.0), to.Shape(to.ids)), {SHAPE}),
        (lambda to: to.ConstantOfShape(to.Shape(to.ids)), {SHAPE}),
        # a shape of what has the tokens in it, and one that a token decides
        (lambda to: to.Cast(to.Shape(to.ConstantOfShape(_number(to))), to=1), {IDS, SHAPE}),
        (lambda to: to.Cast(to.Shape(to.Reshape(to.number(1.0), _number(to))), to=1), {IDS, SHAPE}),
        (lambda to: to.Cast(to.Shape(to.Expand(to.number(1.0), _number(to))), to=1), {IDS, SHAPE}),
        (lambda to: to.Cast(to.Shape(to.NonZero(to.ids)), to=1), {IDS, SHAPE}),
        (
            lambda to: to.Cast(
                to.Shape(
                    to.Slice(to.weight("t", 9, 4), to.ints(0), _number(to), to.ints(0))
                ),
                to=1,
            ),
            {IDS, SHAPE},
        ),
        (lambda to: to.Cast(to.Shape(to.Tile(to.weight("t", 9), _number(to))), to=1), {IDS, SHAPE}),
        (
            lambda to: to.Cast(
                to.Shape(to.Range(to.constant("z", np.int64(0)), to.ReduceMin(to.ids, keepdims=0),
                                  to.constant("o", np.int64(1)))), to=1),
            {IDS, SHAPE},
        ),
        (
            lambda to: to.Cast(
                to.Shape(to.Pad(to.weight("t", 9), to.Concat(_number(to), to.ints(0), axis=0))),
                to=1,
            ),
            {IDS, SHAPE},
        ),
        (lambda to: to.Cast(to.Shape(to.Compress(to.ids, to.Cast(to.ids, to=9))), to=1),
         {IDS, SHAPE}),
    ],
)  # fmt: skip
def test_on_what_a_value_depends(build: Any, depends: set[str]) -> None:
    """Nothing, shapes, the mask, the tokens; through a shape that a token decides, too."""
    assert _depends(build) == depends


def test_chance_depends_on_chance() -> None:
    """Nothing that is drawn is ever a constant."""
    drawn = _depends(lambda to: to.RandomNormal(shape=[2, 2]))
    assert drawn
    assert not drawn & {IDS, MASK, KINDS, SHAPE}
    drawn = _depends(lambda to: to.RandomNormalLike(to.looked_up()))
    assert drawn > {IDS, SHAPE}


def test_an_input_that_has_a_default_is_no_constant() -> None:
    """A caller may give another."""
    model = bert(BARE, layers=1)
    table = model.graph.initializers["words.table"]
    model.graph.inputs.append(table)
    depends = dependencies(model)
    assert depends[table] not in (frozenset(), frozenset({SHAPE}))
    probe = Probe(model, depends, {}, None, "input_ids", "")
    assert not probe.only(table, SHAPE)
    assert probe.only(model.graph.initializers["position.table"])


def test_scores_are_what_they_are() -> None:
    """The first stage's numbers are no text, and no shape either."""
    model = sketch(lambda to: to.looked_up(), BARE)
    model.graph.inputs.append(ir.val("reflex", ir.DataType.FLOAT, ["b"]))
    assert dependencies(model)[model.graph.inputs[-1]] == {SCORE, SHAPE}


def test_only() -> None:
    """At most these things; a value that nobody made depends on who knows what."""
    model = bert(layers=1)
    probe = probed(model, run_graph)
    ids, mask = model.graph.inputs
    assert probe.only(ids, IDS, SHAPE)
    assert not probe.only(ids, SHAPE)
    assert not probe.only(mask, IDS, SHAPE)
    assert not probe.only(None, IDS, MASK, SHAPE)
    assert not probe.only(ir.Value(name="stray"), IDS, MASK, SHAPE)
    assert probe.of(None) is None
    assert probe.of(ir.Value(name="stray")) is None


def test_what_was_seen_is_what_the_graph_computes() -> None:
    """For each of several shapes, and for a long message where no token is needed."""
    model = bert(ALL, layers=1, positions=24)
    probe = probed(model, run_graph)
    shapes = [array.shape for array in probe.seen["input_ids"]]
    assert shapes == [(2, 5), (3, 7), (1, 11), (5, 3), (2, 1)]
    depends = dependencies(model)
    for node in model.graph:
        for value in node.outputs:
            seen = probe.of(value)
            assert seen is not None, value.name
            tokens = bool(depends[value] & {IDS, KINDS})
            assert len(seen) == len(shapes) + (not tokens), value.name
    masks = probe.masks
    assert masks is not None
    assert [array.shape for array in masks] == [*shapes, (1, 24)]
    assert set(np.concatenate([array.ravel() for array in masks])) == {0, 1}


def test_a_mask_has_holes_anywhere() -> None:
    """A mask that counted tokens from the first would pass for one that looks at each."""
    model = bert(layers=1)
    masks = probed(model, run_graph).masks
    assert masks is not None
    assert any((np.diff(row) > 0).any() for mask in masks for row in mask)


@pytest.mark.parametrize(("positions", "longest"), [(4, 4), (24, 24), (700, 512)])
def test_the_long_message_is_as_long_as_is_cheap(positions: int, longest: int) -> None:
    """Never longer than the graph takes."""
    model = bert(layers=1, positions=positions)
    masks = probed(model, run_graph).masks
    assert masks is not None
    assert masks[-1].shape == (1, longest)
    assert all(mask.shape[1] <= longest for mask in masks)


def test_a_graph_of_one_shape_is_seen_in_that_shape() -> None:
    """It would not run in another."""
    model = bert(layers=1)
    for value in model.graph.inputs:
        value.shape = ir.Shape([1, 8])
    seen = probed(model, run_graph).seen["input_ids"]
    assert {array.shape for array in seen} == {(1, 8)}


def test_the_same_graph_is_seen_the_same() -> None:
    """Nothing of a compilation is left to chance."""
    one, other = (probed(bert(layers=1), run_graph).seen for _ in range(2))
    assert one.keys() == other.keys()
    for name, arrays in one.items():
        assert all(np.array_equal(a, b) for a, b in zip(arrays, other[name], strict=True))


def test_what_never_changes_is_kept_once() -> None:
    """Weights that are turned when the graph runs may be large."""

    def write(to: Writer) -> Any:
        kernel = to.Transpose(to.weight("kernel", 8, 16), perm=[1, 0])
        return to.MatMul(to.looked_up(), kernel)

    model = sketch(write, replace(BARE))
    [turned] = [n.outputs[0] for n in model.graph if n.op_type == "Transpose"]
    seen = probed(model, run_graph).of(turned)
    assert seen is not None
    assert all(array is seen[0] for array in seen)
