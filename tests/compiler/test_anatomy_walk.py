"""One half of a layer is found from its middle, or it is said what stands in the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from onnx_ir.tape import Tape  # noqa: E402

from winnow.compiler.anatomy_walk import (  # noqa: E402
    AbsentError,
    Attention,
    Feed,
    attention_at,
    dense_of,
    feed_at,
    norm_of,
)

D, H, E, F = 8, 2, 4, 12


class _Layer:
    """Writes one half of a layer; each test changes one thing about it."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.x = ir.val("x", ir.DataType.FLOAT, ["b", "t", D])
        self.outputs: list[Any] = []

    def op(self, kind: str, *inputs: Any, **attributes: Any) -> Any:
        made = self.tape.op(kind, inputs, attributes or None)
        made.name = f"{kind}{len(self.tape.nodes)}"
        return made

    def weight(self, *shape: int) -> Any:
        name = f"w{len(self.tape.initializers)}"
        return self.tape.initializer(ir.tensor(np.ones(shape, np.float32), name=name))

    def sizes(self, *values: int) -> Any:
        name = f"s{len(self.tape.initializers)}"
        return self.tape.initializer(ir.tensor(np.array(values, np.int64), name=name))

    def dense(self, x: Any, into: int, out: int) -> Any:
        return self.op("Add", self.op("MatMul", x, self.weight(into, out)), self.weight(out))

    def part(self, order: tuple[int, ...], *, sizes: Any = None, out: int = H * E) -> Any:
        target = self.sizes(0, 0, H, E) if sizes is None else sizes
        apart = self.op("Reshape", self.dense(self.x, D, out), target)
        return self.op("Transpose", apart, perm=order)

    def attention(
        self, query: Any = None, key: Any = None, *, bias: Any = None, added: bool = True
    ) -> Attention:
        query = self.part((0, 2, 1, 3)) if query is None else query
        key = self.part((0, 2, 3, 1)) if key is None else key
        scores = self.op("Div", self.op("MatMul", query, key), self.weight())
        scores = scores if bias is None else self.op("Add", scores, bias)
        softmax = self.op("Softmax", scores, axis=-1)
        mixed = self.op("MatMul", softmax, self.part((0, 2, 1, 3)))
        joined = self.op("Transpose", mixed, perm=(0, 2, 1, 3))
        joined = self.op("Reshape", joined, self.sizes(0, 0, H * E))
        self.ended(self.dense(joined, H * E, D), added)
        return attention_at(softmax.producer())

    def feed(self, bent: Any, *, added: bool = True, out: int = D) -> Feed:
        product = self.op("MatMul", bent, self.weight(F, out))
        self.ended(self.op("Add", product, self.weight(out)), added)
        return feed_at(product.producer())

    def ended(self, value: Any, added: bool) -> None:
        total = self.op("Add", self.x, value) if added else value
        total = self.op("LayerNormalization", total, self.weight(D), self.weight(D))
        self.model = ir.Model(
            ir.Graph(
                [self.x], [total], nodes=list(self.tape.nodes),
                initializers=list(self.tape.initializers), opset_imports={"": 20},
            ),
            ir_version=10,
        )  # fmt: skip


@pytest.fixture
def layer() -> _Layer:
    """A half that nothing was written of."""
    return _Layer()


def test_an_attention(layer: _Layer) -> None:
    """All its parts, and what it reads and gives."""
    found = layer.attention()
    assert (found.heads, found.size) == (H, E)
    assert [dense.sizes for dense in found.denses] == [(D, H * E)] * 3 + [(H * E, D)]
    assert len({dense.kernel for dense in found.denses}) == 4
    assert found.enters == "x" == found.query.reads
    assert found.norm is not None
    assert found.leaves == found.norm.gives


def test_a_mask_is_walked_past(layer: _Layer) -> None:
    """Whatever is added to the scores, they are the product of queries and keys."""
    assert layer.attention(bias=layer.weight(1, 1, 1, 1)).heads == H


@pytest.mark.parametrize("sizes", [(H, -1), (-1, E)])
def test_sizes_may_be_left_open(layer: _Layer, sizes: tuple[int, int]) -> None:
    """-1 is what is left: heads or their width follow from the kernel."""
    found = layer.attention(layer.part((0, 2, 1, 3), sizes=layer.sizes(0, 0, *sizes)))
    assert (found.heads, found.size) == (H, E)


