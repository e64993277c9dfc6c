"""What a picture is told of a graph: kinds, shapes, constants, rules, and a bound on its size."""

from __future__ import annotations

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import Builder, encoder, fused_encoder, given, model_of  # noqa: E402
from winnow.compiler.picture import nodes  # noqa: E402
from winnow.compiler.picture.nodes import Kind, Sketch, sketch_of  # noqa: E402
from winnow.errors import InputError  # noqa: E402


def _node(sketch: Sketch, name: str) -> nodes.Node:
    return next(node for node in sketch.nodes if node.name == name)


def test_a_node_with_its_constants() -> None:
    """Constants are in the node that reads them, with shapes and bytes; the rest are its inputs."""
    sketch = sketch_of(encoder())
    product = _node(sketch, "layer0.up.product")
    assert (product.op, product.kind) == ("MatMul", Kind.PRODUCT)
    assert (product.inputs, product.outputs) == (("layer0.norm",), ("layer0.up.product",))
    assert (product.weights, product.weight_bytes) == (("8×16",), 8 * 16 * 4)
    assert product.shape == "b×t×16"
    assert sketch.inputs == ("ids", "mask")
    assert sketch.outputs == ("answer",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("look", Kind.LOOK_UP),
        ("embed", Kind.NORM),
        ("mask.cast", Kind.SHAPE),
        ("layer0.query", Kind.ARITHMETIC),
        ("layer0.shares", Kind.ATTENTION),
        ("layer0.gelu", Kind.ACTIVATION),
    ],
)
def test_kinds(name: str, kind: Kind) -> None:
    """Each node has the colour of what it is for."""
    assert _node(sketch_of(encoder()), name).kind is kind


def test_arithmetic_of_sizes_is_no_arithmetic() -> None:
    """A sum of integers belongs to shapes, and a Gather from a shape is no look-up of words."""
    build, ids = Builder(), given("ids", "batch", "tokens")
    shape = build.op("Shape", ids, name="shape")
    one = build.op("Gather", shape, build.constant("first", kind=int), name="one")
    more = build.op("Add", one, build.constant("two", 1, kind=int), name="more")
    wide = build.op("Expand", build.constant("c", 1), more, name="wide")
    sketch = sketch_of(model_of(build, [ids], [wide]))
    assert [node.kind for node in sketch.nodes] == [Kind.SHAPE] * 4


def test_operators_that_onnx_does_not_know_have_the_old_graphs_shapes() -> None:
    """A fused node makes the value that it made before, whose shape is known from there."""
    old = sketch_of(encoder())
    assert _node(sketch_of(fused_encoder()), "layer0.mixed").shape == ""
    assert _node(sketch_of(fused_encoder(), old.shapes), "layer0.mixed").shape == "b×t×8"


def test_rules_of_a_node_once_each() -> None:
    """A node that was fused of fused nodes bears several names, some of them twice."""
    attention = _node(sketch_of(fused_encoder()), "layer1.mixed")
    assert attention.rules == ("Pack", "FuseAttention")
    assert _node(sketch_of(encoder()), "layer1.mixed").rules == ()


def test_sizes_that_have_no_name_worth_a_word() -> None:
    """Expressions and onnx's own placeholders are a question mark, not a line of text."""
    build = Builder()
    x = ir.Value(name="x", shape=ir.Shape(["seq_len", "a*b+17*(c//2)", None, 3, "k"]),
                 type=ir.TensorType(ir.DataType.FLOAT))  # fmt: skip
    same = build.op("Identity", x, name="same")
    assert sketch_of(model_of(build, [x], [same])).nodes[0].shape == "t×?×?×3×k"


def test_what_is_absurdly_long_is_cut() -> None:
    """An operator of a thousand letters and a tensor of rank 300 do not widen the picture."""
    build, x = Builder(), given("x", 2)
    odd = build.op("O" * 1000, x, name="y")
    odd.shape = ir.Shape([2] * 300)
    node = sketch_of(model_of(build, [x], [odd])).nodes[0]
    assert node.op == "O" * 60
    assert node.shape == "2×2×2×2×2×2×2×2×…"


def test_values_without_a_name_are_told_apart() -> None:
    """Two nodes whose outputs have no name are not taken for one."""
    build, x = Builder(), given("x", "batch", 4)
    one = build.op("Cast", x, name="one")
    two = build.op("Cast", x, name="two")
    both = build.op("Add", one, two, name="both")
    model = model_of(build, [x], [both])
    one.name = two.name = None
    sketch = sketch_of(model)
    assert len(set(sketch.nodes[2].inputs)) == 2
    assert one.name is None  # the model itself is left as it is


def test_a_graph_too_large_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before minutes are spent on a picture that nobody could read."""
    monkeypatch.setattr(nodes, "MOST_NODES", 20)
    with pytest.raises(InputError, match="too large to be drawn"):
        sketch_of(encoder())
    monkeypatch.setattr(nodes, "MOST_NODES", 1000)
    monkeypatch.setattr(nodes, "MOST_WIRES", 20)
    with pytest.raises(InputError, match="too large to be drawn"):
        sketch_of(encoder())
