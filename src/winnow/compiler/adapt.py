"""A text classifier's graph, however it was exported -> a graph with the contract of ours.

    ids (b, t) int64, fields (b, t) int64  ->  log_odds (b,) float32 [, shares (b, t) float32]

Messages are read one at a time at their exact length. So a mask becomes ones, as long as the ids,
and token types become zeros; `fold` removes later what they do. A final softmax or sigmoid is left
off, and what is left of two classes is the difference of their logits, computed by one row of the
last matrix where that is a constant.

    softmax:  log p / (1 - p) = l_spam - log sum_others exp l
    sigmoid:  log p / (1 - p) = l_spam

Where the last product is of the mean over all tokens, it is applied to each token and the mean
taken after it: the same number, and it says what each token added (as model/export.py does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import copied, drop_unused
from winnow.compiler.head import SIGMOID, Head, Last, averaged, before_final, last_product
from winnow.compiler.inputs import IDS, KINDS, MASK, POSITIONS, roles_of, vocabulary_of
from winnow.errors import InputError

INPUTS, LOG_ODDS, SHARES = ("ids", "fields"), "log_odds", "shares"
_SHAPES = (["batch"], ["batch", "tokens"])


@dataclass(frozen=True, slots=True)
class Adapted:
    """A graph with the contract of ours.

    Attributes:
        model: the graph, without metadata.
        head: what its answer was made of.
        pieces: rows of its table of embeddings.
        shares: whether it says what each token added.
    """

    model: ir.Model
    head: Head
    pieces: int
    shares: bool


def check_lengths(model: ir.Model) -> None:
    """Refuse a graph that takes no texts, or those of one length only.

    Raises:
        InputError: so it is, and how to export it.
    """
    roles = roles_of(model)
    for value in model.graph.inputs:
        if value.name not in roles or value.shape is None:
            continue
        batch, tokens = value.shape
        if isinstance(tokens, int):
            raise InputError(
                f"the input {value.name!r} is of {tokens} tokens always; export it with a dynamic "
                "axis for them (dynamic_axes or dynamic_shapes)."
            )
        if isinstance(batch, int) and batch != 1:
            raise InputError(
                f"the input {value.name!r} is of {batch} texts at a time; export it for one, or "
                "with a dynamic axis."
            )


def adapt(model: ir.Model, head: Head) -> Adapted:
    """Give a graph the contract of ours.

    Args:
        model: a text classifier, left as it is.
        head: where its answer is; with more than two classes the answer is that for `head.spam`
            against the rest.

    Raises:
        InputError: it looks ids up in no table, or has an input that nobody can fill.
    """
    pieces = vocabulary_of(model)
    model = copied(model)
    output = next(value for value in model.graph.outputs if value.name == head.output)
    logits, _ = before_final(output, head.classes)
    for value in _values(model.graph):  # names that are ours now
        if value.name in (*INPUTS, LOG_ODDS, SHARES):
            value.name = f"{value.name}.before"
    _fill_inputs(model)
    answers = _answers(_Builder(model.graph), logits, head)
    model.graph.outputs[:] = answers
    for value, name, shape in zip(answers, (LOG_ODDS, SHARES), _SHAPES, strict=False):
        value.name, value.shape = name, ir.Shape(shape)
        value.type = ir.TensorType(ir.DataType.FLOAT)
    model.metadata_props.clear()
    drop_unused(model)
    return Adapted(model, head, pieces, len(answers) > 1)


def _values(graph: ir.Graph) -> list[ir.Value]:
    made = [value for node in graph for value in node.outputs]
    return [*graph.inputs, *graph.initializers.values(), *made]


class _Builder:
    """Adds nodes at the end of a graph, or before a node."""

    def __init__(self, graph: ir.Graph, before: ir.Node | None = None) -> None:
        self.graph = graph
        self.opset = graph.opset_imports.get("", 0)
        self._before = before
        self._count = 0

    def op(self, kind: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        self._count += 1
        name = self._free(f"import.{kind.lower()}")
        node = ir.node(kind, inputs, attributes or None, name=name)
        node.outputs[0].name = f"{name}:0"
        if self._before is None:
            self.graph.append(node)
        else:
            self.graph.insert_before(self._before, node)
        return node.outputs[0]

    def constant(self, name: str, array: NDArray[Any]) -> ir.Value:
        value = ir.Value(name=self._free(name), const_value=ir.tensor(array))
        value.type, value.shape = ir.TensorType(value.const_value.dtype), value.const_value.shape
        self.graph.register_initializer(value)
        return value

    def ints(self, *values: int) -> ir.Value:
        return self.constant("import.ints", np.array(values, dtype=np.int64))

    def index(self, value: int) -> ir.Value:
        return self.constant("import.index", np.array(value, dtype=np.int64))

    def reduced(self, kind: str, x: ir.Value, axis: int) -> ir.Value:
        """A reduction over one axis, which goes; axes became an input with opset 18."""
        if self.opset < 18:
            return self.op(kind, x, axes=[axis], keepdims=0)
        return self.op(kind, x, self.ints(axis), keepdims=0)

    def flat(self, x: ir.Value) -> ir.Value:
        """(b, 1) or (b,) -> (b,)."""
        return self.op("Reshape", x, self.ints(-1))

    def _free(self, name: str) -> str:
        taken = {value.name for value in _values(self.graph)}
        taken |= {node.name for node in self.graph}
        tries = (f"{name}.{n}" for n in range(len(taken) + 1))
        return next(one for one in tries if one not in taken and f"{one}:0" not in taken)


def _fill_inputs(model: ir.Model) -> None:
    """Put our inputs in the place of the graph's own."""
    graph = model.graph
    roles = roles_of(model)
    old = {roles[value.name or ""]: value for value in graph.inputs if value.name in roles}
    batch = old[IDS].shape[0] if old[IDS].shape is not None else "batch"
    ids, fields = (
        ir.Value(
            name=name,
            type=ir.TensorType(ir.DataType.INT64),
            shape=ir.Shape([batch if isinstance(batch, int) else "batch", "tokens"]),
        )
        for name in INPUTS
    )
    build = _Builder(graph, before=graph[0])
    size = build.op("Shape", ids)
    filled = {
        IDS: lambda kind: _cast(build, ids, kind),
        MASK: lambda kind: _full(build, size, 1, kind),
        KINDS: lambda kind: _full(build, size, 0, kind),
        POSITIONS: lambda kind: _cast(build, _counted(build, size), kind),
    }
    for role, value in old.items():
        ir.convenience.replace_all_uses_with(value, filled[role](value.dtype))
    graph.inputs[:] = [ids, fields]