def test_turned_positions_are_walked_past(layer: _Layer) -> None:
    """Rotary positions lie between a projection and the scores, and each head is turned alike."""
    query = layer.part((0, 2, 1, 3))
    one, two = (layer.op("Slice", query, *map(layer.sizes, ends)) for ends in ((0, 2), (2, 4)))
    turned = layer.op("Concat", layer.op("Neg", two), one, axis=-1)
    both = [layer.op("Mul", value, layer.weight(1, 1, 1, E)) for value in (query, turned)]
    assert layer.attention(layer.op("Add", *both)).heads == H


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda to: to.attention(layer_sum(to)), "comes of two products"),
        (lambda to: to.attention(to.op("Transpose", to.x, perm=(0, 1, 2))), "no product with"),
        (lambda to: to.attention(added=False), "is not added to what it read"),
        (
            lambda to: to.attention(to.part((0, 2, 1, 3), sizes=to.sizes(0, 0, E, H))),
            "have different heads",
        ),
        (lambda to: to.attention(to.part((0, 2, 1, 3), out=3 * H * E)), "packed with others"),
        (
            lambda to: to.attention(to.part((0, 2, 1, 3), sizes=to.op("Shape", to.x))),
            "not cut into heads by one reshape",
        ),
    ],
)
def test_what_is_no_attention_that_can_be_cut(layer: _Layer, spoil: Any, reason: str) -> None:
    """The reason names the part that is of another form."""
    with pytest.raises(AbsentError, match=reason):
        spoil(layer)


def test_a_bias_of_each_head(layer: _Layer) -> None:
    """Relative positions (MPNet) add a number for each head, which would have to be cut, too."""
    table = layer.op("Gather", layer.weight(9, H), layer.sizes(0, 1, 2))
    bias = layer.op("Unsqueeze", layer.op("Transpose", table, perm=(1, 0)), layer.sizes(0))
    with pytest.raises(AbsentError, match="added to the scores of each head"):
        layer.attention(bias=bias)


def layer_sum(to: _Layer) -> Any:
    """A query that is the sum of two projections."""
    return to.op("Add", to.part((0, 2, 1, 3)), to.part((0, 2, 1, 3)))


def test_a_softmax_of_something_else(layer: _Layer) -> None:
    """A classifier ends in one, too."""
    softmax = layer.op("Softmax", layer.dense(layer.x, D, 2))
    layer.ended(softmax, added=False)
    with pytest.raises(AbsentError, match="no product of queries and keys"):
        attention_at(softmax.producer())


def test_a_feed_forward_layer(layer: _Layer) -> None:
    """Whatever the activation is made of, a neuron is a column above and a row below."""
    up = layer.dense(layer.x, D, F)
    bent = layer.op("Mul", layer.op("Mul", up, layer.op("Erf", up)), layer.weight())
    found = layer.feed(bent)
    assert [dense.sizes for dense in (*found.ups, found.down)] == [(D, F), (F, D)]
    assert (found.neurons, found.enters) == (F, "x")
    assert found.down.reads == bent.name


def test_a_gate(layer: _Layer) -> None:
    """A neuron of a gated layer has two columns above."""
    gate, up = layer.dense(layer.x, D, F), layer.dense(layer.x, D, F)
    assert len(layer.feed(layer.op("Mul", layer.op("Sigmoid", gate), up)).ups) == 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda to: to.feed(to.dense(to.x, D, F)), "no activation of a product"),
        (lambda to: to.feed(to.op("Tanh", to.dense(to.x, D, F)), out=2), "sizes are not those"),
        (lambda to: to.feed(to.op("Relu", to.dense(to.x, D, F)), added=False), "is not added"),
        (
            lambda to: to.feed(to.op("Mul", to.op("Relu", to.dense(to.x, D, F)), to.weight(F))),
            "a constant for each of 12 neurons",
        ),
        (
            lambda to: to.feed(to.op("Relu", to.op("Transpose", to.dense(to.x, D, F)))),
            "comes from Transpose",
        ),
    ],
)
def test_what_is_no_feed_forward_layer(layer: _Layer, spoil: Any, reason: str) -> None:
    """A pooler before a classifier is none; nor is what cannot be cut neuron by neuron."""
    with pytest.raises(AbsentError, match=reason):
        spoil(layer)


def test_a_gate_of_something_else(layer: _Layer) -> None:
    """Two products of different inputs are no gate."""
    other = layer.op("Relu", layer.x)
    gate, up = layer.dense(other, D, F), layer.dense(layer.x, D, F)
    with pytest.raises(AbsentError, match="reads something else"):
        layer.feed(layer.op("Mul", layer.op("Sigmoid", gate), up))


def test_a_product_and_its_bias(layer: _Layer) -> None:
    """A bias is a vector for each output; what is added otherwise is none."""
    product = layer.op("MatMul", layer.x, layer.weight(D, D))
    layer.op("Add", layer.x, product)
    found = dense_of(product.producer())
    assert found is not None
    assert (found.bias, found.product) == ("", found.gives)
    biased = layer.dense(layer.x, D, F).producer().inputs[0].producer()
    assert dense_of(biased).bias
    assert dense_of(layer.op("MatMul", layer.x, layer.x).producer()) is None


def test_a_norm_without_a_shift(layer: _Layer) -> None:
    """RMS norm has a scale alone."""
    found = norm_of(layer.op("RMSNormalization", layer.x, layer.weight(D)).producer())
    assert found is not None
    assert (bool(found.scale), found.shift) == (True, "")
    assert norm_of(layer.op("Relu", layer.x).producer()) is None
