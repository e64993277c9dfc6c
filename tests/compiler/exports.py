"""Small BERTs as exporters spell them: the same network, in other words, with random weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")
pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from onnx_ir.tape import Tape  # noqa: E402

from winnow.compiler.graph import array_of, copied, drop_unused, serialised  # noqa: E402
from winnow.compiler.inputs import feeds_of  # noqa: E402
from winnow.compiler.passes import Fired, Outcome, largest_difference  # noqa: E402
from winnow.compiler.rules.base import applied, refused  # noqa: E402
from winnow.compiler.verify import fault_of  # noqa: E402
from winnow.recipe_compile import run_graph  # noqa: E402
from winnow.tokens import FIELDS  # noqa: E402

F32 = NDArray[np.float32]
FAR = -3.4028234663852886e38


@dataclass(frozen=True)
class Spelling:
    """Which words an exporter uses; the network is the same, but for `kinds` and `pooled`."""

    shapes: str = "arithmetic"  # of Reshape: "arithmetic", "constants", "opaque" (from the ids)
    scale: str = "divided"  # scores: "divided", "multiplied", "both", "query", "query divided"
    mask: str = "where"  # "where", "product", "infinite", "bare" (no guard), "none", "query's"
    gelu: str = "erf"  # "erf", "half first", "halved", "product", "tanh", "node", "fast node"
    norm: str = "node"  # "node", "spelt out", "squared"
    keys: str = "one"  # transposed at once, or by "three" moves
    positions: str = "gathered"  # "gathered", "sliced", "counted" (from the ids, as RoBERTa's)
    kinds: str = "none"  # token types: "none", "zeros", "input"
    pooled: str = "first"  # "first" token or "mean"
    bias_first: bool = False
    opset: int = 17


class Writer:
    """Writes nodes; constants are called as a trained model's are."""

    tape: Any
    inputs: list[Any]
    ids: Any

    def __init__(self, spelling: Spelling, seed: int, layers: int, width: int, heads: int) -> None:
        self.spelling = spelling
        self.chance = np.random.default_rng(seed)
        self.tape = Tape()
        self.layers, self.width, self.heads = layers, width, heads
        self.inputs = [ir.val("input_ids", ir.DataType.INT64, ["b", "t"])]
        if spelling.mask != "none":
            self.inputs.append(ir.val("attention_mask", ir.DataType.INT64, ["b", "t"]))
        if spelling.kinds == "input":
            self.inputs.append(ir.val("token_type_ids", ir.DataType.INT64, ["b", "t"]))
        self.ids = self.inputs[0]
        self._count = 0
        self._made: dict[str, Any] = {}

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        def write(*inputs: Any, domain: str = "", **attributes: Any) -> Any:
            self._count += 1
            name = f"{kind.lower()}{self._count}"
            return self.tape.op(
                kind, inputs, attributes or None, name=name, domain=domain,
                output=ir.Value(name=f"{name}:0"),
            )  # fmt: skip

        return write

    def model(self, outputs: dict[str, Any]) -> Any:
        """All that was written, with outputs of these names."""
        for name, output in outputs.items():
            output.name, output.type = name, ir.TensorType(ir.DataType.FLOAT)
        graph = ir.Graph(
            self.inputs,
            list(outputs.values()),
            nodes=list(self.tape.nodes),
            initializers=list(self.tape.initializers),
            opset_imports={"": self.spelling.opset, "com.microsoft": 1},
            name="bert",
        )
        model = ir.Model(graph, ir_version=10)
        drop_unused(model)
        return model

    def constant(self, name: str, value: Any) -> Any:
        """A constant; of one name there is one."""
        if name not in self._made:
            array = np.asarray(value)
            self._made[name] = self.tape.initializer(ir.tensor(array, name=name))
        return self._made[name]

    def ints(self, *values: int) -> Any:
        """A list of integers."""
        return self.constant("ints " + " ".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> Any:
        """A number without axes."""
        return self.constant(f"number {value!r}", np.float32(value))

    def weight(self, name: str, *shape: int, around: float = 0.0) -> Any:
        """Random numbers under a name."""
        drawn = self.chance.normal(around, 0.3, shape).astype(np.float32)
        return self.constant(name, drawn)

    def dense(self, x: Any, name: str, rows: int, columns: int) -> Any:
        """A product with weights, and a bias."""
        product = self.MatMul(x, self.weight(f"{name}.kernel", rows, columns))
        bias = self.weight(f"{name}.bias", columns)
        return self.Add(bias, product) if self.spelling.bias_first else self.Add(product, bias)

    def shape(self, *sizes: int) -> Any:
        """A Reshape's target: 0 means batch, then tokens."""
        how = self.spelling.shapes
        if how == "constants":
            return self.ints(*sizes)
        whole = self.Shape(self.ids)
        parts = []
        for place, size in enumerate(sizes):
            if size:
                parts.append(self.ints(size))
                continue
            index = self.constant(f"index {place}", np.int64(place))
            at = self.Gather(whole, index, axis=0)
            if how == "opaque":  # depends on a token, as nobody's shapes do
                zero = self.ReduceMin(self.Mul(self.ids, self.ints(0)), keepdims=0)
                at = self.Add(at, zero)
            parts.append(self.Unsqueeze(at, self.ints(0)))
        return self.Concat(*parts, axis=0)

    def mean(self, x: Any, axis: int, **attributes: Any) -> Any:
        """Axes became an input with opset 18."""
        if self.spelling.opset < 18:
            return self.ReduceMean(x, axes=[axis], **attributes)
        return self.ReduceMean(x, self.ints(axis), **attributes)

    def looked_up(self, words: int = 40) -> Any:
        """Vectors of the tokens, (b, t, d)."""
        return self.Gather(self.weight("words.table", words, self.width), self.ids)

    def norm(self, x: Any, name: str) -> Any:
        """Layer normalisation."""
        scale = self.weight(f"{name}.scale", self.width, around=1.0)
        shift = self.weight(f"{name}.shift", self.width)
        if self.spelling.norm == "node":
            return self.LayerNormalization(x, scale, shift, axis=-1, epsilon=1e-12)
        apart = self.Sub(x, self.mean(x, -1))
        square = (
            self.Mul(apart, apart)
            if self.spelling.norm == "squared"
            else self.Pow(apart, self.number(2.0))
        )
        variance = self.mean(square, -1)
        root = self.Sqrt(self.Add(variance, self.number(1e-12)))
        return self.Add(self.Mul(self.Div(apart, root), scale), shift)

    def gelu(self, x: Any) -> Any:
        """GELU."""
        how = self.spelling.gelu
        if how in ("node", "fast node"):
            return self.Gelu(x, approximate="tanh" if how == "fast node" else "none")
        half, one = self.number(0.5), self.number(1.0)
        if how == "tanh":
            cube = self.Mul(self.Pow(x, self.number(3.0)), self.number(0.044715))
            slope = self.number(math.sqrt(2 / math.pi))
            rest = self.Add(self.Tanh(self.Mul(self.Add(x, cube), slope)), one)
            return self.Mul(self.Mul(x, half), rest)
        inner = (
            self.Mul(x, self.number(math.sqrt(0.5)))
            if how == "product"
            else self.Div(x, self.number(math.sqrt(2)))
        )
        rest = self.Add(self.Erf(inner), one)
        if how == "half first":
            return self.Mul(self.Mul(x, half), rest)
        if how == "halved":
            return self.Mul(x, self.Mul(rest, half))
        return self.Mul(self.Mul(x, rest), half)

    def embedded(self, words: int, positions: int) -> Any:
        """Sum of a token's embeddings."""
        x = self.looked_up(words)
        whole = self.Shape(self.ids)
        if self.spelling.kinds != "none":
            types = self.weight("types.table", 2, self.width)
            kinds = self.inputs[-1]
            if self.spelling.kinds == "zeros":
                zeros = ir.tensor(np.zeros(1, np.int64))
                kinds = self.ConstantOfShape(whole, value=zeros)
            x = self.Add(x, self.Gather(types, kinds))
        places = self.weight("position.table", positions, self.width)
        if self.spelling.positions == "counted":
            return self.Add(x, self.Gather(places, self.counted()))
        tokens = self.Slice(whole, self.ints(1), self.ints(2), self.ints(0))
        if self.spelling.positions == "sliced":
            return self.Add(x, self.Slice(places, self.ints(0), tokens, self.ints(0)))
        end = self.Squeeze(tokens, self.ints(0))
        zero, one = (self.constant(f"index {n}", np.int64(n)) for n in (0, 1))
        order = self.Unsqueeze(self.Range(zero, end, one), self.ints(0))
        return self.Add(x, self.Gather(places, order))

    def counted(self) -> Any:
        """Places of tokens that are no padding, from padding's own, 1, on."""
        padding = self.constant("index 1", np.int64(1))
        there = self.Cast(self.Not(self.Equal(self.ids, padding)), to=ir.DataType.INT32.value)
        before = self.CumSum(there, self.constant("axis 1", np.int32(1)))
        places = self.Cast(self.Mul(before, there), to=ir.DataType.INT64.value)
        return self.Add(places, padding)

    def added_mask(self) -> Any:
        """What is added to scores, from the input of the mask."""
        how = self.spelling.mask
        mask = self.inputs[1]
        keys = self.Unsqueeze(mask, self.ints(1, 2))
        if how == "product":
            there = self.Cast(keys, to=ir.DataType.FLOAT.value)
            return self.Mul(self.Sub(self.number(1.0), there), self.number(-10_000.0))
        if how == "query's":
            keys = self.Unsqueeze(mask, self.ints(1, 3))
        keep = self.Cast(keys, to=ir.DataType.BOOL.value)
        far = self.number(-math.inf if how in ("infinite", "bare") else FAR)
        spread = self.Where(keep, self.number(0.0), far)
        if how == "query's":
            return spread
        whole = self.Shape(self.ids)
        tokens = self.Slice(whole, self.ints(1), self.ints(2), self.ints(0))
        batch = self.Slice(whole, self.ints(0), self.ints(1), self.ints(0))
        target = self.Concat(batch, self.ints(1), tokens, tokens, axis=0)
        return self.Expand(spread, target)

    def attention(self, x: Any, name: str, mask: Any) -> Any:
        """Attention of several heads, with its output's product."""
        width, heads = self.width, self.heads
        each = width // heads
        q, k, v = (self.dense(x, f"{name}.{part}", width, width) for part in ("q", "k", "v"))
        q, k, v = (self.Reshape(y, self.shape(0, 0, heads, each)) for y in (q, k, v))
        q, v = (self.Transpose(y, perm=[0, 2, 1, 3]) for y in (q, v))
        k = self.turned(k, each)
        scores = self.scores(q, k, each)
        if mask is not None:
            scores = self.Add(scores, mask)
        p = self.Softmax(scores, axis=-1)
        if self.spelling.mask == "infinite":
            p = self.Where(self.IsNaN(p), self.number(0.0), p)
        mixed = self.Transpose(self.MatMul(p, v), perm=[0, 2, 1, 3])
        joined = self.Reshape(mixed, self.shape(0, 0, width))
        return self.dense(joined, f"{name}.out", width, width)

    def layer(self, x: Any, n: int, inner: int, mask: Any) -> Any:
        """Attention and what feeds forward, each with x around it and a norm after."""
        width, name = self.width, f"layer{n}"
        x = self.norm(self.Add(self.attention(x, name, mask), x), f"{name}.norm1")
        up = self.gelu(self.dense(x, f"{name}.up", width, inner))
        return self.norm(self.Add(self.dense(up, f"{name}.down", inner, width), x), f"{name}.norm2")

    def turned(self, k: Any, each: int) -> Any:
        """Keys (b, t, h, d) -> (b, h, d, t)."""
        if self.spelling.keys == "one":
            return self.Transpose(k, perm=[0, 2, 3, 1])
        apart = self.Transpose(k, perm=[0, 2, 1, 3])  # (b, h, t, d)
        sizes = self.Shape(apart)
        first = self.Slice(sizes, self.ints(0), self.ints(2), self.ints(0))
        tokens = self.Slice(sizes, self.ints(2), self.ints(3), self.ints(0))
        flat = self.Reshape(apart, self.Concat(self.ints(-1), tokens, self.ints(each), axis=0))
        turned = self.Transpose(flat, perm=[0, 2, 1])
        return self.Reshape(turned, self.Concat(first, self.ints(each), tokens, axis=0))

    def scores(self, q: Any, k: Any, each: int) -> Any:
        """Products of queries and keys, scaled."""
        root = math.sqrt(each)
        how = self.spelling.scale
        if how == "both":
            some = self.number(1 / math.sqrt(root))
            return self.MatMul(self.Mul(q, some), self.Mul(k, some))
        if how == "query":
            return self.MatMul(self.Mul(q, self.number(1 / root)), k)
        if how == "query divided":
            return self.MatMul(self.Div(q, self.number(root)), k)
        scores = self.MatMul(q, k)
        if how == "divided":
            return self.Div(scores, self.number(root))
        return self.Mul(scores, self.number(1 / root))

    def head(self, x: Any) -> Any:
        """From all tokens to two logits."""
        if self.spelling.pooled == "first":
            first = self.Gather(x, self.constant("index 0", np.int64(0)), axis=1)
        else:
            first = self.mean(x, 1, keepdims=0)
        pooled = self.Tanh(self.dense(first, "pooler", self.width, self.width))
        return self.dense(pooled, "classifier", self.width, 2)


def bert(
    spelling: Spelling = Spelling(),
    *,
    layers: int = 2,
    width: int = 16,
    heads: int = 4,
    inner: int = 32,
    words: int = 40,
    positions: int = 24,
    seed: int = 0,
) -> Any:
    """A classifier, (b, t) -> logits (b, 2)."""
    to = Writer(spelling, seed, layers, width, heads)
    x = to.norm(to.embedded(words, positions), "embed.norm")
    mask = None if spelling.mask == "none" else to.added_mask()
    for n in range(layers):
        x = to.layer(x, n, inner, mask)
    logits = to.head(x)
    logits.shape = ir.Shape(["b", 2])
    return to.model({"logits": logits})


def sketch(
    build: Callable[[Writer], Any], spelling: Spelling = Spelling(mask="none"), *, seed: int = 0
) -> Any:
    """What a test writes, as a model whose outputs are called out0, out1 ...

    Args:
        build: writes nodes and returns the output, or several.
        spelling: says which inputs there are, and the opset.
        seed: of chance.
    """
    to = Writer(spelling, seed, layers=1, width=16, heads=4)
    made = build(to)
    outputs = made if isinstance(made, tuple) else (made,)
    return to.model({f"out{n}": output for n, output in enumerate(outputs)})


def kinds(model: Any) -> list[str]:
    """Operators of a graph, in order."""
    return [node.op_type for node in model.graph]


def count(model: Any, kind: str) -> int:
    """How many nodes of a kind a graph has."""
    return kinds(model).count(kind)


_SWAPPED = frozenset({"Add", "Mul"})


def wiring(model: Any) -> Any:
    """A graph without names and numbers: what reads what, and the sizes of weights."""
    known: dict[Any, Any] = {}

    def of(value: Any) -> Any:
        if value is None:
            return None
        if value not in known:
            array, node = array_of(value), value.producer()
            if array is not None:
                known[value] = (array.dtype.name, array.shape)
            elif node is None:
                known[value] = value.name
            else:
                read = [of(one) for one in node.inputs]
                if node.op_type in _SWAPPED:
                    read.sort(key=repr)
                told = {
                    k: str(a.value) for k, a in node.attributes.items() if a.type.name != "FLOAT"
                }
                known[value] = hash((node.op_type, repr(sorted(told.items())), repr(read)))
        return known[value]

    return [of(output) for output in model.graph.outputs]


def fired(outcome: Outcome, rule: str) -> int:
    """How often a rule fired."""
    return sum(place.rule == rule for place in outcome.fired)


def reasons(outcome: Outcome, rule: str) -> set[str]:
    """Why a rule did not fire."""
    return {place.reason for place in outcome.refused if place.rule == rule}


def answers(model: Any, seed: int = 7) -> list[list[NDArray[Any]]]:
    """Outputs on seeded inputs, with padding where there is a mask."""
    inputs = [feeds_of(model, b, t, seed + t) for b, t in ((1, 1), (1, 9), (3, 6), (2, 24))]
    names = [output.name for output in model.graph.outputs]
    return run_graph(model, inputs, names)


def assert_same(before: Any, after: Any, tolerance: float) -> None:
    """Two graphs answer alike, and the second one is well-formed."""
    assert fault_of(after) == ""
    assert largest_difference(answers(before), answers(after)) <= tolerance


def assert_settled(apply: Callable[[Any], Outcome], model: Any) -> None:
    """A second time nothing fires and nothing changes."""
    written = kinds(model)
    again = apply(model)
    assert again.fired == ()
    assert kinds(again.model) == written


def by(*rules: Any) -> Callable[[Any], Outcome]:
    """Rules as a step: where they fired, and why they did not."""

    def apply(model: Any) -> Outcome:
        return Outcome(model, applied(model, rules), refused(model, rules))

    return apply


def proved(apply: Callable[[Any], Outcome], model: Any, tolerance: float) -> Outcome:
    """What a step makes of a graph: answers alike, well-formed, settled, and not nothing."""
    outcome = apply(copied(model))
    assert_same(model, outcome.model, tolerance)
    assert_settled(apply, copied(outcome.model))
    # Answers that hardly differ would be alike whatever became of the graph.
    assert np.std(np.concatenate([a.ravel() for found in answers(model) for a in found])) > 0.05
    return outcome


def left_alone(apply: Callable[[Any], Outcome], model: Any) -> Outcome:
    """What a step says of a graph that it does not change."""
    written = serialised(model)
    outcome = apply(copied(model))
    assert outcome.fired == ()
    assert kinds(outcome.model) == kinds(model)
    assert largest_difference(answers(model), answers(outcome.model)) == 0.0
    assert serialised(model) == written
    return outcome


def names(places: tuple[Fired, ...]) -> set[str]:
    """Rules that fired."""
    return {place.rule for place in places}


def reader(pieces: int, positions: int, layers: int = 2) -> Any:
    """A reader as our own exporter spells it: ids, fields -> log_odds (b,), shares (b, t)."""
    spelling = Spelling(
        shapes="constants", mask="none", gelu="node", positions="sliced", kinds="input", opset=20
    )
    to = Writer(spelling, 0, layers, width=16, heads=4)
    for value, name in zip(to.inputs, ("ids", "fields"), strict=True):
        value.name = name
    types = to.Gather(to.weight("fields.table", len(FIELDS), to.width), to.inputs[1])
    rows = to.Slice(
        to.weight("position.table", positions, to.width),
        to.ints(0),
        to.Shape(to.ids, start=1, end=2),
        to.ints(0),
    )
    x = to.norm(to.Add(to.Add(to.looked_up(pieces), types), rows), "embed.norm")
    for n in range(layers):
        x = to.layer(x, n, 32, None)
    shares = to.Squeeze(to.dense(x, "head", to.width, 1), to.ints(2))
    model = to.model({"log_odds": to.mean(shares, 1, keepdims=0), "shares": shares})
    sizes = {"pieces": pieces, "fields": len(FIELDS), "positions": positions}
    model.metadata_props.update({name: str(size) for name, size in sizes.items()})
    return model
