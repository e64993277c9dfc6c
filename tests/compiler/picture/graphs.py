"""Small encoders to draw: as an exporter spells them, and as fusing leaves them; none is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

WIDTH, INNER, PIECES = 8, 16, 50
MICROSOFT = "com.microsoft"


class Builder:
    """Adds nodes; a value is called after its node, so that both spellings have the same names."""

    def __init__(self) -> None:
        self.tape = Tape()
        self._constants: dict[str, ir.Value] = {}

    def constant(self, name: str, *shape: int, kind: type = np.float32) -> ir.Value:
        """A constant of ones."""
        if name not in self._constants:
            value = ir.tensor(np.ones(shape, kind), name=name)
            self._constants[name] = self.tape.initializer(value)
        return self._constants[name]

    def op(
        self,
        kind: str,
        *inputs: ir.Value,
        name: str,
        domain: str = "",
        rule: str = "",
        **attributes: Any,
    ) -> Any:
        """A node of one output; returns that output."""
        made = self.tape.op(
            kind, inputs, attributes, name=name, domain=domain, output=ir.Value(name=name)
        )
        if rule:
            made.producer().metadata_props["pkg.onnxscript.rewriter.rule_name"] = rule
        return made

    def dense(self, x: ir.Value, name: str, into: int = WIDTH, out: int = WIDTH) -> Any:
        """A product and its bias."""
        product = self.op(
            "MatMul", x, self.constant(f"{name}.w", into, out), name=f"{name}.product"
        )
        return self.op("Add", product, self.constant(f"{name}.b", out), name=name)

    def norm(self, x: ir.Value, name: str) -> Any:
        """A normalisation in one node."""
        scale, shift = self.constant(f"{name}.g", WIDTH), self.constant(f"{name}.s", WIDTH)
        return self.op("LayerNormalization", x, scale, shift, name=name)


def given(name: str, *shape: Any) -> ir.Value:
    """An input of integers."""
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.INT64))


def model_of(build: Builder, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value]) -> ir.Model:
    """A graph of what was built."""
    for output in outputs:
        output.type = ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        list(inputs),
        list(outputs),
        nodes=list(build.tape.nodes),
        initializers=list(build.tape.initializers),
        opset_imports={"": 20, MICROSOFT: 1},
        name="test",
    )
    return ir.Model(graph, ir_version=10)


def encoder(layers: int = 2) -> ir.Model:
    """Layers of BERT's form, with a mask that all of them share."""
    build, ids, mask = Builder(), given("ids", "batch", "tokens"), given("mask", "batch", "tokens")
    words = build.op("Gather", build.constant("words", PIECES, WIDTH), ids, name="look")
    x = build.norm(words, "embed")
    wide = build.op("Cast", mask, name="mask.cast", to=ir.DataType.FLOAT)
    low = build.op("Mul", wide, build.constant("low", 1), name="mask.mul")
    axis = build.constant("axis", 1, kind=np.int64)
    shared = build.op("Unsqueeze", low, axis, name="mask.apart")  # (b, 1, t)
    for n in range(layers):
        x = _layer(build, x, shared, f"layer{n}")
    return model_of(build, [ids, mask], [build.dense(x, "answer", WIDTH, 2)])


def _layer(build: Builder, x: Any, mask: Any, name: str) -> Any:
    query, key, value = (build.dense(x, f"{name}.{part}") for part in ("query", "key", "value"))
    turned = build.op("Transpose", key, name=f"{name}.turned", perm=[0, 2, 1])
    scores = build.op("MatMul", query, turned, name=f"{name}.scores")
    masked = build.op("Add", scores, mask, name=f"{name}.masked")
    shares = build.op("Softmax", masked, name=f"{name}.shares")
    mixed = build.op("MatMul", shares, value, name=f"{name}.mixed")
    attended = build.op("Add", x, build.dense(mixed, f"{name}.out"), name=f"{name}.skip")
    x = build.norm(attended, f"{name}.norm")
    inner = build.op("Gelu", build.dense(x, f"{name}.up", WIDTH, INNER), name=f"{name}.gelu")
    fed = build.op("Add", x, build.dense(inner, f"{name}.down", INNER), name=f"{name}.feed")
    return build.norm(fed, f"{name}.end")


def fused_encoder(layers: int = 2) -> ir.Model:
    """What fusing makes of `encoder`: attention one node, bias and GELU one, the mask a Cast."""
    build, ids, mask = Builder(), given("ids", "batch", "tokens"), given("mask", "batch", "tokens")
    words = build.op("Gather", build.constant("words", PIECES, WIDTH), ids, name="look")
    x = build.norm(words, "embed")
    small = build.op("Cast", mask, name="mask.small", rule="FuseAttention", to=ir.DataType.INT32)
    for n in range(layers):
        x = _fused_layer(build, x, small, f"layer{n}")
    return model_of(build, [ids, mask], [build.dense(x, "answer", WIDTH, 2)])


def _fused_layer(build: Builder, x: Any, mask: Any, name: str) -> Any:
    packed = build.constant(f"{name}.qkv", WIDTH, 3 * WIDTH)
    mixed = build.op(
        "Attention", x, packed, mask, name=f"{name}.mixed", domain=MICROSOFT,
        rule="Pack, FuseAttention, Pack",
    )  # fmt: skip
    attended = build.op("Add", x, build.dense(mixed, f"{name}.out"), name=f"{name}.skip")
    x = build.norm(attended, f"{name}.norm")
    product = build.op(
        "MatMul", x, build.constant(f"{name}.up.w", WIDTH, INNER), name=f"{name}.up.product"
    )
    bias = build.constant(f"{name}.up.b", INNER)
    inner = build.op(
        "BiasGelu", product, bias, name=f"{name}.gelu", domain=MICROSOFT, rule="FuseBiasGelu"
    )
    fed = build.op("Add", x, build.dense(inner, f"{name}.down", INNER), name=f"{name}.feed")
    return build.norm(fed, f"{name}.end")
