"""A graph as a picture needs it: plain values, constants folded into the nodes that read them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import onnx_ir as ir
from onnx_ir.passes import common

from winnow.errors import InputError

# A node that a rewrite rule made carries the rule's name under this key, as onnxscript writes it.
RULE = "pkg.onnxscript.rewriter.rule_name"
# What is larger is no picture that a person could read, and would take minutes to lay out.
MOST_NODES, MOST_WIRES = 4_000, 12_000
_DIMENSION_CHARS = 6
# A file may call an operator anything, and give a value any rank: what is longer is cut.
_OPERATOR_CHARS, _RANK = 60, 8


class Kind(StrEnum):
    """What a node is for; its value is the word of the legend."""

    PRODUCT = "product"
    ATTENTION = "attention"
    NORM = "normalisation"
    ACTIVATION = "activation"
    LOOK_UP = "look-up"
    INTEGER = "8-bit integers"
    ARITHMETIC = "arithmetic"
    SHAPE = "shapes and masks"


_KINDS = {
    Kind.PRODUCT: "MatMul Gemm FusedMatMul FusedGemm TransposeMatMul Einsum Conv GemmFastGelu",
    Kind.ATTENTION: "Attention MultiHeadAttention GroupQueryAttention PackedAttention Softmax "
    "BiasSoftmax RotaryEmbedding DecoderMaskedMultiHeadAttention PackedMultiHeadAttention",
    Kind.NORM: "LayerNormalization SkipLayerNormalization SimplifiedLayerNormalization "
    "SkipSimplifiedLayerNormalization RMSNormalization BatchNormalization GroupNormalization "
    "InstanceNormalization LpNormalization",
    Kind.ACTIVATION: "Gelu BiasGelu FastGelu QuickGelu Erf Tanh Relu Sigmoid HardSigmoid Swish "
    "HardSwish Mish Elu Selu LeakyRelu Softplus Softsign Celu PRelu",
    Kind.LOOK_UP: "EmbedLayerNormalization",
    Kind.INTEGER: "DynamicQuantizeLinear QuantizeLinear DequantizeLinear MatMulInteger "
    "ConvInteger QLinearMatMul QLinearConv QLinearAdd QAttention QGemm MatMulNBits "
    "DynamicQuantizeMatMul MatMulIntegerToFloat QEmbedLayerNormalization GatherBlockQuantized "
    "QOrderedMatMul",
    Kind.SHAPE: "Shape Size Reshape Transpose Squeeze Unsqueeze Flatten Concat Split Slice Expand "
    "Tile Pad Range ConstantOfShape Cast CastLike Identity Gather GatherND GatherElements "
    "ScatterND ScatterElements Where Equal Less LessOrEqual Greater GreaterOrEqual And Or Not Xor "
    "IsNaN IsInf NonZero OneHot CumSum Trilu EyeLike Compress BitwiseAnd BitwiseOr BitwiseNot",
}
_KIND_OF = {op: kind for kind, ops in _KINDS.items() for op in ops.split()}
_WHOLE = frozenset({ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL})


@dataclass(frozen=True, slots=True)
class Node:
    """One executable node.

    Attributes:
        op: its operator.
        name: its name, as the exporter wrote it: anything.
        kind: what it is for.
        inputs: names of values that it reads and that are computed or given.
        outputs: names of values that it makes.
        shape: of its first output, as "b×t×384", "" where unknown.
        weights: shapes of the constants that it reads.
        weight_bytes: of these constants.
        rules: that made it, none where it is as it was exported.
    """

    op: str
    name: str
    kind: Kind
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: str
    weights: tuple[str, ...]
    weight_bytes: int
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A graph.

    Attributes:
        nodes: in an order in which they can run.
        inputs: names of what it is given.
        outputs: names of what it answers.
        weight_bytes: of all its constants.
        shapes: of its values, by name, where known.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weight_bytes: int
    shapes: Mapping[str, str]

    def makers(self) -> dict[str, int]:
        """Value -> place of the node that makes it."""
        return {value: n for n, node in enumerate(self.nodes) for value in node.outputs}

    def readers(self) -> dict[str, list[int]]:
        """Value -> places of the nodes that read it, in order, each once."""
        found: dict[str, list[int]] = {}
        for n, node in enumerate(self.nodes):
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(n)
        return found


def sketch_of(model: ir.Model, shapes: Mapping[str, str] | None = None) -> Sketch:
    """Take down what a picture shows of a graph.

    Args:
        model: with its constants as initializers, as `graph.opened` leaves it.
        shapes: of values that the graph itself does not tell, by name.

    Raises:
        InputError: it is too large to be drawn.
    """
    count, wires = len(model.graph), sum(len(node.inputs) for node in model.graph)
    if count > MOST_NODES or wires > MOST_WIRES:
        raise InputError(
            f"a graph of {count:,} nodes with {wires:,} inputs is too large to be drawn (at most "
            f"{MOST_NODES:,} and {MOST_WIRES:,}); name a smaller one."
        )
    graph = _inferred(model).graph
    for node in graph:  # a value without a name would be taken for any other without one
        for value in node.outputs:
            value.name = value.name or f"unnamed {node.name} {value.index()}"
    known = dict(shapes or {})
    for node in graph:
        for value in node.outputs:
            if value.shape is not None and value.name:
                known[value.name] = _shape_text(value.shape)
    weights = graph.initializers.values()
    return Sketch(
        nodes=tuple(_node(node, known) for node in graph if node.op_type != "Constant"),
        inputs=tuple(v.name or "" for v in graph.inputs if v.name not in graph.initializers),
        outputs=tuple(value.name or "" for value in graph.outputs),
        weight_bytes=sum(_bytes(value) for value in weights),
        shapes=known,
    )


def kind_of(node: ir.Node) -> Kind:
    """What a node is for, by its operator, and by what it reads and makes where that tells more."""
    kind = _KIND_OF.get(node.op_type, Kind.ARITHMETIC)
    if node.op_type == "Gather" and _is_table(node.inputs[0]):
        return Kind.LOOK_UP
    made = node.outputs[0].dtype if node.outputs else None
    return Kind.SHAPE if kind is Kind.ARITHMETIC and made in _WHOLE else kind


def _inferred(model: ir.Model) -> ir.Model:
    """A copy with what onnx can tell of its shapes; it knows only the standard's operators.

    Where it fails, the copy has the shapes that the file has, which may be none.
    """
    copy = model.clone()
    log = logging.getLogger("onnx_ir.passes.common.shape_inference")
    log.disabled, was = True, log.disabled  # it logs a traceback where onnx finds a graph at fault
    try:
        common.ShapeInferencePass(check_type=False, strict_mode=False)(copy)
    finally:
        log.disabled = was
    return copy


def _node(node: ir.Node, shapes: Mapping[str, str]) -> Node:
    read = [value for value in node.inputs if value is not None]
    constants = [value for value in read if value.const_value is not None]
    outputs = tuple(value.name for value in node.outputs if value.name)
    return Node(
        op=node.op_type[:_OPERATOR_CHARS],
        name=node.name or "",
        kind=kind_of(node),
        inputs=tuple(v.name or "" for v in read if v.const_value is None),
        outputs=outputs,
        shape=shapes.get(outputs[0], "") if outputs else "",
        weights=tuple(_shape_text(v.const_value.shape) or "1" for v in constants),
        weight_bytes=sum(_bytes(value) for value in dict.fromkeys(constants)),
        rules=_rules(node.metadata_props.get(RULE, "")),
    )


def _rules(names: str) -> tuple[str, ...]:
    """A node that was made of nodes that other rules made has all their names."""
    return tuple(dict.fromkeys(name for name in names.split(", ") if name))


def _bytes(value: ir.Value) -> int:
    return int(value.const_value.nbytes) if value.const_value is not None else 0


def _is_table(value: ir.Value | None) -> bool:
    if value is None or value.const_value is None:
        return False
    return len(value.const_value.shape) == 2 and value.const_value.shape[0] > 1


def _shape_text(shape: ir.Shape) -> str:
    sizes = [_dimension(size) for size in shape]
    return "×".join([*sizes[:_RANK], "…"] if len(sizes) > _RANK else sizes)


def _dimension(size: object) -> str:
    """A size, or the letter that the docs have for it: b messages, t tokens; "?" where unknown.

    onnx calls a size that it cannot tell "unk__7".
    """
    if isinstance(size, int):
        return str(size)
    name = str(getattr(size, "value", size) or "?")
    for letter, words in (("b", "batch"), ("t", "seq|token|length")):
        if re.search(words, name) and name.isidentifier():
            return letter
    return name if len(name) <= _DIMENSION_CHARS and not name.startswith("unk__") else "?"
