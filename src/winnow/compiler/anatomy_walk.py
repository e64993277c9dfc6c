"""One attention or one feed-forward layer of a graph, found from a node in its middle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from winnow.compiler.graph import array_of

_NORMS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
# What may lie between the scores and the softmax, and between a projection and the scores: scaling,
# masks, rotations of positions.
_SCALING = frozenset({"Mul", "Div", "Add", "Sub", "Where", "Cast", "Identity"})
_SHAPING = frozenset({"Reshape", "Transpose", "Identity", "Unsqueeze", "Squeeze"})
_TURNING = frozenset({"Neg", "Slice", "Concat", "Split"}) | _SCALING
# Activations, however they are spelt: each number of the result is of one number of the input.
_BENT = frozenset(
    {"Gelu", "FastGelu", "Relu", "Erf", "Tanh", "Sigmoid", "Silu", "Swish", "QuickGelu", "Elu",
     "Softplus", "LeakyRelu", "HardSwish", "Mish", "Pow", "Clip"}
)  # fmt: skip
_STRAIGHT = frozenset({"Mul", "Div", "Add", "Sub", "Identity", "Cast"})
# Between a table of positions and what is added to the scores.
_FEEDING = _SCALING | _SHAPING | frozenset({"Gather", "Expand", "Slice", "Concat"})
_FAR = 40  # nodes that a walk takes at most


class AbsentError(Exception):
    """What was looked for is of another form; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Dense:
    """x @ kernel + bias; everything by name.

    Attributes:
        kernel: (in, out).
        bias: (out,), "" where there is none.
        reads: x.
        product: x @ kernel.
        gives: with the bias.
        sizes: in and out.
    """

    kernel: str
    bias: str
    reads: str
    product: str
    gives: str
    sizes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer or RMS norm; names of its weights, "" where it has none, and of its result."""

    scale: str
    shift: str
    gives: str


@dataclass(frozen=True, slots=True)
class Attention:
    """The first half of a layer.

    Attributes:
        query, key, value: projections, (d, h e).
        output: the projection back, (h e, d); it reads what the heads give.
        heads: h.
        size: e, width of a head.
        splits: results of the reshapes into heads.
        join: result of the reshape that puts them together.
        softmax: result of the softmax.
        enters: what its result is added to.
        sum: the result of that.
        norm: of the sum, where one follows.
        leaves: what the next half reads; "" where that is not told.
    """

    query: Dense
    key: Dense
    value: Dense
    output: Dense
    heads: int
    size: int
    splits: tuple[str, str, str]
    join: str
    softmax: str
    enters: str
    sum: str
    norm: Norm | None
    leaves: str

    @property
    def denses(self) -> tuple[Dense, ...]:
        """All products with weights."""
        return self.query, self.key, self.value, self.output


@dataclass(frozen=True, slots=True)
class Feed:
    """The second half of a layer.

    Attributes:
        ups: (d, f); two where one is the gate of the other.
        down: (f, d); it reads the activations.
        enters, sum, norm, leaves: as of an attention.
    """

    ups: tuple[Dense, ...]
    down: Dense
    enters: str
    sum: str
    norm: Norm | None
    leaves: str

    @property
    def neurons(self) -> int:
        """How many there are, f."""
        return self.down.sizes[0]


def is_weight(value: ir.Value | None, rank: int | None = None) -> bool:
    """Whether a value is stored, in floats, and of a rank."""
    tensor = None if value is None or value.is_graph_input() else value.const_value
    if tensor is None or tensor.dtype not in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        return False
    return rank is None or len(tensor.shape) == rank


def dense_of(node: ir.Node) -> Dense | None:
    """The product with weights that a node is, with the bias that follows it."""
    if node.op_type != "MatMul" or not is_weight(node.inputs[1], rank=2):
        return None
    reads, kernel = node.inputs
    into, out = (int(size) for size in kernel.const_value.shape)
    product = gives = node.outputs[0]
    bias = ""
    after = only_user(product)
    if after is not None and after.op_type == "Add":
        other = after.inputs[1] if after.inputs[0] is product else after.inputs[0]
        if (
            is_weight(other)
            and other.const_value.size == out
            and other.const_value.shape[-1] == out
        ):
            bias, gives = other.name or "", after.outputs[0]
    names = (kernel.name or "", bias, reads.name or "", product.name or "", gives.name or "")
    return Dense(*names, (into, out))


def norm_of(node: ir.Node) -> Norm | None:
    """The norm that a node is."""
    if node.op_type not in _NORMS:
        return None
    scale, shift = [*node.inputs[1:3], None, None][:2]
    return Norm(_name(scale), _name(shift), _name(node.outputs[0]))


def _name(value: ir.Value | None) -> str:
    return "" if value is None else value.name or ""


def only_user(value: ir.Value) -> ir.Node | None:
    """The node that reads a value, if there is just one and it is no output."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def attention_at(softmax: ir.Node) -> Attention:
    """The attention that a softmax is of.

    Raises:
        AbsentError: it is of none, or of one of another form.
    """
    scores = _scores(softmax.inputs[0])
    mixing = _next(softmax.outputs[0], {"MatMul"}, "its result is not mixed with values")
    if mixing.inputs[0] is not softmax.outputs[0]:
        raise AbsentError("its result is not mixed with values")
    parts = [
        _projection(value, name)
        for value, name in zip(
            (*scores.inputs, mixing.inputs[1]), ("query", "key", "value"), strict=True
        )
    ]
    if len({size for _, _, size in parts}) != 1:
        raise AbsentError("queries, keys and values have different heads")
    heads, each = parts[0][2]
    _check_shared(softmax.inputs[0], scores, heads)
    joins = []
    node = _next(mixing.outputs[0], _SHAPING | {"MatMul"}, "its result is used in two ways")
    while node.op_type != "MatMul":
        joins += [node] if node.op_type == "Reshape" else []
        node = _next(node.outputs[0], _SHAPING | {"MatMul"}, "its heads are not put together")
    output = dense_of(node)
    if output is None or len(joins) != 1 or output.sizes[0] != heads * each:
        raise AbsentError("its heads are not put together by one reshape and one product")
    query, key, value = (dense for dense, _, _ in parts)
    splits = tuple(reshape.outputs[0].name or "" for _, reshape, _ in parts)
    enters, total, norm = _residual(node, output)
    return Attention(
        query, key, value, output, heads, each, (splits[0], splits[1], splits[2]),
        joins[0].outputs[0].name or "", softmax.outputs[0].name or "",
        enters, total, norm, _leaves(query.reads, enters, total, norm),
    )  # fmt: skip


