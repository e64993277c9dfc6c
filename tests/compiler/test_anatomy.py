"""What a graph is made of is found whatever its words are, and what is not is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.exports import Spelling, bert  # noqa: E402
from winnow.compiler.anatomy import anatomy_of  # noqa: E402
from winnow.compiler.fold import folded  # noqa: E402
from winnow.compiler.prune import values_of  # noqa: E402
from winnow.compiler.quantize import quantize  # noqa: E402
from winnow.errors import InputError  # noqa: E402
from winnow.recipe_compile import run_graph  # noqa: E402

SPELLINGS = {
    "plain": Spelling(shapes="constants"),
    "arithmetic": Spelling(),
    "tanh": Spelling(gelu="tanh", scale="both", mask="product", norm="spelt out"),
    "node": Spelling(gelu="node", mask="none", positions="sliced", kinds="input", opset=20),
    "bias first": Spelling(bias_first=True, keys="three", scale="query", pooled="mean"),
}


def _folded(model: Any) -> Any:
    return folded(model, run_graph).model


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_has_the_same_anatomy(name: str) -> None:
    """Layers, heads and neurons are those that the network was written with."""
    found = anatomy_of(_folded(bert(SPELLINGS[name])))
    assert found.width == 16
    assert len(found.layers) == 2
    for number, layer in enumerate(found.layers):
        attention, feed = layer.attention, layer.feed
        assert (attention.heads, attention.size, feed.neurons) == (4, 4, 32)
        kernels = [dense.kernel for dense in (*attention.denses, *feed.ups, feed.down)]
        assert all(kernel.startswith(f"layer{number}.") for kernel in kernels)
        assert len(set(kernels)) == 6
        assert kernels[-2:] == [f"layer{number}.up.kernel", f"layer{number}.down.kernel"]
        assert all(dense.bias for dense in (*attention.denses, *feed.ups, feed.down))


def test_parts_are_told_by_what_they_do() -> None:
    """A key is what is turned and multiplied with, a value what is mixed; names do not matter."""
    model = _folded(bert(SPELLINGS["plain"]))
    before = anatomy_of(model).layers[0].attention
    names = {dense.kernel: f"z{place}" for place, dense in enumerate(before.denses)}
    for old, new in names.items():
        value = model.graph.initializers.pop(old)
        value.name = new
        model.graph.register_initializer(value)
    after = anatomy_of(model).layers[0].attention
    assert [dense.kernel for dense in after.denses] == ["z0", "z1", "z2", "z3"]
    turned = values_of(model)[after.splits[1]].uses()[0].node.attributes["perm"].value
    assert tuple(turned) == (0, 2, 3, 1)  # of keys alone the last two axes are turned


def test_what_a_layer_reads_and_gives() -> None:
    """One layer's result is the next one's input, from the embedding's norm on."""
    found = anatomy_of(_folded(bert(SPELLINGS["node"])))
    first, second = found.layers
    assert found.tables.norm is not None
    assert first.enters == found.tables.norm.gives
    assert first.leaves == second.enters
    assert second.leaves


def test_tables_are_told_by_what_they_are_looked_up_with() -> None:
    """Words by ids, kinds by kinds; positions are rows from 0 on."""
    model = _folded(bert(SPELLINGS["node"], words=40, positions=24))
    tables = anatomy_of(model).tables
    sizes = {
        part: values_of(model)[getattr(tables, part)].const_value.shape[0]
        for part in ("pieces", "positions")
    }
    assert sizes == {"pieces": 40, "positions": 24}
    assert tables.kinds not in ("", tables.pieces, tables.positions)


def test_the_classifier_is_the_last_product() -> None:
    """Its bias moves the answer."""
    head = anatomy_of(_folded(bert(SPELLINGS["plain"]))).head
    assert head is not None
    assert (head.kernel, head.bias) == ("classifier.kernel", "classifier.bias")


def test_a_head_of_one_number_may_be_a_vector() -> None:
    """So settling leaves it, without a bias; and three classes are no head of ours."""
    model = _folded(bert(SPELLINGS["plain"]))
    logits = model.graph.outputs[0].producer()
    product = logits.inputs[0].producer()
    vector = ir.Value(name="v", const_value=ir.tensor(np.ones(16, np.float32), name="v"))
    model.graph.register_initializer(vector)
    product.replace_input_with(1, vector)
    head = anatomy_of(model).head
    assert head is not None
    assert (head.kernel, head.bias) == ("v", "")
    wide = ir.Value(name="w", const_value=ir.tensor(np.ones((16, 3), np.float32), name="w"))
    model.graph.register_initializer(wide)
    product.replace_input_with(1, wide)
    assert anatomy_of(model).head is None


