"""What became of what: exact, by the names of values that both graphs make."""

from __future__ import annotations

from typing import Any

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import Builder, encoder, fused_encoder, given, model_of  # noqa: E402
from winnow.compiler.picture.changes import Change, Fate, changes_of  # noqa: E402
from winnow.compiler.picture.nodes import Kind, Sketch, sketch_of  # noqa: E402


def _compared(before: Any, after: Any) -> tuple[Sketch, Sketch, tuple[Change, ...]]:
    old, new = sketch_of(before), sketch_of(after)
    return old, new, changes_of(old, new)


def _names(sketch: Sketch, places: tuple[int, ...]) -> set[str]:
    return {sketch.nodes[n].name for n in places}


def test_a_fused_encoder() -> None:
    """Of each layer eleven nodes became Attention, two BiasGelu; a shared mask became one Cast."""
    old, new, changes = _compared(encoder(), fused_encoder())
    changed = {c.ops: c for c in changes if c.fate is Fate.CHANGED}
    parts = ("query", "key", "value")
    attention = {f"layer1.{part}" for part in (*parts, "turned", "scores", "masked", "shares")}
    attention |= {f"layer1.{part}.product" for part in parts} | {"layer1.mixed"}
    last = changed["Attention",]
    assert _names(old, last.before) == attention
    assert _names(new, last.after) == {"layer1.mixed"}
    assert (last.kind, last.rules) == (Kind.ATTENTION, ("Pack", "FuseAttention"))
    assert _names(old, changed["Cast",].before) == {"mask.cast", "mask.mul", "mask.apart"}
    assert _names(old, changed["BiasGelu",].before) == {"layer1.up", "layer1.gelu"}
    assert sum(c.fate is Fate.CHANGED for c in changes) == 5
    assert {c.fate for c in changes} == {Fate.CHANGED, Fate.KEPT}


@pytest.mark.parametrize(
    ("before", "after"),
    [(encoder, fused_encoder), (fused_encoder, encoder), (encoder, encoder)],
)
def test_each_node_is_in_one_group(before: Any, after: Any) -> None:
    """Nothing is left out of the picture, and nothing is told twice."""
    old, new, changes = _compared(before(), after())
    assert sorted(n for c in changes for n in c.before) == list(range(len(old.nodes)))
    assert sorted(n for c in changes for n in c.after) == list(range(len(new.nodes)))


def test_a_change_is_called_after_its_weightiest_node() -> None:
    """A rounded product is called after its product, not after the rounding before it."""

    def build(*, rounded: bool) -> Any:
        build, x = Builder(), given("x", "batch", 4)
        kernel = build.constant("w", 4, 4)
        if not rounded:
            return model_of(build, [x], [build.op("MatMul", x, kernel, name="y")])
        steps = build.op("DynamicQuantizeLinear", x, name="steps")
        whole = build.op("MatMulInteger", steps, kernel, name="whole")
        return model_of(build, [x], [build.op("Cast", whole, name="y", to=ir.DataType.FLOAT)])

    (change,) = _compared(build(rounded=False), build(rounded=True))[2]
    assert change.ops == ("MatMulInteger", "DynamicQuantizeLinear", "Cast")
    assert change.kind is Kind.INTEGER


def test_the_same_graph_is_kept() -> None:
    """No change is seen where there is none."""
    assert {change.fate for change in _compared(encoder(), encoder())[2]} == {Fate.KEPT}


def test_another_operator_in_the_same_place_is_a_change() -> None:
    """One node for one node is a change where it is another operator, and none where it is not."""

    def build(op: str) -> Any:
        build, x = Builder(), given("x", "batch", 4)
        return model_of(build, [x], [build.op(op, x, name="y")])

    assert _compared(build("Gelu"), build("FastGelu"))[2][0].fate is Fate.CHANGED
    assert _compared(build("Gelu"), build("Gelu"))[2][0].fate is Fate.KEPT


def test_what_serves_several_is_a_group_of_its_own() -> None:
    """What two values share, before and after, is told apart from what only one of them has."""

    def build(*, shaped: bool) -> Any:
        build, x = Builder(), given("x", "batch", 4)
        both = build.op("Shape" if shaped else "Round", x, name="a" if shaped else "b")
        ends = []
        for name in ("one", "two"):
            inner = build.op("Neg", both, name=f"{name}.{shaped}")
            ends.append(build.op("Reshape" if shaped else "Abs", inner, name=name))
        return model_of(build, [x], ends)

    old, new, changes = _compared(build(shaped=True), build(shaped=False))
    assert {c.fate for c in changes} == {Fate.CHANGED}
    shared = next(c for c in changes if _names(old, c.before) == {"a"})
    assert _names(new, shared.after) == {"b"}


def test_unneeded_nodes_are_gone() -> None:
    """Where the new graph has nothing that serves the same landmarks, nothing became of the old."""

    def build(*, shaped: bool) -> Any:
        build, x = Builder(), given("x", "batch", 4)
        size = build.op("Shape", x, name="size") if shaped else build.constant("c", 2, kind=int)
        ends = [build.op("Reshape", x, size, name=name) for name in ("one", "two")]
        return model_of(build, [x], ends)

    old, _, changes = _compared(build(shaped=True), build(shaped=False))
    (gone,) = [c for c in changes if c.fate is Fate.GONE]
    assert _names(old, gone.before) == {"size"}
    (new,) = [c for c in _compared(build(shaped=False), build(shaped=True))[2] if not c.before]
    assert new.fate is Fate.NEW


def test_outputs_of_one_node_are_one_landmark() -> None:
    """A sum and its norm became one node that gives both: one group, not two."""

    def build(*, fused: bool) -> Any:
        build, x = Builder(), given("x", "batch", 4)
        if fused:
            norm, total = build.tape.op_multi_out(
                "SkipLayerNormalization", [x, x], name="skip", domain="com.microsoft",
                outputs=[ir.Value(name="norm"), ir.Value(name="sum")],
            )  # fmt: skip
        else:
            total = build.op("Add", x, x, name="sum")
            norm = build.op("LayerNormalization", total, name="norm")
        return model_of(build, [x], [norm, total])

    _, _, changes = _compared(build(fused=False), build(fused=True))
    assert [(len(c.before), len(c.after)) for c in changes] == [(2, 1)]


def test_a_name_that_means_something_else() -> None:
    """A fresh name that an old value had by chance is no landmark when its shape differs."""

    def build(*, old: bool) -> Any:
        build, x = Builder(), given("x", "batch", 4)
        inner = build.op("Shape" if old else "Neg", x, name="v")
        last = build.op("Size", inner, name="w") if old else build.op("Size", inner, name="z")
        return model_of(build, [x], [build.op("Identity", last, name="y")])

    (change,) = _compared(build(old=True), build(old=False))[2]
    assert (len(change.before), len(change.after)) == (3, 3)


def test_graphs_with_nothing_in_common() -> None:
    """Nothing can be told of them, which is no error."""

    def build(*names: str) -> Any:
        build, x = Builder(), given("x", "batch", 4)
        return model_of(build, [x], [build.op("Gelu", x, name=name) for name in names])

    assert _compared(build("a", "b"), build("c"))[2] == ()
    # With one value in common, the rest of each serves nothing that the other has.
    fates = [(c.fate, c.before, c.after) for c in _compared(build("a", "b"), build("a", "c"))[2]]
    assert fates == [(Fate.KEPT, (0,), (0,)), (Fate.GONE, (1,), ()), (Fate.NEW, (), (1,))]