def feed_at(node: ir.Node) -> Feed:
    """The feed-forward layer that a product with weights ends.

    Raises:
        AbsentError: it ends none.
    """
    down = dense_of(node)
    assert down is not None
    ups: dict[str, Dense] = {}
    bent = False
    for before in _before(node.inputs[0], _BENT | _STRAIGHT):
        bent = bent or before.op_type in _BENT
        up = dense_of(before) if before.op_type == "MatMul" else None
        if up is not None:
            ups[up.product] = up
        elif before.op_type not in _BENT | _STRAIGHT:
            raise AbsentError(f"its input comes from {before.op_type}, no activation")
    if not bent or not 1 <= len(ups) <= 2:
        raise AbsentError("its input is no activation of a product with weights")
    first = next(iter(ups.values()))
    if any(up.sizes != (down.sizes[1], down.sizes[0]) for up in ups.values()):
        raise AbsentError("its sizes are not those of a feed-forward layer")
    if any(up.reads != first.reads for up in ups.values()):
        raise AbsentError("the gate reads something else than what it gates")
    _check_constants(node.inputs[0], ups, down.sizes[0])
    enters, total, norm = _residual(node, down)
    leaves = _leaves(first.reads, enters, total, norm)
    return Feed(tuple(ups.values()), down, enters, total, norm, leaves)


