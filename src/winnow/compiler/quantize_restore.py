"""The way back: products and look-ups of integers -> of 32-bit floats, with the weights of before.

What was rounded stays rounded: the floats are those that the integers stand for. Then what needs
floats (fold, prune, fuse, another quantization) can start from a model that ships quantized. All
forms that `quantize_forms` writes are read back, those that fusing makes of them, and unsigned
bytes around 128, which Winnow shipped before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import array_of, copied, drop_unused
from winnow.compiler.quantize_build import Builder
from winnow.compiler.quantize_weights import unpacked

F32 = NDArray[np.float32]

_ROUNDING = frozenset({"DynamicQuantizeLinear", "QuantizeLinear"})
# What quantization adds to the names of nodes and of weights.
_NODE_ENDS = (".integer", ".nibbles", ".rows", ".row")
_WEIGHT_ENDS = (".row_steps", ".steps")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a node of integers is in floats.

    Attributes:
        last: the node whose output is the same number.
        kind: operator to write.
        inputs: but for the weights.
        weights: of floats.
        bias: of a product that has it built in.
        options: attributes.
    """

    last: ir.Node
    kind: str
    inputs: Sequence[ir.Value | None]
    weights: F32
    bias: ir.Value | None = None
    options: dict[str, Any] | None = None


def restored(model: ir.Model) -> ir.Model:
    """Return a copy of a graph whose products and look-ups are of floats.

    What is of integers in a form that is not known stays as it is.
    """
    copy = copied(model)
    build = Builder(copy)
    for node in list(copy.graph):
        if node.op_type == "QAttention":
            _unpack(build, node)
            continue
        found = _READERS[node.op_type](node) if node.op_type in _READERS else None
        if found is not None:
            _write(build, node, found)
            drop_unused(copy)
    return copy


def _integer_product(node: ir.Node) -> _Found | None:
    """MatMulInteger -> Cast -> Mul by both scales."""
    cast = _only_use(node.outputs[0], "Cast")
    last = None if cast is None else _only_use(cast.outputs[0], "Mul")
    if cast is None or last is None:
        return None
    both = _other(last, cast.outputs[0]).producer()
    rounding = _made_by(node.inputs[0], _ROUNDING)
    if both is None or both.op_type != "Mul" or rounding is None:
        return None
    own = [value for value in both.inputs if value is not _scale_of(rounding)]
    if len(own) != 1:
        return None
    weights = _matrix(node.inputs[1], own[0], _input(node, 3))
    return None if weights is None else _with_few(last, rounding.inputs[0], weights)


def _fused_product(node: ir.Node) -> _Found | None:
    """MatMulIntegerToFloat."""
    rounding = _made_by(node.inputs[0], _ROUNDING)
    weights = _matrix(node.inputs[1], _input(node, 3), _input(node, 5))
    if rounding is None or weights is None or _scale_of(rounding) is not node.inputs[2]:
        return None
    return _with_few(node, rounding.inputs[0], weights, _input(node, 6))


def _dynamic_product(node: ir.Node) -> _Found | None:
    """DynamicQuantizeMatMul."""
    weights = _matrix(node.inputs[1], _input(node, 2), _input(node, 3))
    return None if weights is None else _with_few(node, node.inputs[0], weights, _input(node, 4))


def _with_few(
    last: ir.Node, x: ir.Value | None, weights: F32, bias: ir.Value | None = None
) -> _Found:
    """A product, together with that of the inputs which stayed in floats beside it."""
    plain = _Found(last, "MatMul", [x], weights, bias)
    mask, both = _made_by(x, {"Mul"}), _only_use(last.outputs[0], "Add")
    if mask is None or both is None:
        return plain
    beside = _made_by(_other(both, last.outputs[0]), {"MatMul"})
    few = None if beside is None else _made_by(beside.inputs[0], {"Gather"})
    if beside is None or few is None or few.inputs[0] is not mask.inputs[0]:
        return plain
    kept, places, rest = (array_of(v) for v in (mask.inputs[1], few.inputs[1], beside.inputs[1]))
    if kept is None or places is None or rest is None or kept.shape != weights.shape[:1]:
        return plain
    whole = weights * kept[:, None]
    whole[places] = rest
    return _Found(both, "MatMul", [mask.inputs[0]], whole, bias)


def _nibble_product(node: ir.Node) -> _Found | None:
    """MatMulNBits of 4 bits without zeros of its own."""
    k, n, size = (node.attributes[name].value for name in ("K", "N", "block_size"))
    data, scales = array_of(node.inputs[1]), array_of(node.inputs[2])
    if node.attributes["bits"].value != 4 or data is None or scales is None:
        return None
    if any(value is not None for value in node.inputs[3:]):
        return None
    scales = scales.reshape(n, -1)
    steps = unpacked(data.reshape(n, -1), scales.shape[1] * size)
    matrix = (steps * np.repeat(scales, size, axis=1)).astype(np.float32)
    return _Found(node, "MatMul", [node.inputs[0]], np.ascontiguousarray(matrix[:, :k].T))


def _block_table(node: ir.Node) -> _Found | None:
    """GatherBlockQuantized of rows of bytes, without zeros of its own."""
    options = {name: found.value for name, found in node.attributes.items()}
    data, scales = array_of(node.inputs[0]), array_of(node.inputs[2])
    bits = options.get("bits", 4)
    if data is None or scales is None or _input(node, 3) is not None or data.ndim != 2:
        return None
    if data.dtype != np.uint8 or options.get("gather_axis", 0) or bits not in (4, 8):
        return None
    width = data.shape[1] * 8 // bits
    steps = unpacked(data, width) if bits == 4 else data.astype(np.float32) - 128
    spread = np.repeat(scales, options["block_size"], axis=1)[:, :width]
    return _Found(node, "Gather", [node.inputs[1]], (steps * spread).astype(np.float32))