def test_a_norm_may_stand_before() -> None:
    """Of a layer whose norm stands before its halves the sum is what it gives."""
    found = anatomy_of(pre_norm())
    assert [layer.attention.heads for layer in found.layers] == [2, 2]
    first, second = found.layers
    assert first.leaves == second.enters == first.feed.sum


def test_rounded_weights_are_told() -> None:
    """Integers cannot be cut; it says in which order to go."""
    with pytest.raises(InputError, match="weights are integers"):
        anatomy_of(quantize(bert(SPELLINGS["plain"], width=64, inner=128, heads=4))[0])


def test_a_graph_without_layers_is_refused_with_the_reason() -> None:
    """The nearest miss is told, so that its user knows what is in the way."""
    model = bert(Spelling(shapes="opaque"))
    with pytest.raises(InputError, match="not cut into heads by one reshape of constant sizes"):
        anatomy_of(model)


def test_one_layer_of_another_form_is_left_out_of_account() -> None:
    """The others are found all the same, and what is missed says why."""
    model = _folded(bert(SPELLINGS["plain"]))
    node = values_of(model)["layer1.up.kernel"].uses()[0].node
    node.op_type = "Gemm"
    found = anatomy_of(model)
    assert len(found.layers) == 1
    assert any("0 feed-forward layers follow" in missed.reason for missed in found.missed)


def pre_norm() -> Any:
    """Two layers with norms before their halves, as in GPT-2 or a modern BERT."""
    from onnx_ir.tape import Tape

    chance, tape = np.random.default_rng(0), Tape()
    ids = ir.val("input_ids", ir.DataType.INT64, ["b", "t"])

    def op(kind: str, *inputs: Any, **attributes: Any) -> Any:
        made = tape.op(kind, inputs, attributes or None)
        made.name = f"{kind}{len(tape.nodes)}"
        return made

    def weight(*shape: int) -> Any:
        name = f"weight{len(tape.initializers)}"
        return tape.initializer(
            ir.tensor(chance.normal(0, 0.3, shape).astype(np.float32), name=name)
        )

    def dense(x: Any, into: int, out: int) -> Any:
        return op("Add", op("MatMul", x, weight(into, out)), weight(out))

    def norm(x: Any) -> Any:
        return op("LayerNormalization", x, weight(8), weight(8), axis=-1)

    def sizes(*values: int) -> Any:
        name = f"sizes{len(tape.initializers)}"
        return tape.initializer(ir.tensor(np.array(values, np.int64), name=name))

    def split(x: Any, *order: int) -> Any:
        return op("Transpose", op("Reshape", x, sizes(0, 0, 2, -1)), perm=order)

    x = op("Gather", weight(20, 8), ids)
    for _ in range(2):
        y = norm(x)
        query, key, value = (dense(y, 8, 8) for _ in range(3))
        scores = op("MatMul", split(query, 0, 2, 1, 3), split(key, 0, 2, 3, 1))
        mixed = op("MatMul", op("Softmax", scores, axis=-1), split(value, 0, 2, 1, 3))
        joined = op("Reshape", op("Transpose", mixed, perm=(0, 2, 1, 3)), sizes(0, 0, -1))
        x = op("Add", x, dense(joined, 8, 8))
        y = norm(x)
        gate, up = dense(y, 8, 12), dense(y, 8, 12)
        gated = op("Mul", op("Mul", gate, op("Sigmoid", gate)), up)
        x = op("Add", dense(gated, 12, 8), x)
    logits = dense(op("ReduceMean", norm(x), sizes(1), keepdims=0), 8, 2)
    logits.name = "logits"
    logits.type, logits.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["b", 2])
    graph = ir.Graph(
        [ids], [logits], nodes=list(tape.nodes), initializers=list(tape.initializers),
        opset_imports={"": 20}, name="pre",
    )  # fmt: skip
    return ir.Model(graph, ir_version=10)