def _full(build: _Builder, size: ir.Value, number: int, kind: ir.DataType) -> ir.Value:
    value = ir.tensor(np.array([number], dtype=kind.numpy()))
    return build.op("ConstantOfShape", size, value=value)


def _cast(build: _Builder, ids: ir.Value, kind: ir.DataType) -> ir.Value:
    return ids if kind == ir.DataType.INT64 else build.op("Cast", ids, to=kind.value)


def _counted(build: _Builder, size: ir.Value) -> ir.Value:
    """0, 1, 2, … for each message, (b, t)."""
    zero, one = (build.constant("import.int", np.array(n, dtype=np.int64)) for n in (0, 1))
    tokens = build.op("Gather", size, one)
    return build.op("Expand", build.op("Range", zero, tokens, one), size)


def _answers(build: _Builder, logits: ir.Value, head: Head) -> list[ir.Value]:
    """Log-odds, and the shares of them where they can be had."""
    last = last_product(logits, head)
    if last is None:
        return [_from_logits(build, logits, head)]
    tokens = averaged(last.x)
    if tokens is None:
        return [build.flat(build.op("Gemm", last.x, *_weights(build, last)))]
    kernel, bias = _weights(build, last)
    each = build.op("Add", build.op("MatMul", tokens, kernel), bias)  # (b, t, 1)
    shares = build.op("Squeeze", each, build.ints(2))  # (b, t)
    return [build.reduced("ReduceMean", shares, 1), shares]


def _from_logits(build: _Builder, logits: ir.Value, head: Head) -> ir.Value:
    """Log-odds of logits, however they were computed."""
    if logits.dtype != ir.DataType.FLOAT:
        logits = build.op("Cast", logits, to=ir.DataType.FLOAT.value)
    if head.classes == 1:
        answer = build.flat(logits)
        return answer if head.spam else build.op("Neg", answer)
    spam = build.op("Gather", logits, build.index(head.spam), axis=1)
    if head.form == SIGMOID:
        return spam
    others = [n for n in range(head.classes) if n != head.spam]
    if len(others) == 1:
        return build.op("Sub", spam, build.op("Gather", logits, build.index(others[0]), axis=1))
    rest = build.op("Gather", logits, build.ints(*others), axis=1)
    return build.op("Sub", spam, build.reduced("ReduceLogSumExp", rest, 1))


def _weights(build: _Builder, last: Last) -> tuple[ir.Value, ir.Value]:
    """As (d, 1) and (1,)."""
    kernel = build.constant("import.kernel", last.kernel[:, None])
    return kernel, build.constant("import.bias", np.array([last.bias], dtype=np.float32))