def _integer_table(node: ir.Node) -> _Found | None:
    """Gather or Slice of bytes -> Cast (-> Sub of 128) -> Mul by scales of the rows."""
    steps, cast = array_of(node.inputs[0]), _only_use(node.outputs[0], "Cast")
    if steps is None or steps.dtype not in (np.int8, np.uint8) or cast is None:
        return None
    centred = _only_use(cast.outputs[0], "Sub") or cast
    zero = array_of(centred.inputs[1]) if centred is not cast else np.float32(0)
    last = _only_use(centred.outputs[0], "Mul")
    each = None if last is None else _other(last, centred.outputs[0]).producer()
    if last is None or each is None or zero is None or zero.size != 1:
        return None
    scales = array_of(each.inputs[0])
    if each.op_type != node.op_type or scales is None or scales.shape != (len(steps), 1):
        return None
    if each.inputs[1:] != node.inputs[1:]:
        return None
    table = ((steps.astype(np.float32) - zero) * scales).astype(np.float32)
    options = {name: found.value for name, found in node.attributes.items()}
    return _Found(last, node.op_type, node.inputs[1:], table, options=options)


def _unpack(build: Builder, node: ir.Node) -> None:
    """QAttention -> three products and MultiHeadAttention, in place."""
    rounding = _made_by(node.inputs[0], _ROUNDING)
    bias, kernel = array_of(node.inputs[2]), node.inputs[1]
    weights = _matrix(kernel, _input(node, 4), _input(node, 7))
    if rounding is None or bias is None or weights is None or kernel is None or bias.size % 3:
        return
    name = _without(kernel.name or "weights", (".steps.packed", ".packed"))
    parts: list[ir.Value | None] = []
    arrays = zip(np.split(weights, 3, axis=1), np.split(bias, 3), strict=True)
    for part, (matrix, vector) in zip(("query", "key", "value"), arrays, strict=True):
        inputs = [rounding.inputs[0], build.constant(f"{name}.{part}", matrix)]
        product = build.add(node, "MatMul", inputs, f"{node.name}.{part}")
        added = [product, build.constant(f"{name}.{part}.bias", vector)]
        parts.append(build.add(node, "Add", added, f"{node.name}.{part}.add"))
    mask = _input(node, 5)
    options = {name: found.value for name, found in node.attributes.items()}
    whole = build.add(
        node, "MultiHeadAttention", [*parts, *([] if mask is None else [None, mask])],
        f"{node.name}.restored", node.domain, **options,
    )  # fmt: skip
    build.replace(node, whole)


_READERS: dict[str, Callable[[ir.Node], _Found | None]] = {
    "MatMulInteger": _integer_product,
    "MatMulIntegerToFloat": _fused_product,
    "DynamicQuantizeMatMul": _dynamic_product,
    "MatMulNBits": _nibble_product,
    "GatherBlockQuantized": _block_table,
    "Gather": _integer_table,
    "Slice": _integer_table,
}


def _matrix(steps: ir.Value | None, scales: ir.Value | None, zero: ir.Value | None) -> F32 | None:
    """(steps - zero) * scales, (i, o), or None where one of them is computed."""
    bytes_, factors = array_of(steps), array_of(scales)
    offset = np.zeros(1, dtype=np.int32) if zero is None else array_of(zero)
    if bytes_ is None or factors is None or offset is None or bytes_.ndim != 2:
        return None
    whole = bytes_.astype(np.int32) - offset.astype(np.int32)
    found: F32 = (whole * factors.reshape(-1)).astype(np.float32)
    return found


def _write(build: Builder, node: ir.Node, found: _Found) -> None:
    """Put a node of floats in the place of the last one of integers."""
    at = 1 if found.kind == "MatMul" else 0
    weights = node.inputs[at]
    assert weights is not None
    kernel = build.constant(_without(weights.name or "weights", _WEIGHT_ENDS), found.weights)
    inputs = [*found.inputs]
    inputs.insert(at, kernel)
    own = _without(node.name or found.kind, _NODE_ENDS)
    made = build.add(found.last, found.kind, inputs, own, **(found.options or {}))
    if found.bias is not None:
        made = build.add(found.last, "Add", [made, found.bias], f"{own}.bias")
    build.replace(found.last, made)


def _without(name: str, ends: Sequence[str]) -> str:
    for end in ends:
        if name.endswith(end):
            return name[: -len(end)]
    return name


def _input(node: ir.Node, place: int) -> ir.Value | None:
    return node.inputs[place] if place < len(node.inputs) else None


def _made_by(value: ir.Value | None, kinds: frozenset[str] | set[str]) -> ir.Node | None:
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type in kinds else None


def _scale_of(rounding: ir.Node) -> ir.Value | None:
    if rounding.op_type == "DynamicQuantizeLinear":
        return rounding.outputs[1]
    return rounding.inputs[1]


def _only_use(value: ir.Value, kind: str) -> ir.Node | None:
    uses = list(value.uses())
    one = uses[0].node if len(uses) == 1 and not value.is_graph_output() else None
    return one if one is not None and one.op_type == kind else None


def _other(node: ir.Node, one: ir.Value) -> ir.Value:
    """The other of two operands."""
    first, second = node.inputs
    other = second if first is one else first
    assert other is not None
    return other