def _check_constants(value: ir.Value, ups: dict[str, Dense], neurons: int) -> None:
    """A constant for each neuron beside the biases would have to be cut, too; there is none."""
    biases = {up.bias for up in ups.values()}
    for node in _before(value, _BENT | _STRAIGHT):
        for other in node.inputs if node.op_type != "MatMul" else ():
            if is_weight(other) and other.const_value.size > 1 and other.name not in biases:
                raise AbsentError(f"{node.op_type} has a constant for each of {neurons} neurons")


def _scores(value: ir.Value | None) -> ir.Node:
    """The product of queries and keys that a softmax is of."""
    for node in _before(value, _SCALING):
        if node.op_type == "MatMul" and not any(map(is_weight, node.inputs)):
            return node
    raise AbsentError("its input is no product of queries and keys")


def _check_shared(value: ir.Value | None, scores: ir.Node, heads: int) -> None:
    """What is added to the scores is the same for all heads, so that any of them may go."""
    walked = set(_before(scores.outputs[0], _FEEDING))
    for node in _before(value, _FEEDING):
        if node in walked:
            continue
        for other in node.inputs:
            if is_weight(other) and heads > 1 and heads in tuple(other.const_value.shape)[-3:]:
                raise AbsentError("something else is added to the scores of each head")


def _projection(value: ir.Value | None, name: str) -> tuple[Dense, ir.Node, tuple[int, int]]:
    """A projection, its reshape into heads, and (heads, width of a head)."""
    dense, reshapes = None, []
    for node in _before(value, _SHAPING | _TURNING):
        if node.op_type == "Reshape":
            reshapes.append(node)
        found = dense_of(node)
        if found is not None and dense is not None:
            raise AbsentError(f"the {name} comes of two products")
        dense = found or dense
    if dense is None:
        raise AbsentError(f"the {name} is no product with weights")
    target = array_of(reshapes[0].inputs[1]) if len(reshapes) == 1 else None
    if target is None or target.shape != (4,):
        raise AbsentError(f"the {name} is not cut into heads by one reshape of constant sizes")
    heads, each = (int(size) for size in target[2:])
    heads = dense.sizes[1] // max(each, 1) if heads == -1 else heads
    each = dense.sizes[1] // heads if each == -1 else each
    if heads * each != dense.sizes[1]:
        raise AbsentError(f"the {name} is packed with others into one product")
    return dense, reshapes[0], (heads, each)


def _before(value: ir.Value | None, through: frozenset[str]) -> Iterator[ir.Node]:
    """Nodes that a value is made by, nearest first; not beyond those that are not walked through.

    A reshape is followed to what it shapes, not to its sizes.
    """
    waiting: list[ir.Value | None] = [value]
    seen: set[ir.Node] = set()
    while waiting and len(seen) < _FAR:
        node = None if (found := waiting.pop(0)) is None else found.producer()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        if node.op_type in through:
            waiting += node.inputs[:1] if node.op_type in _SHAPING else node.inputs


def _next(value: ir.Value, kinds: frozenset[str] | set[str], reason: str) -> ir.Node:
    node = only_user(value)
    if node is None or node.op_type not in kinds:
        raise AbsentError(reason)
    return node


def _residual(node: ir.Node, dense: Dense) -> tuple[str, str, Norm | None]:
    """What a half's result is added to, the sum, and the norm of it."""
    product = node.outputs[0]
    value = product
    if dense.gives != dense.product:
        after = only_user(product)
        assert after is not None
        value = after.outputs[0]
    add = _next(value, {"Add"}, "its result is not added to what it read")
    other = add.inputs[1] if add.inputs[0] is value else add.inputs[0]
    if other is None or other.const_value is not None or other is value:
        raise AbsentError("its result is not added to what it read")
    after = only_user(add.outputs[0])
    norm = norm_of(after) if after is not None else None
    return other.name or "", add.outputs[0].name or "", norm


def _leaves(reads: str, enters: str, total: str, norm: Norm | None) -> str:
    """What the next half reads: of a norm after the sum (BERT) its result, else the sum."""
    if reads != enters:  # a norm stands before
        return total
    return norm.gives if norm is not None else ""
