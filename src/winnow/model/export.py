"""The reader's weights -> its ONNX graph, node by node, without tracing.

    ids (b, t) int64, fields (b, t) int64  ->  log_odds (b,) float32, shares (b, t) float32

The head is applied to every token and the mean taken after it, which is the same number as the
other way round and says what each token contributed. The graph has no mask: it is given messages
at their exact length, one at a time or several of one length. That it computes what the network
does is proved on mail whenever a reader is made (recipe_graph.compiled).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.tape import Tape

from winnow.model.network import NORM_EPSILON, Shape, shapes_of

OPSET = 20  # the first with GELU
IR_VERSION = 10

F32 = NDArray[np.float32]


class _Builder:
    """Adds nodes; every weight keeps its name."""

    def __init__(self, weights: Mapping[str, F32]) -> None:
        self.tape = Tape()
        self._weights = weights
        self._made: dict[str, ir.Value] = {}

    def weight(self, name: str) -> ir.Value:
        return self.constant(name, self._weights[name])

    def constant(self, name: str, value: Any) -> ir.Value:
        if name not in self._made:
            self._made[name] = self.tape.initializer(ir.tensor(np.asarray(value), name=name))
        return self._made[name]

    def ints(self, *values: int) -> ir.Value:
        return self.constant("ints." + ".".join(map(str, values)), np.array(values, dtype=np.int64))

    def op(self, kind: str, *inputs: ir.Value, name: str, **attributes: Any) -> ir.Value:
        return self.tape.op(
            kind, inputs, attributes or None, name=name, output=ir.Value(name=f"{name}:0")
        )

    def dense(self, x: ir.Value, name: str) -> ir.Value:
        product = self.op("MatMul", x, self.weight(f"{name}.kernel"), name=f"{name}.matmul")
        return self.op("Add", product, self.weight(f"{name}.bias"), name=f"{name}.add")

    def norm(self, x: ir.Value, name: str) -> ir.Value:
        scale, shift = self.weight(f"{name}.scale"), self.weight(f"{name}.shift")
        return self.op(
            "LayerNormalization", x, scale, shift, name=name, axis=-1, epsilon=NORM_EPSILON
        )


def export(weights: Mapping[str, F32], shape: Shape) -> ir.Model:
    """Write the graph of a reader.

    Args:
        weights: by name, as `shapes_of(shape)` has them.
        shape: of the network.

    Raises:
        ValueError: weights and shape do not belong together.
    """
    for name, size in shapes_of(shape).items():
        if name not in weights or weights[name].shape != size:
            raise ValueError(f"weights and shape do not belong together: {name}")
    build = _Builder(weights)
    ids = ir.val("ids", ir.DataType.INT64, ["batch", "tokens"])
    fields = ir.val("fields", ir.DataType.INT64, ["batch", "tokens"])
    x = _embedded(build, ids, fields)
    for n in range(shape.layers):
        mixed = _attention(build, x, f"layer{n}", shape.layer(n)[0], shape.head_width)
        x = build.norm(build.op("Add", x, mixed, name=f"layer{n}.skip"), f"layer{n}.attention.norm")
        inner = build.op("Gelu", build.dense(x, f"layer{n}.up"), name=f"layer{n}.gelu")
        fed = build.op("Add", x, build.dense(inner, f"layer{n}.down"), name=f"layer{n}.feed.skip")
        x = build.norm(fed, f"layer{n}.feed.norm")
    shares = build.op("Squeeze", build.dense(x, "head"), build.ints(2), name="shares")  # (b, t)
    answer = build.op("ReduceMean", shares, build.ints(1), name="mean", keepdims=0)  # (b,)
    _as_output(shares, "shares", ["batch", "tokens"])
    _as_output(answer, "log_odds", ["batch"])
    graph = ir.Graph(
        [ids, fields],
        [answer, shares],
        nodes=build.tape.nodes,
        initializers=build.tape.initializers,
        opset_imports={"": OPSET},
        name="reader",
    )
    # What a tokenizer must agree with; the runtime compares them when it loads the graph.
    sizes = {"pieces": shape.pieces, "fields": shape.fields, "positions": shape.positions}
    return ir.Model(
        graph,
        ir_version=IR_VERSION,
        producer_name="winnow",
        metadata_props={name: str(size) for name, size in sizes.items()},
    )


def _as_output(value: ir.Value, name: str, shape: list[str]) -> None:
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(shape)


def _embedded(build: _Builder, ids: ir.Value, fields: ir.Value) -> ir.Value:
    """Sum of a token's embeddings, normalised: (b, t) -> (b, t, d)."""
    pieces = build.op("Gather", build.weight("embed.pieces"), ids, name="embed.pieces.gather")
    kinds = build.op("Gather", build.weight("embed.fields"), fields, name="embed.fields.gather")
    length = build.op("Shape", ids, name="length", start=1, end=2)
    places = build.op(
        "Slice",
        build.weight("embed.positions"),
        build.ints(0),
        length,
        build.ints(0),
        name="embed.positions.slice",
    )
    x = build.op("Add", pieces, kinds, name="embed.add")
    x = build.op("Add", x, places, name="embed.positions.add")
    return build.norm(x, "embed.norm")


def _attention(build: _Builder, x: ir.Value, name: str, heads: int, each: int) -> ir.Value:
    """Multi-head self-attention with heads of a width, (b, t, d) -> (b, t, d)."""
    apart = build.ints(0, 0, heads, each)

    def split(part: str, order: list[int]) -> ir.Value:
        y = build.op(
            "Reshape", build.dense(x, f"{name}.{part}"), apart, name=f"{name}.{part}.split"
        )
        return build.op("Transpose", y, name=f"{name}.{part}.transpose", perm=order)

    query = split("query", [0, 2, 1, 3])  # (b, h, t, e)
    key = split("key", [0, 2, 3, 1])  # (b, h, e, t)
    value = split("value", [0, 2, 1, 3])  # (b, h, t, e)
    scores = build.op("MatMul", query, key, name=f"{name}.scores")  # (b, h, t, t)
    root = build.constant(f"root.{each}", np.float32(np.sqrt(each)))
    scaled = build.op("Div", scores, root, name=f"{name}.scale")
    attended = build.op("Softmax", scaled, name=f"{name}.softmax", axis=-1)
    mixed = build.op("MatMul", attended, value, name=f"{name}.mixed")
    together = build.op("Transpose", mixed, name=f"{name}.transpose", perm=[0, 2, 1, 3])
    joined = build.op("Reshape", together, build.ints(0, 0, heads * each), name=f"{name}.join")
    return build.dense(joined, f"{name}.output")
